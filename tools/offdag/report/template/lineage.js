// The lineage of the newest manifest, and what a failed node took down as a small picture.
const lineages = {};

function lineageOf(place) {
  if (!(place in lineages)) {
    const children = new Map(), parents = new Map();
    const add = (map, key, value) => (map.has(key) ? map.get(key).push(value) : map.set(key, [value]));
    for (const edge of rowsOf("fct_lineage_edges")) {
      if (`${edge.project}/${edge.environment}` !== place) continue;
      add(children, edge.parent_id, edge.child_id);
      add(parents, edge.child_id, edge.parent_id);
    }
    lineages[place] = { children, parents };
  }
  return lineages[place];
}

// The failed node upstream, or the node of the failed test upstream, that is nearest to a skipped node.
function causeOf(place, nodeId, outcomes) {
  const { parents, children } = lineageOf(place);
  const seen = new Set([nodeId]);
  let level = [nodeId];
  while (level.length) {
    const above = [];
    for (const id of level) {
      for (const parent of parents.get(id) || []) {
        if (seen.has(parent)) continue;
        seen.add(parent);
        if (outcomes.get(parent) === "failure") return parent;
        const test = (children.get(parent) || []).find((child) => /^(unit_)?test\./.test(child) && outcomes.get(child) === "failure");
        if (test) return test;
        above.push(parent);
      }
    }
    level = above;
  }
  return null;
}

const LEVELS = 4, PER_LEVEL = 7;

function lineagePicture(place, nodeId, outcomes) {
  const { children, parents } = lineageOf(place);
  const start = /^(unit_)?test\./.test(nodeId) ? [nodeId, ...(parents.get(nodeId) || [])] : [nodeId];
  const level = new Map(start.map((id, index) => [id, index ? 1 : 0]));
  let current = start.slice(-1);
  if (start.length > 2) current = start.slice(1);
  const edges = start.slice(1).map((id) => [nodeId, id]);
  for (let depth = start.length > 1 ? 2 : 1; depth < LEVELS && current.length; depth += 1) {
    const next = [];
    for (const id of current) {
      for (const child of children.get(id) || []) {
        if (/^(unit_)?test\./.test(child)) continue;
        edges.push([id, child]);
        if (!level.has(child)) { level.set(child, depth); next.push(child); }
      }
    }
    current = next;
  }
  if (level.size < 2) return null;
  const columns = Array.from({ length: LEVELS }, () => []);
  for (const [id, depth] of level) columns[depth].push(id);
  const places = new Map();
  const width = 190, height = 30;
  columns.forEach((ids, depth) => ids.slice(0, PER_LEVEL).forEach((id, index) => places.set(id, [depth * (width + 34) + 2, index * (height + 10) + 2])));
  const rows = Math.max(...columns.map((ids) => Math.min(ids.length, PER_LEVEL + 1)));
  const used = columns.filter((ids) => ids.length).length;
  const drawn = edges.filter(([from, to]) => places.has(from) && places.has(to)).map(([from, to]) => {
    const [x1, y1] = places.get(from), [x2, y2] = places.get(to);
    return s("path", { class: "edge", d: `M${x1 + width} ${y1 + height / 2}C${x1 + width + 17} ${y1 + height / 2} ${x2 - 17} ${y2 + height / 2} ${x2} ${y2 + height / 2}` });
  });
  const boxes = [...places].map(([id, [x, y]]) => {
    const outcome = outcomes.get(id) || null;
    const name = shortName(id);
    return s("g", { class: outcome ? LETTERS[outcome] : null, transform: `translate(${x} ${y})` },
      s("title", {}, `${id}: ${outcome || "not in this run"}`),
      s("rect", { width, height, rx: 4 }),
      s("text", { x: 6, y: 13 }, name.length > 30 ? `${name.slice(0, 29)}…` : name),
      s("text", { x: 6, y: 25 }, outcome || "not in this run"));
  });
  const more = columns.map((ids, depth) => (ids.length > PER_LEVEL
    ? s("text", { x: depth * (width + 34) + 8, y: PER_LEVEL * (height + 10) + 14 }, `and ${ids.length - PER_LEVEL} more`) : null));
  const total = used * (width + 34) - 30;
  return s("svg", { class: "lineage", viewBox: `0 0 ${total} ${rows * (height + 10)}`, width: total, role: "img",
    "aria-label": `Downstream of ${shortName(nodeId)}: ${[...level.keys()].slice(1).map((id) => `${shortName(id)} ${outcomes.get(id) || "not in this run"}`).join(", ")}` },
  drawn, boxes, more);
}
