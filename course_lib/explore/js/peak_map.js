// The output of a network over its pale picture: each location as strong in colour as it is high.
//
// update({ width, height, image, alt, grid, stride, heat, frames, centres, label })
//   grid     [H, W] of the output;  heat: for each location 0 to 1, row by row
//   frames   [{ box, color, dash }, ...] in pixels of the picture
//   centres  [{ at: [x, y], name }, ...], where the centres really lie

import { html, keep, onResize, paint, set, setText, svg } from "./dom.js";

/** A colour of the palette as [r, g, b]. */
function pixelColor(node, name) {
  const hex = getComputedStyle(node).getPropertyValue(`--odx-${name}`).trim();
  return [1, 3, 5].map((from) => parseInt(hex.slice(from, from + 2), 16));
}

export function peakMap() {
  let state = null, width = 0;
  const picture = svg("image", { x: 0, y: 0, preserveAspectRatio: "none" });
  const pale = svg("svg", { class: "odx-canvas odx-pale", "aria-hidden": "true" }, picture);
  const heat = html("canvas", { class: "odx-heatlayer", "aria-hidden": "true" });
  const lines = svg("path", { class: "odx-outputlines" }), frames = svg("g"), centres = svg("g");
  const marks = svg("svg", { class: "odx-peakmarks", role: "img" }, lines, frames, centres);
  const node = html("div", { class: "odx-peaks" }, pale, heat, marks);
  onResize(pale, (now) => {
    width = now;
    if (state) show();
  });

  function paintHeat() {
    const { heat: values, grid: [H, W], stride, width: wide, height } = state;
    if (heat.width !== W || heat.height !== H) [heat.width, heat.height] = [W, H];
    // The last row and column may reach beyond the picture.
    set(heat, { style: `width: ${(100 * W * stride) / wide}%; height: ${(100 * H * stride) / height}%` });
    const context = heat.getContext("2d", { willReadFrequently: true }), pixels = context.createImageData(W, H), color = pixelColor(node, "anchor");
    for (let n = 0; n < values.length; n++) {
      if (values[n] === 0) continue;
      for (let c = 0; c < 3; c++) pixels.data[4 * n + c] = color[c];
      pixels.data[4 * n + 3] = Math.round(255 * values[n]);
    }
    context.putImageData(pixels, 0, 0);
  }

  const makeCentre = () => svg("g", {}, svg("circle", { class: "odx-centre", fill: "#1f1f1f" }), svg("text", { class: "odx-sideword" }));

  function show() {
    const { width: wide, height, image, alt, stride, grid: [H, W], label } = state, u = wide / (width || wide);
    for (const one of [pale, marks]) set(one, { viewBox: `0 0 ${wide} ${height}` });
    set(marks, { "aria-label": [label, alt].filter(Boolean).join(" ") });
    set(picture, { href: image || null, width: wide, height });
    paintHeat();
    let d = "";
    for (let x = 1; x < W; x++) d += `M${x * stride} 0V${height}`;
    for (let y = 1; y < H; y++) d += `M0 ${y * stride}H${wide}`;
    set(lines, { d, "stroke-width": (stride / u < 6 ? 0.4 : 0.7) * u });
    keep(frames, state.frames.length, () => svg("path", { fill: "none" })).forEach((frame, n) => {
      const { box: [x1, y1, x2, y2], color, dash } = state.frames[n];
      set(frame, { d: `M${x1} ${y1}H${x2}V${y2}H${x1}Z`, stroke: paint(color), "stroke-width": 1.6 * u, "stroke-dasharray": dash ? `${5 * u} ${4 * u}` : null });
    });
    keep(centres, state.centres.length, makeCentre).forEach((group, n) => {
      const { at: [x, y], name } = state.centres[n], [dot, text] = group.children;
      set(dot, { cx: x, cy: y, r: 2.6 * u, "stroke-width": u });
      set(text, { x: x + 6 * u, y: y - 6 * u, "font-size": 13 * u, "stroke-width": 3.5 * u });
      setText(text, name);
    });
  }

  return {
    node,
    update(next) {
      state = { alt: "", frames: [], centres: [], label: "", ...next };
      show();
    },
  };
}
