// One job by thread: a bar for each node, the critical path outlined, and under each bar a thin one for the same node in the job before.
const LONGEST = 1000;

function timeline(executions, before) {
  const ran = executions.filter((row) => row.begin_second !== null && row.end_second !== null);
  if (!ran.length) return h("p", { class: "soft" }, "dbt wrote no times for this run.");
  const shown = [...ran].sort((a, b) => (b.end_second - b.begin_second) - (a.end_second - a.begin_second)).slice(0, LONGEST);
  const earlier = new Map(before.filter((row) => row.end_second !== null && row.begin_second !== null).map((row) => [row.node_id, row]));
  const threadOf = (row) => row.thread_id || "no thread";
  const threads = [...new Set(ran.map(threadOf))].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  // From the first node on; the job before is moved so that both begin at one place.
  const first = (rows) => rows.reduce((least, row) => Math.min(least, row.begin_second), Infinity);
  const begin = first(ran), moved = begin - first([...earlier.values()]);
  const end = ran.reduce((most, row) => Math.max(most, row.end_second), begin + 0.001), span = end - begin;
  const width = 1000, left = 70, lane = 26, top = 22;
  const x = (second) => left + (Math.min(1, Math.max(0, (second - begin) / span))) * (width - left - 8);
  const y = (row) => top + threads.indexOf(threadOf(row)) * lane;
  const step = niceStep(span / 8);
  const ticks = Array.from({ length: 11 }, (_, index) => (Math.ceil(begin / step) + index) * step).filter((second) => second <= end);
  const axis = ticks.map((second) => [
    s("line", { class: "axis", x1: x(second), x2: x(second), y1: top - 4, y2: top + threads.length * lane }),
    s("text", { x: x(second), y: 12, "text-anchor": "middle" }, `${+second.toFixed(2)} s`)]);
  const lanes = threads.map((thread, index) => [
    s("rect", { class: "idle", x: left, y: top + index * lane, width: width - left - 8, height: lane - 5 }),
    s("text", { x: 0, y: top + index * lane + 14 }, thread.replace(/ \(worker\)$/, ""))]);
  const bars = shown.map((row) => {
    const old = earlier.get(row.node_id);
    const took = row.end_second - row.begin_second;
    const title = `${shortName(row.node_id)} (${row.resource_type || "node"}): ${row.outcome}, ${lengthOf(took)}`
      + `${row.wait_seconds === null ? "" : `, waited ${lengthOf(row.wait_seconds)}`}`
      + `${old ? `, before ${lengthOf(old.end_second - old.begin_second)}` : ""}${row.is_critical ? ", on the critical path" : ""}`;
    return s("g", {}, s("title", {}, title),
      s("rect", { class: `bar ${LETTERS[row.outcome] || "U"}${row.is_critical ? " critical" : ""}`,
        x: x(row.begin_second), y: y(row), width: Math.max(1.5, x(row.end_second) - x(row.begin_second)), height: lane - 10, rx: 1.5 }),
      old ? s("rect", { class: "ghost", x: x(old.begin_second + moved), y: y(row) + lane - 9,
        width: Math.max(1, x(old.end_second + moved) - x(old.begin_second + moved)), height: 3 }) : null);
  });
  const busy = ran.reduce((sum, row) => sum + row.end_second - row.begin_second, 0);
  const label = `${plural(ran.length, "node", "nodes")} on ${plural(threads.length, "thread", "threads")} in ${lengthOf(span)}`;
  return h("figure", { class: "figure" },
    h("figcaption", {}, `${label}${ran.length > LONGEST ? `, the ${LONGEST} longest are drawn` : ""}`),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Timeline" },
      s("svg", { class: "timeline", viewBox: `0 0 ${width} ${top + threads.length * lane + 4}`, role: "img", "aria-label": label }, axis, lanes, bars)),
    h("p", { class: "soft" }, `${executions.some((row) => row.is_critical !== null) ? "Outlined: the critical path. " : ""}${before.length ? "Thin bars: the same nodes in the job before. " : ""}`
      + `Threads were busy for ${percent(Math.min(1, busy / (threads.length * span)))} of the time. Seconds from the start of the job.`));
}

function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1e-9)));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough);
}
