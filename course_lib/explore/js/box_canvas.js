// A picture with boxes to drag, to resize at their corners, to nudge with the arrow keys, to type.
//
// update({ width, height, image, alt, grid, boxes, names, colors, quiet, dashed, regions, step, resizable, label, badge })
//   width, height  of the scene, in its own pixels; boxes are [[x1, y1, x2, y2], ...] in these
//   quiet, dashed  for each box, if it is drawn thin and without handles, or with a dashed line
//   image          address of a picture that fills the scene, or ""; alt tells what is on it
//   grid           side of the squares of a plain grid, or 0
//   regions        [{ path, color, opacity, dash, thin, hatch }, ...] under the boxes; path is SVG's
//   badge          a few words in a corner of the picture, where the eye is while it drags
//   step           boxes snap to its multiples;  resizable: false for shapes of a fixed size
// onChange({ boxes })

import { numberField } from "./controls.js";
import { html, keep, onResize, paint, set, setText, short, surface, svg, widget } from "./dom.js";

const HELP = "Drag a box or a corner, type, or press Tab and use the arrow keys (Shift resizes, Control makes ten steps).";
const HELP_MOVE = "Drag a shape, type, or press Tab and use the arrow keys (Control makes ten steps).";
const SIDES = ["x1", "y1", "x2", "y2"];
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const REACH = { mouse: 12, pen: 12, touch: 24 }; // how near to a corner, in pixels of the screen
const HANDLE = 7; // half the diagonal of a corner's handle
const TAG = 20; // side of the tag with a box's name, in pixels of the screen

/** The outline of a box, for a region's `path`. */
export const boxPath = ([x1, y1, x2, y2]) =>
  x2 > x1 && y2 > y1 ? `M${x1} ${y1}H${x2}V${y2}H${x1}Z` : "";

const chip = (color) => `--chip: ${surface(color)[0]}; --chip-ink: ${surface(color)[1]}`;

export function boxCanvas(onChange = () => {}) {
  let state = null;
  let drag = null; // { box, corner, from, start } while the pointer is down
  let fields = [];

  const picture = svg("image", { x: 0, y: 0, preserveAspectRatio: "none" });
  const lines = svg("path", { class: "odx-gridlines" });
  const numbers = svg("g", { class: "odx-gridnumbers", "aria-hidden": "true" });
  const regions = svg("g", { "aria-hidden": "true" });
  const boxes = svg("g");
  const hatch = svg(
    "pattern",
    { id: `odx-hatch-${Math.random().toString(36).slice(2)}`, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    svg("path", { class: "odx-hatch" }),
  );
  const root = svg(
    "svg",
    { class: "odx-canvas", role: "group", onpointerdown: grab, onpointermove: move, onpointerup: drop, onpointercancel: drop },
    svg("defs", {}, hatch), picture, lines, numbers, regions, boxes,
  );
  const typed = html("div", { class: "odx-coordinates" });
  const badge = html("div", { class: "odx-badge", "aria-hidden": "true" });
  const help = html("p", { class: "odx-note", id: `odx-help-${Math.random().toString(36).slice(2)}` });
  const node = html("div", { class: "odx-stage" }, html("div", { class: "odx-picture" }, root, badge), typed, help);
  let width = 0; // on the screen, in pixels
  onResize(root, (now) => {
    width = now;
    if (state) show();
  });

  /** Scene units for one pixel of the screen. */
  const unit = () => state.width / (width || state.width);

  function place(event) {
    const frame = root.getBoundingClientRect();
    return [
      ((event.clientX - frame.left) / frame.width) * state.width,
      ((event.clientY - frame.top) / frame.height) * state.height,
    ];
  }

  const snap = (value) => Math.round(value / state.step) * state.step;
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  function report(k, box) {
    state.boxes = state.boxes.map((old, n) => (n === k ? box : old)); // until the owner answers
    onChange({ boxes: state.boxes });
  }

  function moved([x1, y1, x2, y2], dx, dy) {
    const left = clamp(x1 + dx, 0, state.width - (x2 - x1));
    const top = clamp(y1 + dy, 0, state.height - (y2 - y1));
    return [left, top, left + (x2 - x1), top + (y2 - y1)];
  }

  /** The box with one corner (0 left or 2 right, 1 top or 3 bottom) at a new place. */
  function resized(box, [cx, cy], x, y) {
    const next = [...box];
    next[cx] = cx === 0 ? clamp(x, 0, Math.max(box[2] - state.step, 0)) : clamp(x, Math.min(box[0] + state.step, state.width), state.width);
    next[cy] = cy === 1 ? clamp(y, 0, Math.max(box[3] - state.step, 0)) : clamp(y, Math.min(box[1] + state.step, state.height), state.height);
    return next;
  }

  /** Where the tag of a box is: the first wears it above, the second below, so that they stay apart. */
  function tagPlace(k) {
    const [x1, y1, x2, y2] = state.boxes[k], side = TAG * unit();
    const left = clamp(k % 2 ? x2 - side : x1, 0, state.width - side);
    const top = k % 2 ? (y2 + side <= state.height ? y2 : y2 - side) : y1 >= side ? y1 - side : y1;
    return [left, top, side];
  }

  // --- mouse and finger

  /** What lies under a place: a tag, then a corner, then the smallest box. */
  function find([x, y], pointer = "mouse") {
    const reach = REACH[pointer] * unit();
    let best = null, least = Infinity;
    state.boxes.forEach((box, k) => {
      const [left, top, side] = tagPlace(k);
      if (x >= left && x <= left + side && y >= top && y <= top + side) [best, least] = [{ k, corner: null }, -Infinity];
      if (state.resizable && !state.quiet[k]) {
        for (const corner of [[0, 1], [2, 1], [0, 3], [2, 3]]) {
          const far = Math.hypot(box[corner[0]] - x, box[corner[1]] - y);
          const score = far < HANDLE * unit() ? -Infinity : far - reach; // a handle lies over a tag
          if (far < reach && score <= least) [best, least] = [{ k, corner }, score];
        }
      }
      const inside = x >= box[0] && x <= box[2] && y >= box[1] && y <= box[3];
      const area = (box[2] - box[0]) * (box[3] - box[1]);
      if (inside && area <= least) [best, least] = [{ k, corner: null }, area];
    });
    return best;
  }

  function grab(event) {
    if (event.button !== 0 || drag) return;
    const from = place(event), found = find(from, event.pointerType);
    if (!found) return;
    event.preventDefault();
    boxes.children[found.k].focus({ preventScroll: true });
    root.setPointerCapture(event.pointerId);
    drag = { ...found, from, start: state.boxes[found.k], pointer: event.pointerId };
    set(root, { "data-dragging": "yes" });
  }

  // A finger on a box moves it; anywhere else it scrolls the page.
  root.addEventListener(
    "touchstart",
    (event) => state && find(place(event.touches[0]), "touch") && event.preventDefault(),
    { passive: false },
  );

  function move(event) {
    const [x, y] = place(event);
    if (!drag) {
      const found = find([x, y]);
      root.style.cursor = !found ? "" : !found.corner ? "move"
        : (found.corner[0] === 0) === (found.corner[1] === 1) ? "nwse-resize" : "nesw-resize";
      return;
    }
    if (event.pointerId !== drag.pointer) return;
    const { k, corner, from, start } = drag;
    const dx = snap(x - from[0]), dy = snap(y - from[1]);
    report(k, corner ? resized(start, corner, start[corner[0]] + dx, start[corner[1]] + dy) : moved(start, dx, dy));
  }

  function drop(event) {
    if (drag?.pointer !== event.pointerId) return;
    drag = null;
    set(root, { "data-dragging": null });
  }

  // --- keys

  function press(k, event) {
    const way = ARROWS[event.key];
    if (!way || event.altKey) return;
    event.preventDefault();
    const far = state.step * (event.ctrlKey || event.metaKey ? 10 : 1);
    const [dx, dy] = [way[0] * far, way[1] * far];
    const box = state.boxes[k];
    if (!event.shiftKey) report(k, moved(box, dx, dy));
    else if (state.resizable) report(k, resized(box, [2, 3], box[2] + dx, box[3] + dy));
  }

  let before = null; // the box as it was when typing began: "1" on the way to "150" leaves no trace
  function type(k, side, value, first) {
    if (first) before = state.boxes[k];
    const box = [...before], low = side % 2, whole = low === 0 ? state.width : state.height;
    if (!state.resizable) {
      const far = snap(value) - box[side];
      return report(k, low === 0 ? moved(box, far, 0) : moved(box, 0, far));
    }
    box[side] = side < 2 ? clamp(value, 0, whole - state.step) : clamp(value, state.step, whole);
    if (box[low] >= box[low + 2]) box[side < 2 ? low + 2 : low] = box[side] + (side < 2 ? state.step : -state.step);
    return report(k, box);
  }

  // --- drawing

  function makeBox(k) {
    const corners = [0, 1, 2, 3].map(() => svg("rect", { class: "odx-corner" }));
    return svg(
      "g",
      { class: "odx-box", tabindex: 0, role: "application", "aria-roledescription": "movable box", "aria-describedby": help.id, onkeydown: (event) => press(k, event) },
      svg("rect", { class: "odx-casing" }), svg("rect", { class: "odx-outline" }), ...corners,
      svg("rect", { class: "odx-tag" }), svg("text", { class: "odx-tagtext" }),
    );
  }

  function showBox(group, k) {
    const [x1, y1, x2, y2] = state.boxes[k], u = unit(), color = paint(state.colors[k]);
    const [back, ink] = surface(state.colors[k]);
    const [casing, outline, ...rest] = group.children;
    const [tag, text] = rest.slice(4);
    const frame = { x: x1, y: y1, width: Math.max(x2 - x1, 0), height: Math.max(y2 - y1, 0) };
    const quiet = state.quiet[k], dash = state.resizable && !state.dashed[k] ? null : `${5 * u} ${4 * u}`;
    set(casing, { ...frame, "stroke-width": (quiet ? 3 : 5) * u, "data-plain": state.image ? null : "yes" });
    set(outline, { ...frame, stroke: color, "stroke-width": (quiet ? 1.5 : 2.5) * u, "stroke-dasharray": dash });
    rest.slice(0, 4).forEach((corner, n) => {
      const side = 10 * u, x = [x1, x2, x1, x2][n], y = [y1, y1, y2, y2][n];
      set(corner, {
        x: x - side / 2, y: y - side / 2, width: side, height: side, fill: color, "stroke-width": 1.5 * u,
        visibility: state.resizable && !quiet ? null : "hidden",
      });
    });
    const [left, top, side] = tagPlace(k);
    set(tag, { x: left, y: top, width: side, height: side, fill: back });
    set(text, { x: left + side / 2, y: top + side * 0.74, "font-size": 14 * u, fill: ink });
    setText(text, state.names[k]);
    set(group, {
      "aria-label": `Box ${state.names[k]}: x ${short(x1)} to ${short(x2)}, y ${short(y1)} to ${short(y2)}`,
    });
  }

  function showRegions() {
    const u = unit(), shapes = keep(regions, state.regions.length, () => svg("path"));
    set(hatch, { width: 8 * u, height: 8 * u });
    set(hatch.firstChild, { d: `M0 0V${8 * u}`, "stroke-width": 3 * u });
    state.regions.forEach((region, n) => {
      const filled = region.opacity > 0;
      set(shapes[n], {
        d: region.path,
        fill: region.hatch ? `url(#${hatch.id})` : filled ? paint(region.color) : "none",
        "fill-opacity": region.hatch ? 1 : region.opacity ?? 0,
        stroke: region.dash ? paint(region.color) : "none",
        "stroke-width": (region.thin ? 1.5 : 2.5) * u,
        "stroke-dasharray": region.thin ? `${3 * u} ${3 * u}` : region.dash ? `${8 * u} ${5 * u}` : null,
      });
    });
  }

  let ground = "";
  function showGround() {
    const { width, height, image, grid } = state;
    const key = JSON.stringify([width, height, image.length, grid, unit()]);
    if (key === ground) return;
    ground = key;
    set(root, { viewBox: `0 0 ${width} ${height}` });
    set(picture, { href: image || null, width, height });
    let path = "";
    for (let x = grid; grid && x < width; x += grid) path += `M${x} 0V${height}`;
    for (let y = grid; grid && y < height; y += grid) path += `M0 ${y}H${width}`;
    set(lines, { d: path, "stroke-width": unit() });
    const size = 11 * unit(), every = Math.ceil((26 * unit()) / (grid || 1)) * grid;
    const marks = [];
    for (let x = every; grid && x < width; x += every) marks.push([x, size, "middle", x]);
    for (let y = every; grid && y < height; y += every) marks.push([size * 0.3, y + size * 0.35, "start", y]);
    numbers.replaceChildren(
      ...marks.map(([x, y, anchor, word]) =>
        svg("text", { x, y, "text-anchor": anchor, "font-size": size, "stroke-width": size / 4 }, String(word)),
      ),
    );
  }

  function showFields() {
    if (fields.length !== state.boxes.length) {
      fields = state.boxes.map((_, k) =>
        SIDES.map((side, n) =>
          numberField({ label: `${state.names[k]} ${side}`, step: "any", seen: side }, (value, first) => type(k, n, value, first)),
        ),
      );
      typed.replaceChildren(
        ...fields.map((four, k) =>
          html(
            "div", { class: "odx-fieldrow", role: "group", "aria-label": `Box ${state.names[k]}` },
            html("span", { class: "odx-chip", style: chip(state.colors[k]), "aria-hidden": "true" }, state.names[k]),
            ...four.map((field) => field.node),
          ),
        ),
      );
    }
    fields.forEach((four, k) => four.forEach((field, n) => field.update(state.boxes[k][n])));
  }

  function show() {
    showGround();
    showRegions();
    keep(boxes, state.boxes.length, makeBox).forEach(showBox);
    showFields();
    setText(badge, state.badge);
    badge.hidden = !state.badge;
    setText(help, state.resizable ? HELP : HELP_MOVE);
    set(root, { "aria-label": [state.label, state.alt].filter(Boolean).join(" ") });
  }

  return {
    node,
    update(next) {
      const or = (list, k, other) => list?.[k] ?? other;
      state = {
        image: "", alt: "", grid: 0, regions: [], step: 1, resizable: true, label: "", badge: "",
        ...next,
        names: next.boxes.map((_, k) => or(next.names, k, String.fromCharCode(65 + k))),
        colors: next.boxes.map((_, k) => or(next.colors, k, k % 2 ? "prediction" : "truth")),
        quiet: next.boxes.map((_, k) => or(next.quiet, k, false)),
        dashed: next.boxes.map((_, k) => or(next.dashed, k, false)),
      };
      show();
    },
  };
}

export default widget(boxCanvas, [
  "width", "height", "image", "alt", "grid", "boxes", "names", "colors", "quiet", "dashed",
  "regions", "step", "resizable", "label", "badge",
]);
