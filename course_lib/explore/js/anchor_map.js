// A picture under a grid of locations, each with its verdict, and some anchors.
//
// update({ width, height, image, alt, stride, dots, anchors, truth, here, label })
//   stride   side of the squares that the locations stand for; thin lines between them
//   dots     { positive, ignored, negative }: places [x, y]
//   anchors  [{ box, dash }, ...] that are positive
//   truth    [{ box, name, missed }, ...]
//   here     { at: [x, y], boxes: [{ box, strong }, ...], label } the chosen location and its anchors
// onChange({ step: [dx, dy] }) when an arrow key is pressed on the chosen location

import { html, keep, onResize, set, setText, svg } from "./dom.js";

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const NAME = 11; // size of the letters on a tag, in pixels of the screen

const outline = ([x1, y1, x2, y2]) => `M${x1} ${y1}H${x2}V${y2}H${x1}Z`;
const disc = ([x, y], r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`;

export function anchorMap(onChange = () => {}) {
  let state = null, width = 0;
  const picture = svg("image", { x: 0, y: 0, preserveAspectRatio: "none" });
  const path = (name) => svg("path", { class: name });
  const lines = path("odx-cells"), negative = path("odx-dot-negative"), ignored = path("odx-dot-ignored"), positive = path("odx-dot-positive");
  const casing = path("odx-anchor-casing"), matched = path("odx-anchor-positive"), rescued = path("odx-anchor-positive");
  const truth = svg("g"), tags = svg("g");
  const hereCasing = path("odx-anchor-casing"), hereWeak = path("odx-anchor-here"), hereStrong = path("odx-anchor-here");
  const spot = svg(
    "g", { class: "odx-spot", tabindex: 0, role: "application", "aria-roledescription": "movable location", onkeydown: press },
    svg("circle", { class: "odx-spot-ring" }), svg("circle", { class: "odx-spot-dot" }),
  );
  const root = svg(
    "svg", { class: "odx-canvas", role: "group" },
    picture, lines, casing, matched, rescued, truth, negative, ignored, positive, hereWeak, hereCasing, hereStrong, tags, spot,
  );
  onResize(root, (now) => {
    width = now;
    if (state) show();
  });

  function press(event) {
    const way = STEPS[event.key];
    if (!way || event.altKey) return;
    event.preventDefault();
    onChange({ step: way });
  }

  const makeTruth = () => svg("g", {}, path("odx-truth-casing"), path("odx-truth"));
  const makeTag = () => svg("g", {}, svg("rect"), svg("text", { class: "odx-tagtext" }));

  function showTruth(group, label, { box, name, missed }, u) {
    const [under, line] = group.children, [tag, text] = label.children, d = outline(box), high = (NAME + 4) * u;
    const words = missed ? `${name} ×` : name, wide = (words.length * 0.62 * NAME + 7) * u;
    set(under, { d, "stroke-width": 4.5 * u });
    set(line, { d, "stroke-width": 2.2 * u, "stroke-dasharray": missed ? `${5 * u} ${4 * u}` : null });
    const left = Math.min(Math.max(box[0] - 1.1 * u, 0), state.width - wide), top = box[1] >= high ? box[1] - high : box[1];
    set(tag, { x: left, y: top, width: wide, height: high, class: missed ? "odx-truthtag odx-missed" : "odx-truthtag", "stroke-width": 1.2 * u });
    set(text, { x: left + wide / 2, y: top + high * 0.76, "font-size": NAME * u, class: missed ? "odx-tagtext odx-missed" : "odx-tagtext odx-known" });
    setText(text, words);
  }

  function show() {
    const { width: wide, height, image, alt, stride, dots, anchors, here, label } = state, u = wide / (width || wide);
    const near = stride / u; // pixels of the screen from one dot to the next
    const size = Math.min(Math.max(near / 5, 2.2), 5) * u;
    set(root, { viewBox: `0 0 ${wide} ${height}`, "aria-label": [label, alt].filter(Boolean).join(" "), "data-plain": image ? null : "yes" });
    set(picture, { href: image || null, width: wide, height });
    let grid = "";
    for (let x = stride; x < wide; x += stride) grid += `M${x} 0V${height}`;
    for (let y = stride; y < height; y += stride) grid += `M0 ${y}H${wide}`;
    set(lines, { d: grid, "stroke-width": u });
    const dot = (list, r) => list.map((at) => disc(at, r)).join("");
    set(negative, { d: dot(dots.negative, size * 0.36), "stroke-width": 0.8 * u });
    set(ignored, { d: dot(dots.ignored, size * 0.72), "stroke-width": size * 0.42 });
    set(positive, { d: dot(dots.positive, size), "stroke-width": 1.3 * u });
    const all = anchors.map(({ box }) => outline(box)).join("");
    const opacity = Math.min(1, Math.max(0.28, 5 / Math.sqrt(anchors.length || 1)));
    set(casing, { d: anchors.length > 40 ? "" : all, "stroke-width": 3 * u });
    set(matched, { d: anchors.filter(({ dash }) => !dash).map(({ box }) => outline(box)).join(""), "stroke-width": 1.5 * u, "stroke-opacity": opacity });
    set(rescued, { d: anchors.filter(({ dash }) => dash).map(({ box }) => outline(box)).join(""), "stroke-width": 1.8 * u, "stroke-dasharray": `${5 * u} ${3 * u}` });
    const labels = keep(tags, state.truth.length, makeTag);
    keep(truth, state.truth.length, makeTruth).forEach((group, n) => showTruth(group, labels[n], state.truth[n], u));
    set(hereCasing, { d: here.boxes.filter(({ strong }) => strong).map(({ box }) => outline(box)).join(""), "stroke-width": 5.5 * u });
    set(hereWeak, { d: here.boxes.filter(({ strong }) => !strong).map(({ box }) => outline(box)).join(""), "stroke-width": 2 * u });
    set(hereStrong, { d: here.boxes.filter(({ strong }) => strong).map(({ box }) => outline(box)).join(""), "stroke-width": 3.5 * u });
    const [ring, centre] = spot.children, [x, y] = here.at;
    set(ring, { cx: x, cy: y, r: 7.5 * u, "stroke-width": 3 * u });
    set(centre, { cx: x, cy: y, r: 4 * u });
    set(spot, { "aria-label": here.label });
  }

  return {
    node: root,
    update(next) {
      state = next;
      show();
    },
  };
}

/** One drawing under another of the same size; the upper one hears the pointer. */
export const stacked = (under, over) => html("div", { class: "odx-stack" }, html("div", { class: "odx-under" }, under), over);
