// Columns in a row, each with the height it had before behind it.
//
// update({ max, columns: [{ value, before, color, name }, ...], guide, y, label })
//   guide  a dotted line at that height;  y: what the height is, in words

import { html, keep, onResize, paint, set, setText, short, svg, widget } from "./dom.js";

const SIDE = { left: 34, right: 4, top: 8, bottom: 8, height: 150 };

export function columnStrip() {
  let state = null, width = 480;
  const ghosts = svg("g"), bars = svg("g"), ticks = svg("g", { class: "odx-axes" });
  const guide = svg("path", { class: "odx-guide" }), title = svg("text", { "font-size": 12 });
  const root = svg("svg", { class: "odx-plot", role: "img" }, ticks, ghosts, bars, guide, svg("g", { class: "odx-axes" }, title));
  const node = html("div", { class: "odx-plotbox" }, root);
  onResize(root, (now) => {
    width = now;
    if (state) show();
  });

  function show() {
    const { columns, max } = state, bottom = SIDE.height - SIDE.bottom;
    const wide = (width - SIDE.left - SIDE.right) / Math.max(columns.length, 1);
    const y = (value) => bottom - (value / max) * (bottom - SIDE.top);
    set(root, { viewBox: `0 0 ${width} ${SIDE.height}`, height: SIDE.height, "aria-label": state.label });
    const marks = [0, max / 2, max];
    keep(ticks, marks.length, () => svg("g", {}, svg("path", { class: "odx-gridlines" }), svg("text", { "font-size": 12, "text-anchor": "end" }))).forEach((group, n) => {
      const [line, text] = group.children;
      set(line, { d: `M${SIDE.left} ${y(marks[n])}H${width - SIDE.right}` });
      set(text, { x: SIDE.left - 5, y: y(marks[n]) + 4 });
      setText(text, short(marks[n]));
    });
    const place = (n, value) => ({
      x: SIDE.left + (n + 0.12) * wide, width: Math.max(0.76 * wide, 0.5), y: y(Math.min(value, max)), height: Math.max(bottom - y(Math.min(value, max)), 0),
    });
    keep(ghosts, columns.length, () => svg("rect", { class: "odx-ghost" })).forEach((bar, n) => set(bar, place(n, columns[n].before ?? 0)));
    keep(bars, columns.length, () => svg("rect")).forEach((bar, n) => set(bar, { ...place(n, columns[n].value), fill: paint(columns[n].color) }));
    set(guide, { d: state.guide === null ? "" : `M${SIDE.left} ${y(state.guide)}H${width - SIDE.right}` });
    set(title, { x: width - SIDE.right - 2, y: SIDE.top + 10, "text-anchor": "end" });
    setText(title, state.y);
  }

  return {
    node,
    update(next) {
      state = { max: 1, guide: null, y: "", label: "", ...next };
      show();
    },
  };
}

export default widget(columnStrip, ["max", "columns", "guide", "y", "label"]);
