// A pyramid of anchors and one box on a photograph: which level takes it, and why not the others.
//
// Traits: box, level (that is looked at; 0 for the one that fits best), levels, sizes, ratios and scale (keys of world), high, low,
// low_quality, world { width, height, image, alt, offset, levels: { key: [level, ...] },
// bases: { "scale/sizes/ratios": { level: [anchor around (0, 0), ...] } }, objects: [[name, { box }], ...],
// detectors: [[name, settings], ...] }.

import { stacked } from "./anchor_map.js";
import { ceiling } from "./anchoring.js";
import { boxCanvas } from "./box_canvas.js";
import { buttons, choice, slider } from "./controls.js";
import { curvePlot } from "./curve_plot.js";
import { announcer, html, keep, oncePerFrame, set, setText, short, widget, written } from "./dom.js";
import { levelMap } from "./level_map.js";
import { anchorAt, bestOfLevel, matchPyramid } from "./pyramid_match.js";
import { readout } from "./readout.js";
import { thresholdBars } from "./threshold_bars.js";

const LEVEL_SETS = [["3-7", "P3 to P7"], ["3-5", "P3 to P5"], ["5", "P5 alone"]];
const SIZE_SETS_P = [["one", "1"], ["two", "2"], ["three", "3"]];
const HOW_MANY = { one: 1, two: 2, three: 3 };
const RATIO_SETS_P = [["one", "1"], ["three", "½, 1, 2"]];
const SCALES = [["2", "2"], ["4", "4"], ["8", "8"]];
const SIDES_SEEN = Array.from({ length: 97 }, (_, n) => 3 + n / 16); // log₂ of a box's side, 8 to 512
const DRAWN = 60; // positive anchors that are drawn, the best ones

const shapesOf = ({ base }) => base.map(([x1, y1, x2, y2]) => [x2 - x1, y2 - y1]);
const sideOf = ([x1, y1, x2, y2]) => Math.sqrt((x2 - x1) * (y2 - y1));

export function pyramidExplorer(onChange = () => {}) {
  let state = null;
  const turn = (name) => (value) => onChange({ [name]: value });
  const objects = buttons({ label: "Box around" }, (settings) => onChange(settings));
  const detectors = buttons({ label: "Detector" }, (settings) => onChange(settings));
  const look = buttons({ label: "Look at" }, turn("level"));
  const levels = choice({ label: "Levels", options: LEVEL_SETS }, turn("levels"));
  const scale = choice({ label: "Smallest anchor, in strides", options: SCALES }, turn("scale"));
  const sizes = choice({ label: "Sizes in an octave", options: SIZE_SETS_P }, turn("sizes"));
  const ratios = choice({ label: "Height : width", options: RATIO_SETS_P }, turn("ratios"));
  const high = slider({ label: "high IoU threshold", name: "high", min: 0.05, max: 0.95, step: 0.01, text: (v) => short(v) }, (value) => onChange({ high: value, low: Math.min(state.low, value) }));
  const low = slider({ label: "low IoU threshold", name: "low", min: 0.05, max: 0.95, step: 0.01, text: (v) => short(v) }, (value) => onChange({ low: value, high: Math.max(state.high, value) }));
  const rescue = choice({ label: "Low-quality matches", options: [["off", "off"], ["on", "on"]] }, (value) => onChange({ low_quality: value === "on" }));
  const map = levelMap(), canvas = boxCanvas(({ boxes: [box] }) => onChange({ box })), stack = stacked(map.node, canvas.node);
  set(stack, { "data-typed": "yes" });
  const counts = readout(), bars = thresholdBars(), story = html("p", { class: "odx-verdict" }), barsTitle = html("h3", {}, "How well the best anchor of each level fits");
  const plot = curvePlot(({ chosen }) => onChange({ box: resizedTo(2 ** chosen).map(Math.round) }));
  const strip = html("div", { class: "odx-levels" }), live = announcer();
  const cards = new WeakMap();

  const key = (kind, words) => [html("span", { class: `odx-key odx-key-${kind}`, "aria-hidden": "true" }), html("span", { class: "odx-gap" }, words)];
  const node = html(
    "section", { class: "odx-explorer", "aria-label": "Pyramid explorer", "data-explorer": "pyramid" },
    html("div", { class: "odx-top" }, objects.node, detectors.node),
    html(
      "div", { class: "odx-columns" },
      html("div", {}, html("div", { class: "odx-top" }, look.node), stack, html("p", { class: "odx-note odx-legend" }, ...key("positive", "a positive anchor here, drawn in green"), ...key("ignored", "at best an ignored one"), ...key("negative", "negatives only"), "In orange: the best anchor of the level. Dashed green: positive by low-quality matching alone.")),
      html("div", { class: "odx-settings" }, levels.node, scale.node, sizes.node, ratios.node, high.node, low.node, rescue.node, counts.node, story),
    ),
    html("div", { class: "odx-panels" }, html("h3", {}, "The same box on every level: where its anchors are positive (green) and ignored (grey)"), strip),
    html(
      "div", { class: "odx-columns odx-even odx-panels" },
      html("div", {}, barsTitle, bars.node),
      html("div", {}, html("h3", {}, "Make the box smaller and larger: drag in the plot"), plot.node),
    ),
    live.node,
  );

  // --- the pyramid

  const shown = () => state.world.levels[state.levels];
  /** The level that is looked at, or the nearest to it that there is. */
  const current = (fitting) => (state.level ? shown().reduce((a, b) => (Math.abs(b - state.level) < Math.abs(a - state.level) ? b : a)) : fitting);

  function pyramid() {
    const { world } = state, bases = world.bases[[state.scale, state.sizes, state.ratios].join("/")];
    return shown().map((level) => {
      const stride = 2 ** level;
      return { level, stride, grid: [Math.ceil(world.height / stride), Math.ceil(world.width / stride)], base: bases[level] };
    });
  }

  /** Sides of the smallest and of the largest anchor of a level, before their corners were rounded. */
  function sidesOf({ stride }) {
    const least = +state.scale * stride, n = HOW_MANY[state.sizes];
    return [least, least * 2 ** ((n - 1) / n)];
  }

  /** The box with another size (root of its area): same shape, same middle, as far as the picture goes. */
  function resizedTo(side) {
    const [x1, y1, x2, y2] = state.box, { width, height } = state.world;
    const most = Math.min(width / (x2 - x1), height / (y2 - y1)), by = Math.min(side / sideOf(state.box), most);
    const w = (x2 - x1) * by, h = (y2 - y1) * by, fit = (from, length, whole) => Math.min(Math.max(from, 0), whole - length);
    const left = fit((x1 + x2 - w) / 2, w, width), top = fit((y1 + y2 - h) / 2, h, height);
    return [left, top, left + w, top + h];
  }

  // --- drawing

  function makeCard() {
    const title = html("h4", {}), view = levelMap(), numbers = readout(), card = html("div", { class: "odx-card" }, title, view.node, numbers.node);
    const seen = { title, view, numbers, level: 0 };
    view.node.addEventListener("click", () => onChange({ level: seen.level }));
    cards.set(card, seen);
    return card;
  }

  function draw() {
    const { world, box, high: upper, low: lower } = state, { offset } = world, all = pyramid();
    const found = matchPyramid(box, all, offset, { high: upper, low: lower, rescue: state.low_quality });
    const total = (name) => found.reduce((sum, level) => sum + level[name], 0), N = total("N");
    const most = Math.max(...found.map(({ best }) => best)), first = found.findIndex(({ best }) => best === most), here = current(all[first].level);
    const count = (value) => written(value, 0), ground = { width: world.width, height: world.height, image: world.image, offset };
    const settings = (pairs) => pairs.map(([, value]) => value).find((value) => Object.entries(value).every(([name, one]) => JSON.stringify(state[name]) === JSON.stringify(one))) ?? null;

    objects.update(world.objects, settings(world.objects));
    detectors.update(world.detectors, settings(world.detectors));
    look.update([["the level that fits best", 0], ...all.map(({ level }) => [`P${level}`, level])], state.level);
    levels.update(state.levels); scale.update(state.scale); sizes.update(state.sizes); ratios.update(state.ratios);
    high.update(upper); low.update(lower); rescue.update(state.low_quality ? "on" : "off");

    const n = all.findIndex(({ level }) => level === here), mine = found[n];
    const places = [...mine.places].sort(([, a], [, b]) => b - a).slice(0, DRAWN);
    map.update({
      ...ground, alt: world.alt, ...all[n], kinds: mine.kinds,
      anchors: places.map(([anchor, iou]) => ({ box: anchorAt(all[n], offset, anchor), dash: iou < upper })),
      best: mine.ties.length ? anchorAt(all[n], offset, mine.ties[0]) : null,
      label: `Level P${here}: ${mine.positive} positive and ${mine.ignored} ignored anchors.`,
    });
    canvas.update({ width: world.width, height: world.height, boxes: [box], names: ["A"], step: 1, label: "A box to move.", badge: `P${here}: best IoU ${written(mine.best, 2)}` });

    counts.update({
      rows: [
        { key: "anchors", name: "anchors on all levels", color: "anchor", formula: found.map((level) => count(level.N)).join(" + "), value: N, text: count(N) },
        { key: "positive", name: "positive: they have to find the box", color: "overlap", value: total("positive"), text: count(total("positive")), strong: true },
        { key: "rescued", name: "… of them by low-quality matching alone", value: total("rescued"), text: count(total("rescued")) },
        { key: "ignored", name: "ignored: between the thresholds", color: "ignored", value: total("ignored"), text: count(total("ignored")) },
        { key: "negative", name: "negative: background", value: N - total("positive") - total("ignored"), text: count(N - total("positive") - total("ignored")) },
      ],
    });
    keep(strip, all.length, makeCard).forEach((card, k) => showCard(card, all[k], found[k], ground, here));
    bars.update({
      low: lower, high: upper, heads: ["level", "best IoU", "positive"], label: "Best IoU of the box with any anchor of each level",
      rows: all.map((one, k) => ({
        name: `P${one.level}: ${[...new Set(sidesOf(one).map(count))].join("–")}`, key: `best-${one.level}`, value: found[k].best,
        reach: ceiling(box, shapesOf(one)),
        color: found[k].positive ? "overlap" : found[k].ignored ? "ignored" : "anchor", dash: found[k].rescued > 0,
        end: { key: `row-positive-${one.level}`, value: found[k].positive, text: count(found[k].positive), note: found[k].rescued ? " rescued" : "" },
      })),
    });
    showPlot(all, found, first);
    setText(story, say(all, found, first));
    live.say(`P${all[first].level} fits best, IoU ${written(most, 2)}. ${count(total("positive"))} positive, ${count(total("ignored"))} ignored anchors.`);
  }

  function showCard(card, level, found, ground, here) {
    const seen = cards.get(card), [H, W] = level.grid, count = (value) => written(value, 0), negative = found.N - found.positive - found.ignored;
    seen.level = level.level;
    set(card, { "data-here": level.level === here ? "yes" : null });
    setText(seen.title, `P${level.level}, stride ${level.stride}`);
    seen.view.update({ ...ground, ...level, kinds: found.kinds, box: state.box, small: true, label: `P${level.level}, ${H} by ${W} locations: ${found.positive} positive, ${found.ignored} ignored anchors.` });
    const row = (key, name, value, more = {}) => ({ key: `${key}-${level.level}`, name, value, text: count(value), ...more });
    seen.numbers.update({
      rows: [
        row("anchors", "anchors", found.N, { formula: `${H} × ${W} × ${level.base.length}` }),
        row("positive", found.rescued ? "rescued" : "positive", found.positive),
        row("ignored", "ignored", found.ignored),
        row("negative", "negative", negative),
      ],
    });
  }

  function showPlot(all, found, first) {
    const { world: { offset }, box, high: upper } = state, end = Math.log2(sideOf(resizedTo(Infinity)));
    const places = SIDES_SEEN.filter((x) => x < end).concat(Math.min(end, 9)), boxes = places.map((x) => resizedTo(2 ** x)), now = Math.log2(sideOf(box));
    const peak = (level) => Math.min(Math.max(Math.log2(sidesOf(level)[0]) + 0.2, 3.2), end - 0.1);
    plot.update({
      x: { label: "side of the box (root of its area), in pixels", min: 3, max: 9, ticks: [3, 4, 5, 6, 7, 8, 9].map((x) => [x, String(2 ** x)]) },
      y: { label: "best IoU", min: 0, max: 1, ticks: [...(upper > 0.1 ? [0] : []), [upper, "high"], ...(upper < 0.9 ? [1] : [])] },
      curves: all.map((level, k) => ({ x: places, y: boxes.map((one) => bestOfLevel(one, level, offset)), color: k === first ? "overlap" : "ignored", width: k === first ? 3 : 1.8, name: `P${level.level}`, at: peak(level) })),
      points: found.map(({ best, positive }) => ({ x: now, y: best, color: positive ? "overlap" : "anchor", size: 4.5 })),
      guides: [{ y: upper }],
      choosable: true,
      label: `Best IoU of each level against the size of the box, now ${written(sideOf(box), 0)} pixels: ${all.map(({ level }, k) => `P${level} ${written(found[k].best, 2)}`).join(", ")}.`,
    });
  }

  function say(all, found, first) {
    const { high: upper, box } = state, most = found[first].best, side = written(sideOf(box), 0), parts = [];
    const taking = all.filter((_, k) => found[k].positive > found[k].rescued).map(({ level }) => `P${level}`);
    const [smallest] = sidesOf(all[0]), [, largest] = sidesOf(all.at(-1));
    const list = (names) => names.join(", ").replace(/, (\w+)$/, " and $1");
    if (taking.length) parts.push(`The box is as large as a square of ${side} pixels; ${list(taking)} ${taking.length === 1 ? "has anchors" : "have anchors"} of about that size and shape, and there it is learned and found.`);
    else {
      const best = ceiling(box, all.flatMap(shapesOf));
      const why = sideOf(box) < smallest * 0.75 ? `The smallest anchors, of ${written(smallest, 0)} pixels, are too large for a box of ${side}.`
        : sideOf(box) > largest * 1.34 ? `The largest anchors, of ${written(largest, 0)} pixels, are too small for a box of ${side}.`
        : best < upper ? "No anchor has a shape near enough, wherever it stood (the pale bars end below the high threshold)."
        : "An anchor has the shape (pale bar), but none stands near enough: the stride is too coarse.";
      parts.push(`No anchor reaches IoU ${short(upper)}; the best, on P${all[first].level}, has ${written(most, 2)}. ${why}`);
      const saved = found.reduce((sum, level) => sum + level.rescued, 0);
      parts.push(saved ? `Low-quality matching takes the best there is all the same: ${saved} ${saved === 1 ? "anchor" : "anchors"}.` : "For training the box is not there: all around it counts as background.");
    }
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

export default widget(pyramidExplorer, [
  "box", "level", "levels", "scale", "sizes", "ratios", "high", "low", "low_quality", "world",
]);
