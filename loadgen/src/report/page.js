"use strict";
// Shows the values under the pointer; the drawings themselves need no script.
(() => {
  const tip = document.getElementById("tip");
  const text = (tag, content) => { const e = document.createElement(tag); e.textContent = content; return e; };
  const show = (entry, event) => {
    tip.replaceChildren(text("b", entry.t));
    for (const [name, value, colour] of entry.v) {
      const row = document.createElement("div"), label = document.createElement("span"), dot = document.createElement("i");
      dot.style.background = `var(--${colour})`;
      label.append(dot, name);
      row.append(label, text("span", value));
      tip.append(row);
    }
    tip.style.display = "block";
    const left = event.clientX + 18 + tip.offsetWidth > innerWidth ? event.clientX - 18 - tip.offsetWidth : event.clientX + 18;
    tip.style.left = `${Math.max(4, left)}px`;
    tip.style.top = `${Math.max(4, Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 6))}px`;
  };
  for (const svg of document.querySelectorAll("svg")) {
    const source = svg.querySelector("metadata.hover");
    if (!source) continue;
    const { box: [left, top, width, height], at } = JSON.parse(source.textContent);
    const cursor = document.createElementNS(svg.namespaceURI, "line");
    for (const [key, value] of Object.entries({ y1: top, y2: top + height, stroke: "var(--muted)", "stroke-dasharray": "3 3", visibility: "hidden" })) cursor.setAttribute(key, value);
    svg.append(cursor);
    const hide = () => { tip.style.display = "none"; cursor.setAttribute("visibility", "hidden"); };
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("pointermove", (event) => {
      const rect = svg.getBoundingClientRect();
      const x = (event.clientX - rect.left) * svg.viewBox.baseVal.width / rect.width;
      if (x < left - 8 || x > left + width + 8 || !at.length) return hide();
      const entry = at.reduce((best, next) => Math.abs(next.x - x) < Math.abs(best.x - x) ? next : best);
      cursor.setAttribute("x1", entry.x);
      cursor.setAttribute("x2", entry.x);
      cursor.setAttribute("visibility", "visible");
      show(entry, event);
    });
  }
  const button = document.getElementById("theme");
  button?.addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
})();
