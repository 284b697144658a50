// One level of a pyramid over a picture: its locations, and where anchors answer for a box.
//
// update({ width, height, image, alt, grid, stride, offset, kinds, anchors, best, box, small, label })
//   grid     [H, W] of the level;  kinds: for each location 2 (positive), 1 (ignored) or 0
//   anchors  [{ box, dash }, ...] that are positive;  best: the box of the best anchor, or null
//   box      drawn too, where it is given
//   small    cells are coloured instead of dotted, on a pale picture

import { onResize, set, svg } from "./dom.js";

const frameOf = ([x1, y1, x2, y2]) => `M${x1} ${y1}H${x2}V${y2}H${x1}Z`;
const round = ([x, y], r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`;
const MANY = 40; // anchors that still wear a white line under the green one

export function levelMap() {
  let state = null, width = 0;
  const path = (name) => svg("path", { class: name });
  const picture = svg("image", { x: 0, y: 0, preserveAspectRatio: "none" });
  const dot = svg("circle", { class: "odx-dot-negative" }), edge = path("odx-celledge");
  const pattern = svg("pattern", { id: `odx-spots-${Math.random().toString(36).slice(2)}`, patternUnits: "userSpaceOnUse" }, edge, dot);
  const spots = svg("rect", { x: 0, y: 0 });
  const ignored = path("odx-dot-ignored"), positive = path("odx-dot-positive");
  const casing = path("odx-anchor-casing"), sure = path("odx-anchor-positive"), rescued = path("odx-anchor-positive");
  const bestCasing = path("odx-anchor-casing"), best = path("odx-anchor-here"), boxCasing = path("odx-truth-casing"), box = path("odx-truth");
  const root = svg("svg", { class: "odx-canvas odx-level", role: "img" }, svg("defs", {}, pattern), picture, spots, casing, sure, rescued, ignored, positive, bestCasing, best, boxCasing, box);
  onResize(root, (now) => {
    width = now;
    if (state) show();
  });

  function show() {
    const { width: wide, height, image, alt, grid: [H, W], stride, offset, kinds, anchors, small, label } = state, u = wide / (width || wide);
    set(root, { viewBox: `0 0 ${wide} ${height}`, "aria-label": [label, alt].filter(Boolean).join(" "), "data-small": small ? "yes" : null });
    set(picture, { href: image || null, width: wide, height });
    const near = stride / u, size = Math.min(Math.max(near / 5, 1.6), 5) * u, middle = offset * stride; // near: in pixels of the screen
    set(pattern, { width: stride, height: stride });
    set(dot, { cx: middle, cy: middle, r: small ? 0 : Math.min(size * 0.36, 1.8 * u), "stroke-width": 0.8 * u, visibility: small || near < 6 ? "hidden" : null });
    set(edge, { d: `M0 0H${stride}M0 0V${stride}`, "stroke-width": Math.min(u, near < 5 ? 0.4 * u : u) });
    set(spots, { width: W * stride, height: H * stride, fill: `url(#${pattern.id})` });
    const marks = ["", "", ""], r = [0, small ? 0 : size * 0.72, size];
    kinds.forEach((kind, n) => {
      if (!kind) return;
      const x = (n % W) * stride, y = Math.floor(n / W) * stride;
      marks[kind] += small ? `M${x} ${y}h${stride}v${stride}h${-stride}z` : round([x + middle, y + middle], r[kind]);
    });
    set(ignored, { d: marks[1], "stroke-width": small ? 0 : size * 0.42 });
    set(positive, { d: marks[2], "stroke-width": small ? 0 : 1.3 * u });
    const outlines = (dash) => anchors.filter((one) => one.dash === dash).map((one) => frameOf(one.box)).join("");
    const opacity = Math.min(1, Math.max(0.28, 5 / Math.sqrt(anchors.length || 1)));
    set(casing, { d: anchors.length > MANY ? "" : outlines(false) + outlines(true), "stroke-width": 3 * u });
    set(sure, { d: outlines(false), "stroke-width": 1.5 * u, "stroke-opacity": opacity });
    set(rescued, { d: outlines(true), "stroke-width": 1.8 * u, "stroke-dasharray": `${5 * u} ${3 * u}` });
    const top = state.best ? frameOf(state.best) : "", own = state.box ? frameOf(state.box) : "";
    set(bestCasing, { d: top, "stroke-width": 5 * u });
    set(best, { d: top, "stroke-width": 3 * u });
    set(boxCasing, { d: own, "stroke-width": 4 * u });
    set(box, { d: own, "stroke-width": 2 * u });
  }

  return {
    node: root,
    update(next) {
      state = { alt: "", anchors: [], best: null, box: null, small: false, label: "", ...next };
      show();
    },
  };
}
