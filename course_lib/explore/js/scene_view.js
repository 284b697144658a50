// A picture with many boxes to look at, each drawn as its part in the story asks for.
//
// update({ width, height, image, alt, boxes, label })
//   boxes  [{ box: [x1, y1, x2, y2], color, width, dash, opacity, fill, name }, ...], the last on top;
//          the name, if any, is written on a tag above the box

import { html, keep, onResize, paint, set, setText, surface, svg, widget } from "./dom.js";

const LETTERS = 11; // size of the letters on a tag, in pixels of the screen

export function sceneView() {
  let state = null, width = 0;
  const picture = svg("image", { x: 0, y: 0, preserveAspectRatio: "none" });
  const boxes = svg("g");
  const root = svg("svg", { class: "odx-canvas", role: "img" }, picture, boxes);
  const node = html("div", { class: "odx-stage" }, root);
  onResize(root, (now) => {
    width = now;
    if (state) show();
  });

  const makeBox = () => svg("g", {}, svg("rect"), svg("rect"), svg("rect"), svg("text", { class: "odx-tagtext" }));

  function showBox(group, item, u) {
    const { box: [x1, y1, x2, y2], color, width: line = 2, dash = false, opacity = 1, fill = 0, name = "" } = item;
    const [casing, outline, tag, text] = group.children;
    const frame = { x: x1, y: y1, width: Math.max(x2 - x1, 0), height: Math.max(y2 - y1, 0) };
    set(group, { opacity });
    set(casing, { ...frame, fill: "none", stroke: "#ffffff", "stroke-opacity": line > 1.5 ? 0.6 : 0, "stroke-width": (line + 2) * u });
    set(outline, {
      ...frame, fill: fill ? paint(color) : "none", "fill-opacity": fill, stroke: paint(color),
      "stroke-width": line * u, "stroke-dasharray": dash ? `${5 * u} ${4 * u}` : null,
    });
    const [back, ink] = surface(color), high = (LETTERS + 4) * u;
    const wide = name ? (name.length * 0.62 * LETTERS + 6) * u : 0;
    const left = Math.min(Math.max(x1, 0), state.width - wide);
    const top = y1 >= high ? y1 - high : Math.max(y1, 0);
    set(tag, { x: left, y: top, width: wide, height: name ? high : 0, fill: back });
    set(text, { x: left + wide / 2, y: top + high * 0.76, "font-size": LETTERS * u, fill: ink });
    setText(text, name);
  }

  function show() {
    const { width: wide, height, image, alt, label } = state, u = wide / (width || wide);
    set(root, { viewBox: `0 0 ${wide} ${height}`, "aria-label": [label, alt].filter(Boolean).join(" ") });
    set(picture, { href: image || null, width: wide, height });
    keep(boxes, state.boxes.length, makeBox).forEach((group, n) => showBox(group, state.boxes[n], u));
  }

  return {
    node,
    update(next) {
      state = { image: "", alt: "", label: "", ...next };
      show();
    },
  };
}

export default widget(sceneView, ["width", "height", "image", "alt", "boxes", "label"]);
