// The rows of the marts, unpacked from columns when they are first asked for.
const DATA = JSON.parse(document.getElementById("data").textContent);
const unpacked = {};

function rowsOf(mart) {
  if (!(mart in unpacked)) {
    const packed = DATA.marts[mart] || { columns: {}, text: [] };
    const names = Object.keys(packed.columns);
    const isText = new Set(packed.text);
    const count = names.length ? packed.columns[names[0]].length : 0;
    const rows = new Array(count);
    for (let i = 0; i < count; i += 1) {
      const row = {};
      for (const name of names) {
        const value = packed.columns[name][i];
        row[name] = value !== null && isText.has(name) ? DATA.texts[value] : value;
      }
      rows[i] = row;
    }
    unpacked[mart] = rows;
  }
  return unpacked[mart];
}

// Rows of the chosen project and environment; of all where none is chosen.
function rowsHere(mart) {
  const place = chosenPlace();
  return rowsOf(mart).filter((row) => place === "all" || `${row.project}/${row.environment}` === place);
}
