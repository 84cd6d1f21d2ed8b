// The rows of the marts, unpacked from columns when they are first asked for.
const DATA = JSON.parse(document.getElementById("data").textContent);
const unpacked = {};

function rowsOf(mart) {
  if (!(mart in unpacked)) {
    const packed = DATA.marts[mart] || { rows: 0, text: [], columns: {} };
    const rows = Array.from({ length: packed.rows }, () => ({}));
    for (const [name, column] of Object.entries(packed.columns)) {
      const isText = packed.text.includes(name);
      const set = (index, value) => { rows[index][name] = isText && value !== null ? DATA.texts[value] : value; };
      if (Array.isArray(column)) {
        column.forEach((value, index) => set(index, value));
      } else {
        rows.forEach((_, index) => set(index, "same" in column ? column.same : null));
        (column.of || []).forEach((value, position) => set(column.at[position], value));
      }
    }
    unpacked[mart] = rows;
  }
  return unpacked[mart];
}

// Whether a mart could not be read: then nothing is said about what it holds.
const isUnreadable = (mart) => mart in DATA.errors;

// Rows of the chosen project and environment; of all where none is chosen.
function rowsHere(mart) {
  const place = chosenPlace();
  return rowsOf(mart).filter((row) => place === "all" || `${row.project}/${row.environment}` === place);
}
