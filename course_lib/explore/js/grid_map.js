// A picture under S × S cells, some of them coloured, and the places of some centres in them.
//
// update({ width, height, image, alt, S, cells, centres, label })
//   cells    [{ cell: [row, column], color, strong }, ...]; a strong one has an outline
//   centres  [{ at: [x, y], color, cell }, ...]; with a cell, two arms show how far into it they lie

import { onResize, keep, paint, set, svg } from "./dom.js";

export function gridMap() {
  let state = null, width = 0;
  const picture = svg("image", { x: 0, y: 0, preserveAspectRatio: "none" });
  const cells = svg("g"), lines = svg("path", { class: "odx-cells odx-gridcells" }), centres = svg("g");
  const root = svg("svg", { class: "odx-canvas", role: "img" }, picture, cells, lines, centres);
  onResize(root, (now) => {
    width = now;
    if (state) show();
  });

  const makeCentre = () => svg("g", {}, svg("path", { class: "odx-arm-casing" }), svg("path", { class: "odx-arm" }), svg("circle", { class: "odx-centre" }));

  function show() {
    const { width: wide, height, image, alt, S, label } = state, u = wide / (width || wide);
    const w = wide / S, h = height / S, inner = Array.from({ length: S - 1 }, (_, k) => k + 1);
    set(root, { viewBox: `0 0 ${wide} ${height}`, "aria-label": [label, alt].filter(Boolean).join(" ") });
    set(picture, { href: image || null, width: wide, height });
    set(lines, { d: inner.map((k) => `M${k * w} 0V${height}M0 ${k * h}H${wide}`).join(""), "stroke-width": u });
    keep(cells, state.cells.length, () => svg("rect")).forEach((rect, n) => {
      const { cell: [row, column], color, strong } = state.cells[n];
      set(rect, {
        x: column * w, y: row * h, width: w, height: h, fill: paint(color), "fill-opacity": strong ? 0.6 : 0.5,
        stroke: strong ? paint(color) : "none", "stroke-width": strong ? 4 * u : null,
      });
    });
    keep(centres, state.centres.length, makeCentre).forEach((group, n) => {
      const { at: [x, y], color, cell } = state.centres[n], [casing, arm, dot] = group.children;
      const d = cell ? `M${cell[1] * w} ${y}H${x}M${x} ${cell[0] * h}V${y}` : "";
      set(casing, { d, "stroke-width": 4 * u });
      set(arm, { d, "stroke-width": 2 * u, stroke: paint(color) });
      set(dot, { cx: x, cy: y, r: 4 * u, fill: paint(color), "stroke-width": 1.5 * u });
    });
  }

  return {
    node: root,
    update(next) {
      state = { cells: [], centres: [], label: "", ...next };
      show();
    },
  };
}
