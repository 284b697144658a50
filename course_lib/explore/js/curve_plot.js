// Curves over two axes, with points and guides; a press or a drag in it chooses an x.
//
// update({ x, y, curves, points, guides, cursor, label })
//   x, y     axes: { label, min, max, ticks: [number or [number, text], ...] }
//   curves   [{ x: [...], y: [...], color, width, dash, fill, name, at, end }, ...]; the name stands on
//            the curve at x = at, with `end` above it and to the left; fill is how much of its colour
//            the area under it has, 0 to 1
//   points   [{ x, y, color, shape: "dot" | "ring", size, name, side: "left" | "right" }, ...]
//   guides   [{ x or y, name }, ...]: dotted lines
//   choosable  true if a press or a drag chooses an x
//   label    what the plot shows, in words
// onChange({ chosen: x })

import { html, keep, onResize, paint, set, setText, short, svg, widget } from "./dom.js";

const FONT = 12;
const SPACE = { left: 54, right: 14, top: 12, bottom: 40 };

export function curvePlot(onChange = () => {}) {
  let state = null, held = null;
  const axes = svg("g", { class: "odx-axes" });
  const guides = svg("g"), curves = svg("g"), names = svg("g"), points = svg("g");
  const root = svg(
    "svg",
    { class: "odx-plot", role: "img", onpointerdown: grab, onpointermove: move, onpointerup: drop, onpointercancel: drop },
    axes, guides, curves, points, names,
  );
  const node = html("div", { class: "odx-plotbox" }, root);
  let width = 480;
  onResize(root, (now) => {
    width = now;
    if (state) show();
  });

  const scale = () => {
    const { x, y } = state, height = Math.round(Math.min(Math.max(width * 0.58, 200), 300));
    const right = width - SPACE.right, bottom = height - SPACE.bottom;
    return {
      height, right, bottom,
      sx: (value) => SPACE.left + ((value - x.min) / (x.max - x.min)) * (right - SPACE.left),
      sy: (value) => bottom - ((value - y.min) / (y.max - y.min)) * (bottom - SPACE.top),
    };
  };

  function choose(event) {
    const frame = root.getBoundingClientRect(), { right } = scale(), { min, max } = state.x;
    const share = (event.clientX - frame.left - SPACE.left) / (right - SPACE.left);
    onChange({ chosen: min + Math.min(Math.max(share, 0), 1) * (max - min) });
  }
  function grab(event) {
    if (!state.choosable || event.button !== 0) return;
    event.preventDefault();
    held = { id: event.pointerId, x: event.clientX, y: event.clientY, sure: event.pointerType !== "touch" };
    root.setPointerCapture(held.id);
    if (held.sure) choose(event);
  }
  // A finger may want to scroll: only a sideways move, or a tap, chooses.
  function move(event) {
    if (event.pointerId !== held?.id) return;
    const aside = Math.abs(event.clientX - held.x), along = Math.abs(event.clientY - held.y);
    held.sure ||= aside > 8 && aside > along;
    if (held.sure) choose(event);
  }
  function drop(event) {
    if (event.pointerId !== held?.id) return;
    if (event.type === "pointerup" && !held.sure) choose(event);
    held = null;
  }

  let drawn = "";
  function showAxes({ height, right, bottom, sx, sy }) {
    const { x, y } = state, key = JSON.stringify([x, y, width, height]);
    if (key === drawn) return;
    drawn = key;
    const marks = ({ ticks }) => ticks.map((tick) => (Array.isArray(tick) ? tick : [tick, short(tick)]));
    set(root, { viewBox: `0 0 ${width} ${height}`, height });
    const text = (attributes, words) => svg("text", { "font-size": FONT, ...attributes }, words);
    axes.replaceChildren(
      ...marks(x).map(([t]) => svg("path", { class: "odx-gridlines", d: `M${sx(t)} ${SPACE.top}V${bottom}` })),
      ...marks(y).map(([t]) => svg("path", { class: "odx-gridlines", d: `M${SPACE.left} ${sy(t)}H${right}` })),
      svg("path", { class: "odx-frame", d: `M${SPACE.left} ${SPACE.top}V${bottom}H${right}` }),
      ...marks(x).map(([t, words]) => text({ x: sx(t), y: bottom + 16, "text-anchor": "middle" }, words)),
      ...marks(y).map(([t, words]) => text({ x: SPACE.left - 6, y: sy(t) + 4, "text-anchor": "end" }, words)),
      text({ x: (SPACE.left + right) / 2, y: height - 6, "text-anchor": "middle" }, x.label),
      text({ x: 11, y: (SPACE.top + bottom) / 2, "text-anchor": "middle", transform: `rotate(-90 11 ${(SPACE.top + bottom) / 2})` }, y.label),
    );
  }

  /** The part of a curve that lies between the axes, cut where it leaves them. */
  function path({ x, y }, { sx, sy }) {
    let d = "", pen = false;
    const { min, max } = state.y;
    const go = (command, at, value) => (d += `${command}${sx(at).toFixed(2)} ${sy(value).toFixed(2)}`);
    const fits = (value) => value >= min && value <= max;
    for (let n = 0; n < x.length; n++) {
      if (n > 0 && fits(y[n]) !== fits(y[n - 1])) {
        const edge = Math.max(y[n], y[n - 1]) > max ? max : min;
        const at = x[n - 1] + ((edge - y[n - 1]) / (y[n] - y[n - 1])) * (x[n] - x[n - 1]);
        if (Number.isFinite(at)) go(pen ? "L" : "M", at, edge);
        pen = fits(y[n]) && Number.isFinite(at);
      }
      if (fits(y[n])) go(pen ? "L" : "M", x[n], y[n]);
      pen = fits(y[n]);
    }
    return d;
  }

  /** y of a curve at some x, between its points. */
  function height({ x, y }, at) {
    const n = Math.max(1, x.findIndex((value) => value >= at));
    const share = (at - x[n - 1]) / (x[n] - x[n - 1] || 1);
    return y[n - 1] + share * (y[n] - y[n - 1]);
  }

  function show() {
    const frame = scale(), { sx, sy, right, bottom } = frame;
    showAxes(frame);
    keep(curves, state.curves.length, () => svg("g", {}, svg("path"), svg("path", { fill: "none", "stroke-linejoin": "round" }))).forEach((group, n) => {
      const { x, color, width = 2, dash = null, fill = 0 } = state.curves[n], d = path(state.curves[n], frame);
      const [area, line] = group.children;
      set(area, { d: fill && d ? `${d}L${sx(x.at(-1))} ${bottom}L${sx(x[0])} ${bottom}Z` : "", fill: paint(color), "fill-opacity": fill });
      set(line, { d, stroke: paint(color), "stroke-width": width, "stroke-dasharray": dash });
    });
    keep(guides, state.guides.length, () => svg("g", {}, svg("path", { class: "odx-guide" }), svg("text", { class: "odx-curvename", "font-size": FONT }))).forEach((group, n) => {
      const guide = state.guides[n], [line, text] = group.children;
      const upright = guide.x !== undefined;
      set(line, { d: upright ? `M${sx(guide.x)} ${SPACE.top}V${bottom}` : `M${SPACE.left} ${sy(guide.y)}H${right}` });
      const late = upright && sx(guide.x) > (SPACE.left + right) * 0.6;
      set(text, upright
        ? { x: sx(guide.x) + (late ? -5 : 5), y: bottom - (sx(guide.x) < SPACE.left + 60 ? 26 : 6), "text-anchor": late ? "end" : "start" }
        : { x: right - 2, y: sy(guide.y) - 5, "text-anchor": "end" });
      setText(text, guide.name ?? "");
    });
    keep(points, state.points.length, () => svg("g", {}, svg("circle"), svg("text", { class: "odx-curvename", "font-size": FONT }))).forEach((group, n) => {
      const { x, y, color, shape = "dot", name = "", side = "right", size = shape === "ring" ? 8 : 5.5 } = state.points[n], [mark, text] = group.children;
      const cx = sx(x), cy = sy(Math.min(Math.max(y, state.y.min), state.y.max));
      set(mark, {
        cx, cy, r: size, class: `odx-${shape}`,
        [shape === "ring" ? "stroke" : "fill"]: paint(color), [shape === "ring" ? "fill" : "stroke"]: null,
      });
      const left = side === "left" || cx > right - 70;
      set(text, { x: cx + (left ? -12 : 12), y: Math.max(cy - 8, SPACE.top + FONT), "text-anchor": left ? "end" : "start" });
      setText(text, name);
    });
    const named = state.curves.filter((curve) => curve.name && curve.at !== undefined);
    keep(names, named.length, () => svg("text", { class: "odx-curvename", "font-size": FONT })).forEach((text, n) => {
      const { name, at, end = false, width = 2 } = named[n];
      const thick = width > 3; // its name stands beside it, since it would show between the letters
      const y = sy(height(named[n], at)) + (end ? -6 : thick ? -8 : 4);
      set(text, {
        x: sx(at) + (end ? -4 : thick ? 8 : 0), y: Math.max(y, SPACE.top + FONT),
        "text-anchor": end ? "end" : thick ? "start" : "middle", "font-weight": thick ? 700 : null,
      });
      setText(text, name);
    });
    set(root, { "aria-label": state.label, "data-choosable": state.choosable ? "yes" : null });
  }

  return {
    node,
    update(next) {
      state = { points: [], guides: [], choosable: false, label: "", ...next };
      show();
    },
  };
}

export default widget(curvePlot, ["x", "y", "curves", "points", "guides", "choosable", "label"]);
