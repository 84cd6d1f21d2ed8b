// The filter of the incidents: their rows are in the page, and are shown or hidden.
function drawIncidents() {
  const form = document.querySelector("form[data-list=incidents]");
  if (!form) return;
  const place = chosenPlace();
  const wanted = {};
  for (const field of form.elements) {
    if (!field.name) continue;
    field.value = chosenValue(field.name);
    wanted[field.name.slice(2)] = field.value;
  }
  const text = wanted.text.toLowerCase();
  let shown = 0, here = 0;
  const all = document.querySelectorAll(".incident");
  for (const node of all) {
    const isHere = place === "all" || node.dataset.place === place;
    const fits = ["state", "severity", "kind", "owner"].every((name) => !wanted[name] || node.dataset[name] === wanted[name]);
    node.hidden = !(isHere && fits && (!text || node.textContent.toLowerCase().includes(text)));
    here += isHere ? 1 : 0;
    shown += node.hidden ? 0 : 1;
  }
  form.querySelector("output").textContent = `${shown} of ${here} shown`;
}

function setUpIncidents() {
  const form = document.querySelector("form[data-list=incidents]");
  if (!form) return;
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", (event) => {
    choose({ [event.target.name]: event.target.value });
    drawIncidents();
  });
}
