// All nodes: search, sort and filter; one of them with its runs, its tests and its neighbours.
const PAGE = 50;
const STEPS = { node_name: "Node", resource_type: "Type", last_outcome: "Last run", last_run_at: "When", p50_seconds: "Median", test_count: "Tests", owner: "Owner" };
let nodesShown = PAGE;

const runsOf = (row) => (row.recent_runs === null ? [] : row.recent_runs.split(" "));
const lettersOf = (row) => runsOf(row).map((run) => run[0]).join("");
const secondsOf = (row) => runsOf(row).map((run) => (run.length > 1 ? Number(run.slice(1)) : null));
const folderOf = (row) => (row.path || "").split("/").slice(0, -1).join("/") || "none";
const tagsOf = (row) => [].concat(safeJson(row.tags)).filter((tag) => typeof tag === "string");

// The same node may be in several environments.
const addressOf = (row) => `#node?${new URLSearchParams({ node: row.node_id, node_place: `${row.project}/${row.environment}` })}`;
const nodeLink = (row) => h("a", { href: addressOf(row) }, row.node_name || shortName(row.node_id));

const FILTERS = {
  n_type: ["Type", (row) => [row.resource_type]], n_state: ["Last run", (row) => [row.last_outcome || "not run"]],
  n_folder: ["Folder", (row) => [folderOf(row)]], n_owner: ["Owner", (row) => [row.owner || "no owner"]], n_tag: ["Tag", tagsOf],
};

function drawNodes() {
  const body = document.getElementById("nodes-body");
  const rows = rowsHere("report_nodes");
  nodesShown = PAGE;
  if (!rows.length) {
    if (isUnreadable("report_nodes")) return;
    body.replaceChildren(h("p", {}, "No manifest was collected yet: it is found beside run_results.json."));
    return;
  }
  const redraw = () => { nodesShown = PAGE; drawNodeTable(rows); };
  const field = (name, input) => { input.name = name; input.value = chosenValue(name); input.addEventListener("input", () => { choose({ [name]: input.value }); redraw(); }); return input; };
  const selects = Object.entries(FILTERS).map(([name, [title, values]]) => {
    const words = [...new Set(rows.flatMap(values))].filter(Boolean).sort();
    if (chosenValue(name) && !words.includes(chosenValue(name))) words.push(chosenValue(name));
    return words.length < 2 && !chosenValue(name) ? null : h("label", {}, `${title} `, field(name, h("select", {}, h("option", { value: "" }, "all"), words.map((word) => h("option", {}, word)))));
  });
  const form = h("form", { class: "filters", onsubmit: (event) => event.preventDefault() },
    h("label", {}, "Text ", field("n_text", h("input", { type: "search", autocomplete: "off" }))), selects, h("output", { "aria-live": "polite" }));
  body.replaceChildren(h("div", { id: "node", tabindex: "-1" }), form, h("div", { id: "node-table" }), coverageTable());
  drawNodeTable(rows);
  drawNode();
}

function fittingNodes(rows) {
  const text = chosenValue("n_text").toLowerCase();
  const wanted = Object.entries(FILTERS).map(([name, [, values]]) => [chosenValue(name), values]).filter(([value]) => value);
  const found = rows.filter((row) => (!text || row.node_id.toLowerCase().includes(text) || (row.path || "").toLowerCase().includes(text))
    && wanted.every(([value, values]) => values(row).includes(value)));
  const [column, direction] = (chosenValue("n_sort") || "last_outcome-up").split("-");
  const sign = direction === "down" ? -1 : 1;
  const bad = { failure: 0, warning: 1, skipped: 2, unknown: 3 };
  const key = (row) => (column === "last_outcome" ? bad[row.last_outcome] ?? 4 : row[column]);
  return found.sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    if (x === y) return a.node_id < b.node_id ? -1 : 1;
    if (x === null) return 1;
    if (y === null) return -1;
    return (x < y ? -1 : 1) * sign;
  });
}

function drawNodeTable(rows) {
  const found = fittingNodes(rows);
  const sort = chosenValue("n_sort") || "last_outcome-up";
  document.querySelector("#nodes-body .filters output").textContent = `${found.length} of ${rows.length} nodes`;
  const head = Object.entries(STEPS).map(([column, title]) => {
    const isSorted = sort.startsWith(`${column}-`), isDown = sort.endsWith("-down");
    return h("th", { scope: "col", "aria-sort": isSorted ? (isDown ? "descending" : "ascending") : null },
      h("button", { type: "button", "data-sort": column, onclick: () => {
        choose({ n_sort: `${column}-${isSorted && !isDown ? "down" : "up"}` });
        drawNodeTable(rows);
        document.querySelector(`[data-sort=${column}]`).focus();
      } },
        `${title}${isSorted ? (isDown ? " ↓" : " ↑") : ""}`));
  });
  const lines = found.slice(0, nodesShown).map((row) => h("tr", {}, h("th", { scope: "row" }, nodeLink(row)), h("td", {}, row.resource_type),
    h("td", {}, row.last_outcome ? stateOf(row.last_outcome) : h("span", { class: "soft" }, "not run")), h("td", {}, row.last_run_at === null ? "" : timeOf(row.last_run_at)),
    h("td", { class: "n" }, row.p50_seconds === null ? "" : lengthOf(row.p50_seconds)), h("td", { class: "n" }, row.test_count || ""), h("td", {}, row.owner || ""), chosenPlace() === "all" ? h("td", {}, `${row.project} (${row.environment})`) : null,
    h("td", {}, runStrip(lettersOf(row)))));
  const more = found.length > nodesShown ? h("button", { type: "button", onclick: () => { nodesShown += PAGE; drawNodeTable(rows); } }, `Show ${Math.min(PAGE, found.length - nodesShown)} more`) : "";
  document.getElementById("node-table").replaceChildren(h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Nodes" },
    h("table", {}, h("caption", { class: "soft" }, "Nodes of the newest manifest"), h("thead", {}, h("tr", {}, head, chosenPlace() === "all" ? h("th", { scope: "col" }, "Project") : null, h("th", { scope: "col" }, "Newest runs"))), h("tbody", {}, lines))), more);
}

function drawNode() {
  const panel = document.getElementById("node");
  if (!panel) return;
  const id = chosenValue("node"), place = chosenValue("node_place");
  const all = rowsHere("report_nodes");
  const row = id && all.find((one) => one.node_id === id && (!place || `${one.project}/${one.environment}` === place));
  if (!row) {
    panel.replaceChildren(...(id ? [h("p", { class: "soft" }, `${id} is not in the newest manifest.`)] : []));
    return;
  }
  const { children, parents } = lineageOf(`${row.project}/${row.environment}`);
  const byId = new Map(all.filter((one) => one.project === row.project && one.environment === row.environment).map((one) => [one.node_id, one]));
  const list = (ids) => (ids.length ? h("ul", { class: "plain" }, ids.slice(0, 50).map((one) => h("li", {}, byId.has(one) ? nodeLink(byId.get(one)) : shortName(one))), ids.length > 50 ? h("li", {}, `and ${ids.length - 50} more`) : null) : "none");
  const below = children.get(id) || [];
  const tests = all.filter((one) => one.attached_node_id === id && one.project === row.project && one.environment === row.environment);
  const facts = [
    ["Description", row.description || "none"], ["Type", [row.resource_type, row.materialization].filter(Boolean).join(", ")], ["File", row.path ? h("code", {}, row.path) : "unknown"],
    ["Owner", row.owner || "none"], ["Tags", tagsOf(row).join(", ") || "none"], ["Package", row.package_name || "unknown"],
    ["Last run", row.last_outcome ? [stateOf(row.last_outcome), " ", timeOf(row.last_run_at)] : `no run within ${DATA.days.baseline_days} days`], ["Newest runs", runStrip(lettersOf(row))],
    ["Seconds", [row.p50_seconds === null ? "" : `median ${lengthOf(row.p50_seconds)}, 95 % ${lengthOf(row.p95_seconds)}, last ${lengthOf(row.last_seconds)} `, sparkline(secondsOf(row)) || ""]],
    ["Tests", tests.length ? h("ul", { class: "plain" }, tests.map((one) => h("li", {}, one.last_outcome ? stateOf(one.last_outcome) : "not run", " ", nodeLink(one)))) : "none"],
    ["Upstream", list(parents.get(id) || [])], ["Downstream", list(below.filter((one) => !/^(unit_)?test\./.test(one)))],
  ];
  panel.replaceChildren(h("div", { class: "panel" }, h("h3", {}, row.node_name || row.node_id), h("p", {}, h("code", {}, row.node_id)),
    h("dl", {}, facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
    h("button", { type: "button", onclick: () => { choose({ node: "", node_place: "" }); drawNode(); panel.focus(); } }, "Close")));
}

function coverageTable() {
  const rows = rowsHere("fct_project_coverage").sort((a, b) => a.folder.localeCompare(b.folder) || a.resource_type.localeCompare(b.resource_type));
  if (!rows.length) return "";
  return h("details", {}, h("summary", {}, "Tests, descriptions and owners by folder"), tableOf("Nodes that are tested, described and owned", [
    ["Folder", (row) => row.folder], ["Type", (row) => row.resource_type], ["Nodes", (row) => row.node_count, true], ["Tested", (row) => row.tested_count, true],
    ["Described", (row) => row.described_count, true], ["Owned", (row) => row.owned_count, true]], rows));
}
