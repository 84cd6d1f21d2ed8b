// Draws the page for what the address says, and again when the reader chooses another project or another colour scheme.
function guarded(draw) {
  try {
    draw();
  } catch (error) {
    // One section that cannot be drawn leaves the others.
    const name = draw.name.replace("draw", "").toLowerCase();
    document.getElementById(`${name}-body`).replaceChildren(h("p", { class: "problem", role: "alert" }, `This section cannot be drawn: ${error.message}`));
    console.error(error);
  }
}

function drawAll() {
  showPlace();
  drawIncidents();
  for (const draw of [drawRuns, drawTrends, drawNodes, drawBusiness]) guarded(draw);
  drawn = ofAddress();
}

// The run, and all that is chosen, for which the page is drawn.
const ofAddress = () => ({ run: chosenValue("run"), all: readAddress().chosen.toString() });
let drawn = null;

// Only what the address changed is drawn again.
function drawForAddress() {
  if (applyPlace()) {
    drawAll();
    return;
  }
  const now = ofAddress();
  drawIncidents();
  if (now.run !== drawn.run) guarded(drawRuns);
  if (now.all !== drawn.all) guarded(drawNodes);
  drawn = now;
}

if (placeSelect) {
  placeSelect.closest("p").hidden = false;
  placeSelect.addEventListener("change", () => {
    // Filters may name what the other project does not have.
    choose({ place: placeSelect.value, run: "", node: "", n_folder: "", n_owner: "", n_tag: "", n_type: "", n_state: "", i_kind: "", i_owner: "" });
    drawAll();
  });
}
setUpIncidents();
applyPlace();
showTimes();
showAge();
setInterval(showAge, 60000);
drawAll();
followAddress();
addEventListener("hashchange", () => { drawForAddress(); followAddress(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { guarded(drawTrends); guarded(drawBusiness); });
// Links within the page keep what is chosen; the native ones would drop it.
document.addEventListener("click", (event) => {
  const anchor = event.target.closest('a[href^="#"]');
  if (!anchor || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const [name, query] = anchor.getAttribute("href").slice(1).split("?");
  const { chosen } = readAddress();
  for (const [key, value] of new URLSearchParams(query || "")) chosen.set(key, value);
  const address = `#${name}${chosen.toString() ? `?${chosen}` : ""}`;
  if (address === location.hash) followAddress();
  else location.hash = address;
});

const newer = document.getElementById("newer");
if (newer) {
  newer.querySelector("button").addEventListener("click", () => location.reload());
  setInterval(async () => {
    const answer = await fetch("version").catch(() => null);
    if (answer && answer.ok && (await answer.text()) !== DATA.version) newer.hidden = false;
  }, 5000);
}
