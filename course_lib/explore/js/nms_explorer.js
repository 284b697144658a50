// Non-maximum suppression on a crowded scene, step by step: greedy, or soft.
//
// Traits: method ("greedy", "linear", "gaussian"), threshold (IoU), sigma, least (score), step (boxes
// taken so far; −1 for all), scene { width, height, image, alt }, boxes, scores, truth.

import { columnStrip } from "./column_strip.js";
import { buttons, choice, slider } from "./controls.js";
import { curvePlot } from "./curve_plot.js";
import { announcer, html, oncePerFrame, setText, short, widget, written } from "./dom.js";
import { readout } from "./readout.js";
import { sceneView } from "./scene_view.js";
import { DECAY, found, suppress } from "./suppression.js";

const METHODS = [["greedy", "Greedy NMS"], ["linear", "Soft, linear"], ["gaussian", "Soft, Gaussian"]];
const OVERLAPS = Array.from({ length: 101 }, (_, n) => n / 100);

export function nmsExplorer(onChange = () => {}) {
  let state = null, steps = [];
  const turn = (name) => (value) => onChange({ [name]: value });
  const method = choice({ label: "Method", options: METHODS }, turn("method"));
  const least = slider({ label: "lowest score that counts", name: "score", min: 0.01, max: 0.99, step: 0.01, text: (v) => short(v) }, turn("least"));
  const threshold = slider({ label: "IoU threshold", name: "IoU", min: 0, max: 1, step: 0.01, text: (v) => short(v) }, turn("threshold"));
  const sigma = slider({ label: "σ of the Gaussian", name: "σ", min: 0.05, max: 1, step: 0.01, text: (v) => short(v) }, turn("sigma"));
  const step = slider({ label: "steps done", name: "step", min: 0, max: 100, step: 1, text: (v) => written(v, 0) }, (value) => onChange({ step: value >= steps.length ? -1 : value }));
  const go = buttons({ label: "Go" }, (to) => onChange({ step: to(done()) }));
  const view = sceneView(), columns = columnStrip(), decay = curvePlot(), counts = readout();
  const title = html("h3", {}), verdict = html("p", { class: "odx-verdict" });
  const live = announcer();

  const node = html(
    "section", { class: "odx-explorer", "aria-label": "NMS explorer", "data-explorer": "nms" },
    html("div", { class: "odx-top" }, method.node, go.node),
    html(
      "div", { class: "odx-columns" },
      html("div", {}, view.node, verdict),
      html("div", {}, step.node, least.node, threshold.node, sigma.node, counts.node),
    ),
    html(
      "div", { class: "odx-columns odx-panels" },
      html("div", {}, title, columns.node),
      html("div", {}, html("h3", {}, "What an overlap with the taken box does to a score"), decay.node),
    ),
    live.node,
  );

  const done = () => (state.step < 0 ? steps.length : Math.min(state.step, steps.length));

  function draw() {
    const { boxes, scores, truth, scene, threshold: limit, sigma: width, least: lowest } = state;
    steps = suppress(boxes, scores, state.method, { threshold: limit, sigma: width, least: lowest });
    const now = done(), past = steps.slice(0, now), last = past.at(-1);
    const score = [...scores], taken = new Set(past.map((s) => s.taken));
    for (const { changed } of past) for (const { box, after } of changed) score[box] = after;
    const waits = (k) => !taken.has(k) && score[k] >= lowest;
    const kept = past.map((s) => s.taken);
    const matches = found(kept.map((k) => boxes[k]), truth);
    const hits = matches.filter((m) => m >= 0).length;
    const hit = new Set(matches);

    method.update(state.method);
    go.update([["to the start", () => 0], ["one back", (k) => Math.max(k - 1, 0)], ["one step", (k) => (k + 1 >= steps.length ? -1 : k + 1)], ["to the end", () => -1]]);
    least.update(lowest); threshold.update(limit); sigma.update(width);
    sigma.node.hidden = state.method !== "gaussian";
    threshold.node.hidden = state.method === "gaussian";
    step.update(now, { max: steps.length });

    const struck = new Set(last ? last.changed.filter((c) => c.after < lowest).map((c) => c.box) : []);
    const order = [...boxes.keys()].sort((a, b) => scores[b] - scores[a] || a - b).filter((k) => scores[k] >= lowest);
    view.update({
      ...scene,
      boxes: [
        ...truth.map((box, k) => ({ box, color: "truth", width: 1.5, dash: true, opacity: hit.has(k) ? 0.9 : 1 })),
        ...order.filter(waits).map((k) => ({ box: boxes[k], color: "anchor", width: 1.2, opacity: 0.8 })),
        ...[...struck].map((k) => ({ box: boxes[k], color: "ignored", width: 1.5, dash: true })),
        ...kept.map((k, n) => ({ box: boxes[k], color: "prediction", width: k === last?.taken && now < steps.length ? 4 : 2.2, name: written(past[n].score, 2) })),
      ],
      label: `${kept.length} boxes taken, ${order.filter(waits).length} waiting; ${hits} of ${truth.length} objects found.`,
    });
    counts.update({
      rows: [
        { key: "candidates", name: "candidates: boxes that a detector said", color: "anchor", value: order.length, text: written(order.length, 0) },
        { key: "kept", name: "boxes taken", color: "prediction", value: kept.length, text: written(kept.length, 0) },
        { key: "found", name: "objects found, at IoU 0.5", color: "truth", strong: true, value: hits, text: `${hits} of ${truth.length}` },
        { key: "extra", name: "taken boxes that find nothing new", value: kept.length - hits, text: written(kept.length - hits, 0) },
      ],
    });
    setText(title, `The ${Math.min(order.length, 60)} best candidates by score`);
    columns.update({
      columns: order.slice(0, 60).map((k) => ({
        value: score[k], before: scores[k], color: taken.has(k) ? "prediction" : waits(k) ? "anchor" : "ignored",
      })),
      guide: lowest, y: "score", label: `Scores of the candidates: ${kept.length} taken, ${order.length - kept.length - order.filter(waits).length} dropped.`,
    });
    const here = { threshold: limit, sigma: width };
    decay.update({
      x: { label: "IoU with the box that was taken", min: 0, max: 1, ticks: [0, 0.25, 0.5, 0.75, 1] },
      y: { label: "share of the score that stays", min: 0, max: 1, ticks: [0, 0.5, 1] },
      curves: METHODS.filter(([name]) => name !== state.method).map(([name, text]) => curve(name, text, here, false))
        .concat([curve(state.method, METHODS.find(([name]) => name === state.method)[1], here, true)]),
      points: (last?.changed ?? []).map((c) => ({ x: c.iou, y: c.after / c.before, color: "anchor" })),
      label: `${state.method} suppression: at IoU 0.25, 0.5 and 0.75 the score is multiplied by ${[0.25, 0.5, 0.75].map((x) => written(DECAY[state.method](x, here), 2)).join(", ")}.`,
    });
    setText(verdict, say({ now, steps, last, truth, hits, kept, lowest }));
    live.say(`Step ${now} of ${steps.length}: ${kept.length} boxes taken, ${hits} of ${truth.length} objects found.`);
  }

  function curve(name, text, here, current) {
    return {
      x: OVERLAPS, y: OVERLAPS.map((x) => DECAY[name](x, here)), color: current ? "prediction" : "ignored", width: current ? 4 : 1.5,
      name: text, at: { greedy: Math.min(here.threshold + 0.01, 0.7), linear: 0.8, gaussian: 0.3 }[name],
    };
  }

  function say({ now, steps: all, last, truth, hits, kept, lowest }) {
    if (now === 0) return "Nothing is taken yet. Each step takes the box with the highest score and lowers the scores of those that overlap it.";
    if (now < all.length) {
      const gone = last.changed.filter((c) => c.after < lowest).length, less = last.changed.length - gone;
      return `Step ${now} takes the best box left, score ${written(last.score, 2)}.` + (gone ? ` ${gone} ${gone === 1 ? "box drops" : "boxes drop"} out (dashed, grey).` : " Nothing drops out.") + (less ? ` ${less} more lose a part of their score.` : "");
    }
    const missed = truth.length - hits, extra = kept.length - hits;
    if (!missed && !extra) return "All objects are found, once each.";
    const parts = [];
    if (missed) parts.push(`${missed} ${missed === 1 ? "object is" : "objects are"} lost: look for a dashed blue box that shares much with another object's`);
    if (extra) parts.push(`${extra} ${extra === 1 ? "box finds" : "boxes find"} nothing new`);
    return `${parts.join("; ")}.`.replace(/^./, (c) => c.toUpperCase());
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

export default widget(nmsExplorer, ["method", "threshold", "sigma", "least", "step", "scene", "boxes", "scores", "truth"]);
