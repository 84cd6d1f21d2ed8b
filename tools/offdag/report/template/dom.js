"use strict";
// Elements, words and numbers. Text goes into text nodes alone, so nothing from the data is ever read as HTML.

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const h = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
const s = (name, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);

const TONES = {
  success: "good", healthy: "good", failure: "bad", interrupted: "bad", "did not start": "bad", warning: "warn",
};
const LETTERS = { success: "P", failure: "F", warning: "W", skipped: "S", "no-op": "N", reused: "R", unknown: "U" };
const WORDS = Object.fromEntries(Object.entries(LETTERS).map(([word, letter]) => [letter, word]));

function stateOf(word) {
  const tone = TONES[word] || "off";
  const shape = tone === "off" ? (word === "unknown" ? "unknown" : "off") : tone;
  const icon = s("svg", { class: "icon", "aria-hidden": "true" }, s("use", { href: `#i-${shape}` }));
  return h("span", { class: `state ${tone}` }, icon, word === null ? "not run" : word);
}

const pad = (number) => String(number).padStart(2, "0");
const localMinute = (date) =>
  `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ${pad(date.getHours())}:${pad(date.getMinutes())}`;
const localSecond = (date) => `${localMinute(date).slice(5)}:${pad(date.getSeconds())}`;
const utcMinute = (date) => `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`;

// An instant in the reader's zone, with UTC on hover.
function timeOf(seconds) {
  if (seconds === null) return "unknown";
  const date = new Date(seconds * 1000);
  return h("time", { datetime: date.toISOString(), title: utcMinute(date) }, localMinute(date));
}

function lengthOf(seconds) {
  if (seconds === null || seconds === undefined) return "unknown";
  if (seconds < 10) return `${seconds.toFixed(seconds < 1 ? 2 : 1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h${minutes % 60 ? ` ${minutes % 60} min` : ""}`;
  return `${Math.round(minutes / 1440)} days`;
}

const percent = (share) => (share === null || share === undefined ? "unknown" : `${(100 * share).toFixed(1)} %`);
const plural = (number, one, many) => `${number} ${number === 1 ? one : many}`;
const shortName = (id) => { const parts = id.split("."); return parts.slice(parts[0] === "source" ? 3 : 2).join("."); };
const link = (url, text) => (/^https?:\/\//.test(url || "") ? h("a", { href: url, rel: "noreferrer" }, text) : null);

// A table: columns are [title, cell of a row, whether it is a number].
function tableOf(caption, columns, rows) {
  const cells = (row) =>
    columns.map(([, cell, isNumber], index) =>
      index === 0 ? h("th", { scope: "row" }, cell(row)) : h("td", { class: isNumber ? "n" : null }, cell(row)));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", {}, h("caption", {}, caption),
      h("thead", {}, h("tr", {}, columns.map(([title, , isNumber]) =>
        h("th", { scope: "col", class: isNumber ? "n" : null }, title)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, cells(row))))));
}

// The newest runs of a node, a cell each.
function runStrip(letters) {
  if (!letters) return h("span", { class: "soft" }, "none");
  const kinds = { P: "good", F: "bad", W: "warn" };
  const label = `Newest ${letters.length} runs, the oldest first: ${[...letters].map((l) => WORDS[l]).join(", ")}`;
  return h("span", { class: "strip", role: "img", "aria-label": label },
    [...letters].map((letter) => h("i", { class: `cell ${kinds[letter] || "none"}`, title: WORDS[letter] })));
}

function sparkline(values) {
  const known = values.map((v, i) => [i, v]).filter(([, v]) => v !== null);
  if (known.length < 2) return null;
  const highest = Math.max(...known.map(([, v]) => v)) || 1;
  const points = known.map(([i, v]) => `${(i / (values.length - 1)) * 100},${22 - (v / highest) * 20}`);
  return s("svg", { class: "spark", viewBox: "0 0 100 24", preserveAspectRatio: "none", role: "img",
    "aria-label": `Seconds of the newest runs, the oldest first: ${known.map(([, v]) => v).join(", ")}` },
  s("path", { d: `M${points.join("L")}` }));
}
