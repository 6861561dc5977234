"use strict";
// Without this script everything can be read; with it charts tell values, tables sort, configurations are searched.

for (const svg of document.querySelectorAll("svg[data-plot]")) {
  const { x: [low, high, start, end], lines } = JSON.parse(svg.dataset.plot);
  const readout = svg.parentElement.querySelector(".readout");
  const cursor = svg.querySelector(".cursor");
  const steps = [...new Set(lines.flatMap(([, points]) => points.map(([step]) => step)))].sort((a, b) => a - b);
  let shown = -1;
  const nearest = (list, step) =>
    list.reduce((best, point) => (Math.abs(point[0] - step) < Math.abs(best[0] - step) ? point : best));
  const show = (index) => {
    shown = Math.min(Math.max(index, 0), steps.length - 1);
    const step = steps[shown];
    const place = start + ((end - start) * (step - low)) / (high - low);
    cursor.setAttribute("x1", place);
    cursor.setAttribute("x2", place);
    cursor.setAttribute("visibility", "visible");
    const told = new Map();
    for (const [label, points] of lines) told.set(label, nearest(points, step));
    readout.textContent = [...told]
      .map(([label, [at, value]]) => `${label} ${value}` + (at === step ? "" : ` (step ${at})`))
      .reduce((text, part) => `${text}  ${part}`, `step ${step}:`);
  };
  const hide = () => {
    shown = -1;
    cursor.setAttribute("visibility", "hidden");
    readout.textContent = readout.dataset.said;
  };
  svg.addEventListener("pointermove", (event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse()).x;
    const step = low + ((at - start) * (high - low)) / (end - start);
    show(steps.indexOf(nearest(steps.map((value) => [value]), step)[0]));
  });
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("blur", hide);
  svg.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity };
    if (!(event.key in moves)) return;
    event.preventDefault();
    show(shown < 0 && event.key === "ArrowLeft" ? steps.length - 1 : shown + moves[event.key]);
  });
}

for (const table of document.querySelectorAll("table.sortable")) {
  const value = (row, column) => {
    const text = row.cells[column].textContent;
    const number = Number(text.replaceAll(",", ""));
    return text === "" ? null : Number.isNaN(number) ? text : number;
  };
  table.querySelectorAll("th").forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") !== "descending";
      for (const other of table.querySelectorAll("th")) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows].sort((one, two) => {
        const [a, b] = [value(one, column), value(two, column)];
        if (a === null || b === null) return (a === null) - (b === null);
        const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
        return down ? -order : order;
      });
      table.tBodies[0].append(...rows);
    });
  });
}

const search = document.getElementById("config-search");
if (search) {
  search.closest("p").hidden = false;
  const rows = [...document.querySelectorAll(".config .keys tr")];
  search.addEventListener("input", () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const row of rows) {
      const hit = words.every((word) => row.textContent.toLowerCase().includes(word));
      row.hidden = !hit;
      found += hit;
    }
    for (const part of document.querySelectorAll(".config, .config details")) {
      const some = part.querySelector("tr:not([hidden])") !== null;
      part.hidden = !some;
      part.open = words.length > 0 && some;
    }
    document.getElementById("config-found").textContent = words.length ? `${found} of ${rows.length} keys` : "";
  });
}

document.addEventListener("play", (event) => {
  for (const other of document.querySelectorAll("audio")) if (other !== event.target) other.pause();
}, true);

addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details")) part.open = true;
});
