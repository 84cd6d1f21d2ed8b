// Durations, rates, budgets and costs over time, and the shop's or any other observed tables. Charts are drawn when they come into view.
const CHARTS = JSON.parse(document.getElementById("charts").textContent);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const chartConfig = () => ({
  background: "transparent", font: "system-ui, sans-serif", view: { stroke: null },
  axis: { labelColor: css("--fg"), titleColor: css("--soft"), gridColor: css("--line"), domainColor: css("--line"), tickColor: css("--line"), titleFontWeight: "normal" },
  legend: { labelColor: css("--fg"), titleColor: css("--soft") },
  range: { category: [css("--off"), css("--good"), css("--warn"), css("--bad"), css("--fg"), css("--link")] },
  mark: { color: css("--good") }, rule: { color: css("--bad") }, point: { fill: null, color: css("--good") },
});

const viewer = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting) { viewer.unobserve(entry.target); embed(entry.target); }
  }
}, { rootMargin: "300px" });

function embed(node) {
  const spec = { ...CHARTS[node.dataset.chart], datasets: { rows: node.rows }, config: chartConfig() };
  // Expressions are interpreted, and styles are the page's own: its policy allows neither code from text nor other styles.
  vegaEmbed(node, spec, { actions: false, renderer: "svg", ast: true, logLevel: 1, defaultStyle: false, tooltip: { disableDefaultStyle: true } });
}

function chart(name, caption, rows, summary) {
  if (!rows.length) return null;
  const node = h("div", { class: "chart", "data-chart": name });
  node.rows = rows;
  viewer.observe(node);
  return h("figure", { class: "figure" }, h("figcaption", {}, caption), summary ? h("p", { class: "soft" }, summary) : null, node);
}

function durationRows(jobs) {
  const parts = { "starting and parsing": "start_seconds", building: "dbt_seconds", "between commands": "between_seconds" };
  return jobs.slice(0, 60).reverse().flatMap((job) => {
    const common = { job: localSecond(new Date(job.ended_at * 1000)), state: job.job_status };
    if (job.start_seconds === null) return job.wall_seconds === null ? [] : [{ ...common, part: "not known by part", seconds: job.wall_seconds, order: 3 }];
    return Object.entries(parts).map(([part, column], order) => ({ ...common, part, seconds: job[column], order }));
  });
}

function budgetText(last) {
  const left = last.budget_left_count;
  return `${percent(last.target_rate)} of the builds of ${DATA.days.slo_days} days should succeed: `
    + (left < 0 ? "the budget is used up." : `the budget for failures is not used up, ${left.toFixed(1)} are left.`);
}

function drawTrends() {
  const body = document.getElementById("trends-body");
  const jobs = rowsHere("report_jobs").sort((a, b) => b.ended_at - a.ended_at);
  const days = rowsHere("report_days");
  const budget = rowsHere("report_budgets").sort((a, b) => a.ended_at - b.ended_at);
  const nodes = rowsHere("report_nodes");
  const last = budget[budget.length - 1];
  // Each chart is of one project and environment.
  const charts = chosenPlace() === "all" ? [h("p", {}, "Choose one project to see its charts.")] : [
    chart("durations", "Length of the newest jobs", durationRows(jobs)),
    chart("rates", "Builds that succeeded, and tests that passed", days.flatMap((day) => [
      { day: day.build_date, of: "builds", rate: day.build_success_rate }, { day: day.build_date, of: "tests", rate: day.test_pass_rate },
    ]).filter((row) => row.rate !== null)),
    chart("budget", "Error budget", budget.map((row) => ({ ended: row.ended_at * 1000, left: row.budget_left_count })),
      last ? budgetText(last) : null),
    chart("reuse", "Results that dbt took from an earlier run", days.filter((day) => day.reused_count > 0)
      .map((day) => ({ day: day.build_date, reused_rate: day.reused_count / day.result_count }))),
    chart("cost", "Cost by the prices of the monitor", days.filter((day) => day.cost !== null).map((day) => ({ day: day.build_date, cost: day.cost }))),
    chart("bytes", "Bytes processed", days.filter((day) => day.bytes_processed !== null).map((day) => ({ day: day.build_date, gibibytes: day.bytes_processed / 2 ** 30 }))),
    chart("slots", "Slot time", days.filter((day) => day.slot_milliseconds !== null).map((day) => ({ day: day.build_date, slot_hours: day.slot_milliseconds / 3600000 }))),
  ];
  const slowest = nodes.filter((row) => row.p50_seconds !== null).sort((a, b) => b.is_slow - a.is_slow || b.p50_seconds - a.p50_seconds).slice(0, 15);
  const flaky = nodes.filter((row) => row.is_flaky);
  const recovery = rowsHere("fct_incident_recovery").sort((a, b) => b.incident_count - a.incident_count);
  body.replaceChildren(
    jobs.length ? h("div", { class: "two" }, charts) : isUnreadable("report_jobs") ? "" : h("p", {}, "There is nothing to compare before the first build."),
    slowest.length ? tableOf("The slowest models, snapshots and seeds; those that became slow first", [
      ["Node", (row) => nodeLink(row)], ["Last", (row) => h("span", { class: row.is_slow ? "slow bad" : null }, lengthOf(row.last_seconds), row.is_slow ? " (slow)" : ""), true],
      ["Usual", (row) => lengthOf(row.usual_seconds), true], ["Median", (row) => lengthOf(row.p50_seconds), true], ["95 %", (row) => lengthOf(row.p95_seconds), true],
      ["Trend", (row) => sparkline(secondsOf(row)) || ""]], slowest) : "",
    nodes.length ? (flaky.length ? tableOf("Flaky tests", [["Test", (row) => nodeLink(row)], ["Newest runs", (row) => runStrip(lettersOf(row))], ["Owner", (row) => row.owner || "no owner"]], flaky)
      : h("p", {}, "No test is known to be flaky; a test with few runs is not judged.")) : "",
    recovery.length ? tableOf("All incidents by kind and owner: mean time from the first bad observation to the first alert, and to the recovery", [
      ["Kind", (row) => row.kind.replaceAll("_", " ")], ["Owner", (row) => row.owner], ["Incidents", (row) => row.incident_count, true], ["Open", (row) => row.open_count, true],
      ["Again", (row) => row.reopened_count, true], ["To alert", (row) => lengthOf(row.mean_detection_seconds), true], ["To recover", (row) => lengthOf(row.mean_recovery_seconds), true]], recovery) : "",
  );
}

function drawBusiness() {
  const body = document.getElementById("business-body");
  const observed = rowsHere("report_observed_tables");
  const stock = rowsHere("dim_product_stock").filter((row) => row.is_still_sold)
    .sort((a, b) => (a.inventory_count > 0) - (b.inventory_count > 0) || (a.days_left ?? Infinity) - (b.days_left ?? Infinity));
  const counts = rowsHere("fct_stock_counts");
  const moved = new Set(counts.filter((row) => row.prior_inventory_count !== null).map((row) => row.product_name));
  const out = stock.filter((row) => row.inventory_count <= 0);
  const funnel = rowsHere("fct_product_funnel").sort((a, b) => (a.week_date < b.week_date ? 1 : -1));
  const steps = { sessions: "session_count", "page view": "page_view_count", cart: "add_to_cart_count", order: "checkout_count" };
  body.replaceChildren(
    observed.length ? tableOf("Observed tables", [["Table", (row) => row.observed_table.replace(/^observed_/, "")], ["Project", (row) => `${row.project} (${row.environment})`],
      ["Last observed", (row) => timeOf(row.observed_at)], ["Content", (row) => (row.is_changed ? "changed" : "the same as before")]], observed)
      : isUnreadable("report_observed_tables") ? "" : h("p", {}, "No table is observed. A line of ", h("code", {}, "observed_tables.csv"), " copies a small table into the history after each build."),
    stock.length ? h("p", {}, `${out.length} of ${stock.length} products are out of stock${out.length ? `: ${out.map((row) => row.product_name).join(", ")}` : ""}.`) : "",
    chosenPlace() === "all" ? "" : chart("stock", "Stock of the products that changed", counts.filter((row) => moved.has(row.product_name))
      .map((row) => ({ product: row.product_name, at: row.counted_at * 1000, units: row.inventory_count }))) || "",
    chosenPlace() === "all" ? "" : chart("funnel", "Sessions by week and step", funnel.slice(0, 12).flatMap((row) =>
      Object.entries(steps).map(([step, column], order) => ({ week: row.week_date, step, order, sessions: row[column] })))) || "",
    funnel.length ? tableOf("Weekly product funnel, the newest week first", [["Week", (row) => row.week_date], ["Sessions", (row) => row.session_count, true],
      ["Page view", (row) => row.page_view_count, true], ["Cart", (row) => row.add_to_cart_count, true], ["Order", (row) => row.checkout_count, true],
      ["Left before the cart", (row) => percent(row.add_to_cart_dropoff_rate), true], ["Left before the order", (row) => percent(row.checkout_dropoff_rate), true],
      ["Observed", (row) => timeOf(row.last_observed_at)]], funnel.slice(0, 52)) : "",
    stock.length ? tableOf("Stock, what is out first", [["Product", (row) => row.product_name], ["Units", (row) => row.inventory_count, true],
      ["Days left", (row) => (row.inventory_count <= 0 ? "out" : row.days_left === null ? "unknown" : row.days_left.toFixed(1)), true],
      ["Out since", (row) => (row.out_since_at === null ? "" : timeOf(row.out_since_at))], ["Counted", (row) => timeOf(row.last_counted_at)]], stock.slice(0, 100)) : "",
  );
}
