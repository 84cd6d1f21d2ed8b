// What the reader chose, kept in the address as #section?name=value, so that a reload and a link show the same.
function readAddress() {
  const address = location.hash.slice(1), at = address.indexOf("?");
  return {
    anchor: at < 0 ? address : address.slice(0, at),
    chosen: new URLSearchParams(at < 0 ? "" : address.slice(at + 1)),
  };
}

function chosenValue(name) {
  return readAddress().chosen.get(name) || "";
}

function choose(values) {
  const { anchor, chosen } = readAddress();
  for (const [name, value] of Object.entries(values)) {
    if (value) chosen.set(name, value);
    else chosen.delete(name);
  }
  const query = chosen.toString();
  history.replaceState(null, "", `#${anchor}${query ? `?${query}` : ""}`);
}

const placeSelect = document.getElementById("place");

function chosenPlace() {
  return placeSelect ? placeSelect.value : "all";
}

function showPlace() {
  const place = chosenPlace();
  document.body.classList.toggle("one", place !== "all");
  for (const node of document.querySelectorAll("[data-place]")) {
    node.hidden = place !== "all" && node.dataset.place !== place;
  }
}

// Links to a section, or to an incident that may be of another project, keep what is chosen.
function followAddress() {
  const { anchor } = readAddress();
  const missing = document.getElementById("missing");
  const target = anchor && document.getElementById(anchor);
  missing.hidden = Boolean(target) || !anchor.startsWith("incident-");
  if (!target) return;
  if (target.dataset.place && target.hidden) {
    placeSelect.value = target.dataset.place;
    choose({ place: placeSelect.value });
    drawAll();
  }
  target.hidden = false;
  if (target.tagName === "DETAILS") target.open = true;
  target.scrollIntoView();
  // The keyboard goes on from there.
  const focused = target.querySelector("summary, h2") || target;
  if (!focused.matches("summary")) focused.tabIndex = -1;
  focused.focus({ preventScroll: true });
}

// The project of the address; without one, the first, which is then written into it, so that a copied link shows the same later.
function applyPlace() {
  if (!placeSelect) return false;
  const names = [...placeSelect.options].map((option) => option.value);
  const wanted = chosenValue("place");
  const place = names.includes(wanted) ? wanted : names.find((name) => name !== "all");
  const isNew = place !== placeSelect.value;
  placeSelect.value = place;
  choose({ place });
  return isNew;
}

function showTimes() {
  for (const node of document.querySelectorAll("time[datetime]")) node.textContent = localMinute(new Date(node.dateTime));
}

// A page that is served is drawn again by itself, so that it is old much earlier.
function showAge() {
  const age = Date.now() / 1000 - DATA.as_of;
  if (age < (document.getElementById("newer") ? 1800 : 86400)) return;
  const note = document.getElementById("old");
  note.textContent = `These data are ${lengthOf(age)} old: what is shown may have changed since.`;
  note.hidden = false;
}
