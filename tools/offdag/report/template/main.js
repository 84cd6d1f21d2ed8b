// Draws the page for what the address says, and again when the reader chooses another project or another colour scheme.
function drawAll() {
  showPlace();
  drawIncidents();
  for (const draw of [drawRuns, drawTrends, drawNodes, drawBusiness]) {
    try {
      draw();
    } catch (error) {
      // One section that cannot be drawn leaves the others.
      const name = draw.name.replace("draw", "").toLowerCase();
      document.getElementById(`${name}-body`).replaceChildren(h("p", { class: "problem", role: "alert" }, `This section cannot be drawn: ${error.message}`));
      console.error(error);
    }
  }
}

if (placeSelect) {
  placeSelect.closest("p").hidden = false;
  const wanted = chosenValue("place");
  const [first] = [...placeSelect.options].filter((option) => option.value !== "all");
  placeSelect.value = [...placeSelect.options].some((option) => option.value === wanted) ? wanted : first.value;
  placeSelect.addEventListener("change", () => {
    choose({ place: placeSelect.value, run: "", node: "" });
    drawAll();
  });
}
setUpIncidents();
showTimes();
showAge();
drawAll();
followAddress();
addEventListener("hashchange", () => { drawIncidents(); drawRuns(); drawNode(); followAddress(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { drawTrends(); drawBusiness(); });
for (const anchor of document.querySelectorAll('a[href^="#"]')) {
  anchor.addEventListener("click", (event) => {
    // Keep what is chosen: the native link would drop it.
    const [name, query] = anchor.getAttribute("href").slice(1).split("?");
    const { chosen } = readAddress();
    for (const [key, value] of new URLSearchParams(query || "")) chosen.set(key, value);
    event.preventDefault();
    location.hash = `${name}${chosen.toString() ? `?${chosen}` : ""}`;
    followAddress();
  });
}

const newer = document.getElementById("newer");
if (newer) {
  newer.querySelector("button").addEventListener("click", () => location.reload());
  setInterval(async () => {
    const answer = await fetch("version").catch(() => null);
    if (answer && answer.ok && (await answer.text()) !== String(DATA.rendered_at)) newer.hidden = false;
  }, 5000);
}
