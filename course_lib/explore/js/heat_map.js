// Cells with their numbers, as deep in colour as they are high, and what a method sees of them.
//
// update({ map, high, digits, boxes, bins, points, rings, label })
//   map     rows of numbers, 0 to high, written with so many decimals, 1 if it is missing
//   boxes   [{ box, color, width, dash }, ...]
//   bins    { rows: [[top, bottom], ...], columns, color, fill, apart }: the bins, the first drawn
//           stronger; `apart` draws each a little smaller, for bins that overlap
//   points  [[x, y], ...];  rings: [[x, y], ...], the cells whose number is ringed

import { html, keep, onResize, paint, set, setText, svg, written } from "./dom.js";

/** How much sky blue lies on the white of a cell, 0 to 1: under dark letters in every theme. */
export const heat = (value, high) => Math.round(1000 * Math.min(Math.max(value / high, 0), 1)) / 1000;

export function heatMap() {
  let state = null, width = 0, ground = "";
  const cells = svg("g"), words = svg("g", { "aria-hidden": "true" }), boxes = svg("g"), bins = svg("g"), rings = svg("g"), points = svg("path", { class: "odx-sample" });
  const casing = svg("path", { class: "odx-bin-casing" });
  const root = svg("svg", { class: "odx-canvas odx-heat", role: "img" }, cells, casing, bins, boxes, words, rings, points);
  const node = html("div", { class: "odx-stage" }, root);
  onResize(root, (now) => {
    width = now;
    if (state) show();
  });

  const frame = ([x1, y1, x2, y2]) => `M${x1} ${y1}H${x2}V${y2}H${x1}Z`;

  function showCells(map, high, digits, u) {
    const key = JSON.stringify([map, high, digits, u]);
    if (key === ground) return;
    ground = key;
    const flat = map.flatMap((row, y) => row.map((value, x) => [x, y, value]));
    const squares = keep(cells, flat.length, () => svg("rect", { width: 1, height: 1 }));
    keep(words, flat.length, () => svg("text", { "text-anchor": "middle" })).forEach((text, n) => {
      const [x, y, value] = flat[n];
      set(squares[n], { x, y, "fill-opacity": heat(value, high), "stroke-width": u });
      set(text, { x: x + 0.5, y: y + 0.5 + 4.2 * u, "font-size": Math.min(13 * u, 0.36), "stroke-width": 2.5 * u });
      setText(text, written(value, digits));
    });
  }

  function show() {
    const { map, high, digits, bins: drawn, label } = state, H = map.length, W = map[0].length, u = W / (width || 320);
    set(root, { viewBox: `0 0 ${W} ${H}`, "aria-label": label });
    showCells(map, high, digits, u);
    const all = drawn ? drawn.rows.flatMap(([top, bottom], r) => drawn.columns.map(([left, right], c) => {
      const gap = drawn.apart ? (2 + 2.5 * ((r + c) % 2)) * u : 0;
      return [left + gap, top + gap, right - gap, bottom - gap];
    })).filter(([x1, y1, x2, y2]) => x2 > x1 && y2 > y1) : [];
    set(casing, { d: all.map(frame).join(""), "stroke-width": 4.5 * u });
    keep(bins, all.length, () => svg("path")).forEach((bin, n) => {
      set(bin, { d: frame(all[n]), stroke: paint(drawn.color), "stroke-width": (n ? 2 : 3.5) * u, fill: drawn.fill ? paint(drawn.color) : "none", "fill-opacity": drawn.fill ? drawn.fill * (n ? 1 : 1.6) : 0 });
    });
    keep(boxes, state.boxes.length, () => svg("g", {}, svg("path", { class: "odx-bin-casing" }), svg("path", { fill: "none" }))).forEach((group, n) => {
      const { box, color, width: line = 2, dash } = state.boxes[n], [under, over] = group.children;
      set(under, { d: frame(box), "stroke-width": (line + 2) * u });
      set(over, { d: frame(box), stroke: paint(color), "stroke-width": line * u, "stroke-dasharray": dash ? `${6 * u} ${4 * u}` : null });
    });
    keep(rings, state.rings.length, () => svg("circle", { class: "odx-cellring" })).forEach((ring, n) => {
      set(ring, { cx: state.rings[n][0] + 0.5, cy: state.rings[n][1] + 0.5, r: 0.36, "stroke-width": 2 * u });
    });
    const r = (state.points.length > 40 ? 2.4 : 3.4) * u;
    set(points, { d: state.points.map(([x, y]) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`).join(""), "stroke-width": 1.2 * u });
  }

  return {
    node,
    root,
    update(next) {
      state = { digits: 1, boxes: [], bins: null, points: [], rings: [], label: "", ...next };
      show();
    },
  };
}
