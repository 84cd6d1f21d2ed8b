// The recent jobs: one by choice, with its time, what failed and what that took down.
function drawRuns() {
  const body = document.getElementById("runs-body");
  const jobs = rowsHere("report_jobs").sort((a, b) => b.ended_at - a.ended_at);
  if (!jobs.length) {
    if (isUnreadable("report_jobs")) return;
    body.replaceChildren(h("p", {}, "No build was collected yet. Run: ", h("code", {}, "offdag run -- dbt build")));
    return;
  }
  const wanted = chosenValue("run");
  const found = jobs.find((row) => row.job_key === wanted);
  const job = found || jobs[0];
  const select = h("select", { id: "run", onchange: () => { choose({ run: select.value }); drawRuns(); document.getElementById("run").focus(); } },
    jobs.map((row) => h("option", { value: row.job_key, selected: row === job },
      `${localMinute(new Date(row.ended_at * 1000))}  ${row.job_status}  ${commandOf(row)}, ${lengthOf(row.wall_seconds)}`
      + `${chosenPlace() === "all" ? `  ${row.project} (${row.environment})` : ""}`)));
  body.replaceChildren(h("p", {}, h("label", { for: "run" }, `One of the newest ${jobs.length} jobs `), select),
    wanted && !found ? h("p", { class: "problem" }, "The job of this link is not in the page: this is the newest one.") : "", jobPanel(job, jobs));
}

function commandOf(job) {
  const flags = Object.entries(safeJson(job.selection)).map(([flag, names]) => ` --${flag} ${[].concat(names).join(" ")}`);
  const more = job.invocation_count - job.retry_count - 1;
  return `${job.command || "unknown command"}${flags.join("")}${more > 0 ? ` and ${plural(more, "other command", "other commands")}` : ""}`;
}

function safeJson(text) {
  try { return JSON.parse(text || "{}") || {}; } catch { return {}; }
}

function jobPanel(job, jobs) {
  const place = `${job.project}/${job.environment}`;
  const facts = [
    [`${timeOf(job.started_at).textContent || "unknown"} to ${timeOf(job.ended_at).textContent}`],
    [`took ${lengthOf(job.wall_seconds)}`, job.usual_seconds === null ? "" : `, usually ${lengthOf(job.usual_seconds)}`],
    [job.dbt_version ? `dbt ${job.dbt_version}` : "dbt version unknown"],
    [job.actor ? `by ${job.actor}` : null],
    [job.git_sha ? `commit ${job.git_sha.slice(0, 7)}${job.git_branch ? ` on ${job.git_branch}` : ""}` : "commit unknown"],
    [job.retry_count ? plural(job.retry_count, "retry", "retries") : null],
  ].filter(([text]) => text).map((texts) => h("span", {}, texts));
  const panel = h("div", { class: "panel" },
    h("h3", {}, stateOf(job.job_status), ` ${commandOf(job)}`),
    h("p", { class: "parts" }, facts, link(job.ci_url, "CI job")), partsOf(job));
  if (!job.has_executions) {
    panel.append(h("p", { class: "soft" }, "The nodes of this job are not in the page, which holds those of the newest jobs."));
    return panel;
  }
  const executions = executionsOf(job);
  if (!executions.length) {
    panel.append(h("p", {}, "This job left no results: what failed in it is not known."));
    return panel;
  }
  const before = jobs.find((row) => row.ended_at < job.ended_at && row.has_executions && row.project === job.project
    && row.environment === job.environment && row.command === job.command && row.selection === job.selection);
  panel.append(countsOf(executions), timeline(executions, before ? executionsOf(before) : []), ...problemsOf(place, executions), allOf(executions));
  return panel;
}

function executionsOf(job) {
  return rowsOf("report_executions").filter((row) =>
    row.job_key === job.job_key && row.project === job.project && row.environment === job.environment);
}

function partsOf(job) {
  if (job.start_seconds === null) return h("p", { class: "soft" }, "How its time divides is not known: a command left no results or no start.");
  const parts = [["starting and parsing", job.start_seconds], ["building", job.dbt_seconds], ["between commands", job.between_seconds]];
  const total = parts.reduce((sum, [, seconds]) => sum + seconds, 0) || 1;
  let at = 0;
  const bars = parts.map(([, seconds], index) => {
    const bar = s("rect", { class: `part${index}`, x: at, y: 0, width: (seconds / total) * 100, height: 10 });
    at += (seconds / total) * 100;
    return bar;
  });
  return h("div", { class: "parts" },
    s("svg", { class: "whole", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" }, bars),
    parts.map(([name, seconds], index) => h("span", {},
      s("svg", { class: "key", viewBox: "0 0 10 10", "aria-hidden": "true" }, s("rect", { class: `part${index}`, width: 10, height: 10 })),
      `${name} ${lengthOf(seconds)}`)));
}

function countsOf(executions) {
  const counts = Object.keys(LETTERS).map((word) => [word, executions.filter((row) => row.outcome === word).length]).filter(([, n]) => n);
  return h("p", { class: "parts" }, counts.map(([word, number]) => h("span", {}, stateOf(word), ` ${number}`)));
}

const MOST_FAILURES = 50;

function problemsOf(place, executions) {
  const outcomes = new Map(executions.map((row) => [row.node_id, row.outcome]));
  const failed = executions.filter((row) => row.outcome === "failure");
  const skipped = new Map();
  for (const row of executions.filter((one) => one.outcome === "skipped")) {
    const cause = causeOf(place, row.node_id, outcomes);
    skipped.set(cause, [...(skipped.get(cause) || []), row.node_id]);
  }
  const blocks = failed.slice(0, MOST_FAILURES).map((row) => h("div", { class: "failed" },
    h("h4", {}, stateOf("failure"), ` ${shortName(row.node_id)}`, h("span", { class: "soft" }, ` ${row.resource_type || ""}`)),
    row.message ? h("pre", {}, row.message) : null,
    h("p", {}, [row.failure_count === null ? null : plural(row.failure_count, "failing row", "failing rows"),
      row.skipped_model_count === null ? null : `${plural(row.skipped_model_count, "model", "models")} skipped`,
      row.outdated_model_count ? `${plural(row.outdated_model_count, "model", "models")} built on old data` : null,
      row.exposure_names ? `exposures: ${row.exposure_names}` : null].filter(Boolean).join(", ")),
    lineagePicture(place, row.node_id, outcomes), skippedList(skipped.get(row.node_id))));
  if (failed.length > MOST_FAILURES) blocks.push(h("p", {}, `${failed.length - MOST_FAILURES} more failed: see all results.`));
  if (skipped.has(null)) blocks.push(h("div", {}, h("h4", {}, "Skipped, without a failed node upstream in this job"), skippedList(skipped.get(null))));
  const warned = executions.filter((row) => row.outcome === "warning");
  if (warned.length) {
    blocks.push(tableOf("Warnings", [["Node", (row) => shortName(row.node_id)], ["Message", (row) => row.message || ""],
      ["Failing rows", (row) => (row.failure_count === null ? "unknown" : row.failure_count), true]], warned.slice(0, MOST_FAILURES)));
  }
  if (!failed.length && executions.some((row) => row.outcome === "success")) blocks.unshift(h("p", {}, "No node failed."));
  return blocks;
}

function skippedList(ids) {
  if (!ids) return null;
  return h("details", {}, h("summary", {}, `${plural(ids.length, "node", "nodes")} skipped because of it`),
    h("ul", {}, ids.slice(0, 200).map((id) => h("li", {}, shortName(id))), ids.length > 200 ? h("li", {}, `and ${ids.length - 200} more`) : null));
}

function allOf(executions) {
  const bad = { failure: 0, warning: 1 };
  const rows = [...executions].sort((a, b) => (bad[a.outcome] ?? 2) - (bad[b.outcome] ?? 2)
    || (b.execution_seconds || 0) - (a.execution_seconds || 0)).slice(0, 200);
  const details = h("details", {}, h("summary", {}, `All results, failures first, then the slowest${executions.length > 200 ? " (200 of them)" : ""}`));
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) {
      details.append(tableOf("Results of the job", [["Node", (row) => shortName(row.node_id)], ["Type", (row) => row.resource_type || ""],
        ["Outcome", (row) => stateOf(row.outcome)], ["Seconds", (row) => (row.execution_seconds === null ? "" : row.execution_seconds.toFixed(2)), true],
        ["Rows", (row) => (row.rows_affected === null ? "" : row.rows_affected), true], ["Thread", (row) => row.thread_id || ""]], rows));
    }
  });
  return details;
}
