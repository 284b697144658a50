// Anchors over a scene or under one box: which are positive, ignored, negative, and who goes without.
//
// Traits: truth ("scene", "own"), own (a box), size (of the smallest anchor), sizes and ratios (keys
// of world), stride, high and low (thresholds), low_quality, place [x, y] (the location whose cell
// holds it is chosen), world { width, height, image, alt, boxes, names, offset,
// sizes: { key: [factor, ...] }, ratios: { key: [ratio, ...] }, presets: [[name, settings], ...] }.

import { anchorMap, stacked } from "./anchor_map.js";
import { anchorShapes, ceiling, IGNORED, layAnchors, matchAnchors } from "./anchoring.js";
import { boxCanvas } from "./box_canvas.js";
import { buttons, choice, slider } from "./controls.js";
import { announcer, html, oncePerFrame, set, setText, short, widget, written } from "./dom.js";
import { picking } from "./picking.js";
import { readout } from "./readout.js";
import { thresholdBars } from "./threshold_bars.js";

const TRUTHS = [["scene", "the painted scene"], ["own", "a box of your own"]];
const SIZE_SETS = [["one", "one"], ["octave", "3 in an octave"], ["doubling", "3 doubled"]];
const RATIO_SETS = [["one", "1"], ["three", "½, 1, 2"], ["five", "⅓, ½, 1, 2, 3"]];
const STRIDES = [8, 16, 32, 64];

export function anchorsExplorer(onChange = () => {}) {
  let state = null, laid = null;
  const turn = (name) => (value) => onChange({ [name]: value });
  const truth = choice({ label: "Truth", options: TRUTHS }, turn("truth"));
  const presets = buttons({ label: "Try" }, (settings) => onChange(settings));
  const size = slider({ label: "smallest anchor, in pixels", name: "size", min: 8, max: 160, step: 1, text: (v) => short(v) }, turn("size"));
  const sizes = choice({ label: "Sizes", options: SIZE_SETS }, turn("sizes"));
  const ratios = choice({ label: "Height : width", options: RATIO_SETS }, turn("ratios"));
  const stride = choice({ label: "Stride", options: STRIDES.map((s) => [s, String(s)]) }, turn("stride"));
  const high = slider({ label: "high IoU threshold", name: "high", min: 0.05, max: 0.95, step: 0.01, text: (v) => short(v) }, (value) => onChange({ high: value, low: Math.min(state.low, value) }));
  const low = slider({ label: "low IoU threshold", name: "low", min: 0, max: 0.95, step: 0.01, text: (v) => short(v) }, (value) => onChange({ low: value, high: Math.max(state.high, value) }));
  const rescue = choice({ label: "Low-quality matches", options: [["off", "off"], ["on", "on"]] }, (value) => onChange({ low_quality: value === "on" }));
  const map = anchorMap(({ step: [dx, dy] }) => {
    const [row, column] = location();
    onChange({ place: middle(row + dy, column + dx) });
  });
  const canvas = boxCanvas(({ boxes: [box] }) => onChange({ own: box }));
  const stack = stacked(map.node, canvas.node);
  const counts = readout(), objects = thresholdBars(), anchors = thresholdBars();
  const objectsTitle = html("h3", {}), anchorsTitle = html("h3", {}), verdict = html("p", { class: "odx-verdict" });
  const live = announcer();
  const dashed = html("span", {}, "Dashed blue, with ×: an object without a positive. ");
  const drags = () => canvas.node.querySelector("svg").hasAttribute("data-dragging");
  picking(stack, map.node, drags, ([x, y]) => onChange({ place: [x * state.world.width, y * state.world.height] }));

  const node = html(
    "section", { class: "odx-explorer", "aria-label": "Anchors explorer", "data-explorer": "anchors" },
    html("div", { class: "odx-top" }, truth.node, presets.node),
    html(
      "div", { class: "odx-columns" },
      html("div", {}, stack, html(
        "p", { class: "odx-note odx-legend" },
        html("span", { class: "odx-key odx-key-positive" }), "a positive anchor here, drawn in green  ",
        html("span", { class: "odx-key odx-key-ignored" }), "at best an ignored one  ",
        html("span", { class: "odx-key odx-key-negative" }), "negatives only. ", dashed, "Click a place, or press Tab and the arrow keys, to see its anchors in orange.",
      )),
      html("div", { class: "odx-settings" }, size.node, sizes.node, ratios.node, stride.node, high.node, low.node, rescue.node, counts.node),
    ),
    html(
      "div", { class: "odx-columns odx-even odx-panels" },
      html("div", {}, objectsTitle, objects.node, verdict),
      html("div", {}, anchorsTitle, anchors.node),
    ),
    live.node,
  );

  // --- the chosen location

  const grid = () => [Math.ceil(state.world.height / state.stride), Math.ceil(state.world.width / state.stride)];
  const inside = (k, count) => Math.min(Math.max(k, 0), count - 1);

  function location() {
    const [H, W] = grid(), [x, y] = state.place;
    return [inside(Math.floor(y / state.stride), H), inside(Math.floor(x / state.stride), W)];
  }

  /** The place where a location lies, as near as the picture goes. */
  function middle(row, column) {
    const { world: { offset, width, height }, stride: step } = state, [H, W] = grid();
    return [Math.min((inside(column, W) + offset) * step, width), Math.min((inside(row, H) + offset) * step, height)];
  }

  // --- drawing

  /** All anchors: made anew when what they hang on has changed. */
  function lay() {
    const { world, size: least, sizes: set_, ratios: kind, stride: step } = state, key = [least, set_, kind, step].join();
    if (laid?.key !== key) {
      const shapes = anchorShapes(world.sizes[set_].map((factor) => least * factor), world.ratios[kind]);
      laid = { key, shapes, boxes: layAnchors(shapes, grid(), step, world.offset) };
    }
    return laid;
  }

  function draw() {
    const { world, stride: step, high: upper, low: lower } = state, own = state.truth === "own";
    const known = own ? [state.own] : world.boxes, names = own ? ["your box"] : world.names;
    const { shapes, boxes } = lay(), A = shapes.length, [H, W] = grid(), N = H * W * A;
    const found = matchAnchors(known, boxes, { high: upper, low: lower, rescue: state.low_quality });
    const { match, quality, top, positives, rescued } = found;
    const box = (n) => [...boxes.subarray(4 * n, 4 * n + 4)];
    const word = (n) => (match[n] >= 0 ? `${rescued[n] ? "rescued" : "positive"}${own ? "" : ` → ${match[n] + 1}`}` : match[n] === IGNORED ? "ignored" : "negative");

    const dots = { positive: [], ignored: [], negative: [] }, total = { positive: 0, ignored: 0, negative: 0 }, green = [];
    for (let spot = 0; spot < H * W; spot++) {
      let best = "negative";
      for (let n = spot * A; n < (spot + 1) * A; n++) {
        const kind = match[n] >= 0 ? "positive" : match[n] === IGNORED ? "ignored" : "negative";
        total[kind]++;
        if (kind === "positive") green.push({ box: box(n), dash: rescued[n] === 1 });
        if (kind === "positive" || (kind === "ignored" && best === "negative")) best = kind;
      }
      dots[best].push([((spot % W) + world.offset) * step, (Math.floor(spot / W) + world.offset) * step]);
    }
    const missed = positives.filter((count) => count === 0).length, saved = rescued.reduce((sum, one) => sum + one, 0);
    const [row, column] = location(), first = (row * W + column) * A, here = shapes.map((_, a) => first + a);
    const at = [(column + world.offset) * step, (row + world.offset) * step];

    truth.update(state.truth); size.update(state.size); sizes.update(state.sizes); ratios.update(state.ratios);
    stride.update(String(step)); high.update(upper); low.update(lower); rescue.update(state.low_quality ? "on" : "off");
    const settings = world.presets.map(([, value]) => value);
    presets.update(world.presets, settings.find((value) => Object.entries(value).every(([name, one]) => state[name] === one)) ?? null);

    const where = `Location in row ${row + 1} of ${H}, column ${column + 1} of ${W}`;
    map.update({
      width: world.width, height: world.height, image: own ? "" : world.image, alt: own ? "" : world.alt, stride: step, dots, anchors: green,
      truth: own ? [] : known.map((one, k) => ({ box: one, name: String(k + 1), missed: positives[k] === 0 })),
      here: { at, boxes: here.map((n) => ({ box: box(n), strong: match[n] >= 0 })), label: `${where}: its best anchor has IoU ${written(Math.max(...here.map((n) => quality[n])), 2)}` },
      label: `${H * W} locations, ${dots.positive.length} of them with a positive anchor and ${dots.ignored.length} with at best an ignored one.`,
    });
    dashed.hidden = own;
    set(stack, { "data-typed": own ? "yes" : null });
    canvas.update({ width: world.width, height: world.height, boxes: own ? [state.own] : [], names: ["A"], step: 1, label: own ? "A box to move." : "Click to choose a location." });

    const count = (value) => written(value, 0);
    counts.update({
      rows: [
        { key: "anchors", name: "anchors: locations × anchors at each", color: "anchor", formula: `${H} × ${W} × ${A}`, value: N, text: count(N) },
        { key: "positive", name: "positive: they answer for an object", color: "overlap", value: total.positive, text: count(total.positive) },
        { key: "rescued", name: "… of them by low-quality matching alone", value: saved, text: count(saved) },
        { key: "ignored", name: "ignored: between the thresholds", color: "ignored", value: total.ignored, text: count(total.ignored) },
        { key: "negative", name: "negative: background", value: total.negative, text: count(total.negative) },
        { key: "missed", name: "objects without a positive", color: "truth", strong: true, value: missed, text: `${missed} of ${known.length}` },
      ],
    });

    const limits = known.map((one) => ceiling(one, shapes));
    setText(objectsTitle, own ? "Your box and its best anchor" : "The objects and their best anchors");
    objects.update({
      low: lower, high: upper, heads: ["object", "best IoU", "positive"], label: "Best IoU of each object with any anchor",
      rows: known.map((_, k) => ({
        name: own ? "A" : `${k + 1} ${names[k]}`, key: `best-${k + 1}`, value: top[k], reach: limits[k],
        color: positives[k] ? "overlap" : "ignored", dash: positives[k] > 0 && top[k] < upper,
        end: { key: `positives-${k + 1}`, value: positives[k], text: count(positives[k]), note: positives[k] === 0 ? " ×" : "" },
      })),
    });
    setText(anchorsTitle, `The ${A === 1 ? "anchor" : `${A} anchors`} in row ${row + 1}, column ${column + 1}`);
    const side = (value) => written(value, 0);
    anchors.update({
      low: lower, high: upper, heads: ["w × h", "IoU", "verdict"], label: `${where}: its anchors' IoU, each with the object that it fits best`,
      rows: here.map((n, a) => ({
        name: `${side(shapes[a][0])} × ${side(shapes[a][1])}`, key: `here-${a + 1}`, value: quality[n],
        color: match[n] >= 0 ? "overlap" : match[n] === IGNORED ? "ignored" : "anchor", dash: rescued[n] === 1, end: { text: word(n) },
      })),
    });
    setText(verdict, say({ own, known, positives, top, limits, upper, saved, ignored: total.ignored }));
    live.say(`${count(N)} anchors: ${count(total.positive)} positive, ${count(total.ignored)} ignored, ${count(total.negative)} negative. ${missed} of ${known.length} objects without a positive.`);
  }

  /** Why each object that has no positive has none. */
  function say({ own, known, positives, top, limits, upper, saved, ignored }) {
    const lost = known.map((_, k) => k).filter((k) => positives[k] === 0);
    const list = (ks) => own ? "Your box" : `${ks.length === 1 ? "Object" : "Objects"} ${ks.map((k) => k + 1).join(", ").replace(/, (\d+)$/, " and $1")}`;
    const parts = [];
    const robbed = lost.filter((k) => top[k] >= upper || (state.low_quality && top[k] > 0));
    const rest = lost.filter((k) => !robbed.includes(k)), shape = rest.filter((k) => limits[k] < upper), stand = rest.filter((k) => limits[k] >= upper);
    if (robbed.length) parts.push(`${list(robbed)} ${robbed.length === 1 ? "goes" : "go"} without${state.low_quality ? " in spite of low-quality matches" : ""}: the best anchor there overlaps something else still more.`);
    if (shape.length) parts.push(`${list(shape)}: no anchor has a shape near enough, wherever it stood (the pale bar ends below the high threshold). Other sizes or ratios would help.`);
    if (stand.length) parts.push(`${list(stand)}: an anchor has the shape (pale bar), but none stands near enough. A finer stride would help.`);
    if (!lost.length) parts.push(saved ? `Nothing goes without, but for ${saved} of the positives only low-quality matching vouches (dashed).` : own ? "Your box has its positives." : "Every object has a positive anchor.");
    if (ignored) parts.push(`${written(ignored, 0)} ${ignored === 1 ? "anchor lies" : "anchors lie"} between the thresholds and ${ignored === 1 ? "teaches" : "teach"} nothing.`);
    return parts.join(" ");
  }

  const later = oncePerFrame(draw);
  return {
    node,
    update(next) {
      state = next;
      later();
    },
  };
}

export default widget(anchorsExplorer, [
  "truth", "own", "size", "sizes", "ratios", "stride", "high", "low", "low_quality", "place", "world",
]);
