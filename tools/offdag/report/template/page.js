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
  for (const node of document.querySelectorAll("[data-place]")) {
    node.hidden = place !== "all" && node.dataset.place !== place;
  }
}

// Links to a section, or to an incident that may be of another project, keep what is chosen.
function followAddress() {
  const { anchor } = readAddress();
  const target = anchor && document.getElementById(anchor);
  if (!target) return;
  if (target.dataset.place && target.hidden) {
    placeSelect.value = target.dataset.place;
    drawAll();
  }
  target.hidden = false;
  if (target.tagName === "DETAILS") target.open = true;
  target.scrollIntoView();
}

function showTimes() {
  for (const node of document.querySelectorAll("time[datetime]")) node.textContent = localMinute(new Date(node.dateTime));
}

function showAge() {
  const age = Date.now() / 1000 - DATA.as_of;
  if (age < 86400) return;
  const note = document.getElementById("old");
  note.textContent = `These data are ${lengthOf(age)} old: what is shown may have changed since.`;
  note.hidden = false;
}
