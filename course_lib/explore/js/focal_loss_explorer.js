// The focal loss: one example, a crowd of easy ones against a few hard ones, and where loss gathers.
//
// Traits: gamma, alpha, p (of the true class, for one example), kind ("object" or "background"),
// many and few: { count, p }, logits: { object: [...], background: [...] }, paper: { gamma, alpha }.

import { barStrip } from "./bar_strip.js";
import { buttons, choice, slider } from "./controls.js";
import { curvePlot } from "./curve_plot.js";
import { announcer, html, oncePerFrame, percent, set, setText, short, significant, times, widget, written } from "./dom.js";
import { cumulative, focalGradient, focalLoss, focalLossOfLogit } from "./focal.js";
import { readout } from "./readout.js";

const FAMILY = [0, 0.5, 1, 2, 5]; // the paper's Figure 1
const GROWTH = [0, 0.5, 1, 2]; // the paper's Figure 4
const PLACES = Array.from({ length: 200 }, (_, n) => (n + 1) / 200);
// 1, 2, 3, ... a million, each at most 5% or 1 more than the last: a key press always changes it
const COUNTS = [...new Set(Array.from({ length: 301 }, (_, n) => Math.round(10 ** (n / 50))))];
const GAMMAS = Array.from({ length: 101 }, (_, n) => n / 20);

export function focalLossExplorer(onChange = () => {}) {
  let state = null, start = null;
  const turn = (name) => (value) => onChange({ [name]: value });
  const change = (side, name) => (value) => onChange({ [side]: { ...state[side], [name]: value } });

  const gamma = slider(
    { label: "γ, the focus", name: "γ", min: 0, max: 5, step: 0.05, marks: [[2, "2, paper"], [5, "5"]], text: (v) => short(v), note: "how strongly easy examples are turned down" },
    turn("gamma"),
  );
  const gammaAgain = slider({ label: "γ again, beside Figure 4", name: "γ", min: 0, max: 5, step: 0.05, text: (v) => short(v) }, turn("gamma"));
  const alpha = slider(
    { label: "α, the weight of objects", name: "α", min: 0, max: 1, step: 0.01, marks: [[0.25, "0.25, paper"], [1, "1"]], text: (v) => short(v), note: "objects weigh α, background 1 − α" },
    turn("alpha"),
  );
  const settings = buttons({ label: "Set" }, onChange);

  const curve = curvePlot(({ chosen }) => onChange({ p: Math.min(Math.max(Math.round(chosen * 200) / 200, 0.005), 0.995) }));
  const chance = slider(
    { label: "p of the true class, for one example", name: "p", min: 0.001, max: 0.999, step: 0.001, text: (v) => short(v, 3) },
    turn("p"),
  );
  const kind = choice({ label: "The example is", options: [["object", "an object"], ["background", "background"]] }, turn("kind"));
  const steps = readout();
  const oneVerdict = html("p", { class: "odx-verdict" });

  const count = (label, side) => slider(
    { label, name: "count", min: 1, max: 1e6, step: 1, whole: true, curve: [(place) => COUNTS[place], (value) => Math.max(0, COUNTS.findIndex((count) => count >= value))], text: (v) => written(v, 0) },
    change(side, "count"),
  );
  const probability = (label, side) => slider(
    { label, name: "p", min: 0.001, max: 0.999, step: 0.001, text: (v) => short(v, 3) },
    change(side, "p"),
  );
  const manyCount = count("number of easy background examples", "many");
  const manyP = probability("p of the true class, easy background", "many");
  const fewCount = count("number of hard objects", "few");
  const fewP = probability("p of the true class, hard objects", "few");
  const crowdVerdict = html("p", { class: "odx-verdict" });
  const shares = barStrip(), sums = readout(), shareCurve = curvePlot(({ chosen }) => onChange({ gamma: Math.round(chosen * 20) / 20 }));

  const growth = { object: curvePlot(), background: curvePlot() };
  const growthVerdict = html("p", { class: "odx-verdict" });
  const live = announcer();

  const swatch = (color) => html("span", { class: "odx-swatch", style: `--chip: var(--odx-${color})`, "aria-hidden": "true" });
  const node = html(
    "section", { class: "odx-explorer", "aria-label": "Focal loss explorer", "data-explorer": "focal-loss" },
    html("div", { class: "odx-columns odx-knobs" }, gamma.node, alpha.node),
    html("div", { class: "odx-top" }, settings.node),
    html(
      "div", { class: "odx-columns odx-panels" },
      html("div", {}, html("h3", {}, "One example: drag in the plot"), html("p", { class: "odx-note" }, "p is the probability that the detector gives to the right answer (the paper writes pₜ): 1 is sure and right, 0 is sure and wrong."), curve.node, chance.node),
      html("div", {}, kind.node, steps.node, oneVerdict),
    ),
    html(
      "div", { class: "odx-columns odx-panels" },
      html(
        "div", {},
        html("h3", {}, "A crowd of easy ones against a few hard ones"),
        html("div", { class: "odx-group" }, html("h4", {}, swatch("ignored"), "easy background"), manyCount.node, manyP.node),
        html("div", { class: "odx-group" }, html("h4", {}, swatch("truth"), "hard objects"), fewCount.node, fewP.node),
        sums.node, crowdVerdict,
      ),
      html("div", {}, html("h3", {}, "The share of the hard ones: drag in the plot to turn γ"), shares.node, shareCurve.node),
    ),
    html(
      "div", { class: "odx-panels" },
      html("h3", {}, "Where the loss gathers: examples in order of their loss, the loss summed up (the paper's Figure 4)"),
      html("p", { class: "odx-note" }, "400 objects and 400 pieces of background as a detector scores them: sure of most background, in doubt about objects. (A stand-in: the paper's own sample is not published. The crowd above plays no part.)"),
      gammaAgain.node,
      html("div", { class: "odx-columns odx-even" }, html("div", {}, growth.object.node), html("div", {}, growth.background.node)),
      growthVerdict,
    ),
    live.node,
  );

  const nameAt = (g) => (g <= 2 ? 0.24 + 0.09 * g : 0.42 - 0.075 * (g - 2)); // they stay apart there
  const weight = (of) => (of === "object" ? state.alpha : 1 - state.alpha);
  const axis = (label, min, max, ticks) => ({ label, min, max, ticks });

  function showOne() {
    const { gamma: g, p, kind: of } = state;
    const entropy = -Math.log(p), modulated = focalLoss(p, g), loss = focalLoss(p, g, weight(of));
    const others = FAMILY.filter((value) => Math.abs(value - g) > 0.02);
    curve.update({
      x: axis("p of the true class", 0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
      y: axis("loss, without α", 0, 3, [0, 1, 2, 3]),
      curves: [
        ...others.map((value) => ({ x: PLACES, y: PLACES.map((x) => focalLoss(x, value)), color: "ignored", width: 1.5, name: short(value), at: nameAt(value) })),
        { x: PLACES, y: PLACES.map((x) => focalLoss(x, g)), color: "prediction", width: 4, name: `γ = ${short(g)}`, at: nameAt(g) },
      ],
      points: [
        { x: p, y: entropy, color: "ignored", name: entropy < 3 && entropy - modulated > 0.3 ? written(entropy, 2) : "" },
        { x: p, y: modulated, color: "prediction", name: significant(modulated) },
      ],
      choosable: true,
      label: `Loss against p of the true class for γ = ${FAMILY.join(", ")} and ${short(g)}. At p = ${short(p, 3)} cross entropy is ${significant(entropy)}, with γ it is ${significant(modulated)}.`,
    });
    chance.update(p);
    kind.update(of);
    const letter = of === "object" ? "α" : "(1 − α)";
    steps.update({
      rows: [
        { key: "entropy", name: "cross entropy", color: "ignored", formula: `−ln p = −ln ${short(p, 3)}`, value: entropy, text: significant(entropy) },
        { key: "factor", name: "how far from right, to the power γ", formula: `(1 − p)^γ = ${short(1 - p, 3)}^${short(g)}`, value: (1 - p) ** g, text: significant((1 - p) ** g) },
        { key: "modulated", name: "their product", color: "prediction", formula: `${significant((1 - p) ** g)} × ${significant(entropy)}`, value: modulated, text: significant(modulated) },
        { key: "loss", name: `focal loss, with the weight of ${of === "object" ? "an object" : "background"}`, strong: true, formula: `${letter} × product = ${short(weight(of))} × ${significant(modulated)}`, value: loss, text: significant(loss) },
        { key: "gradient", name: "its gradient for the logit, the network's raw output: how hard it pulls", formula: `${letter} × (1 − p)^γ × (1 − p − γ p ln p)`, value: focalGradient(p, g, weight(of)), text: significant(focalGradient(p, g, weight(of))) },
      ],
    });
    const stays = (1 - p) ** g;
    const effect = g === 0 ? "γ = 0 turns nothing down: the product is plain cross entropy, and only the weight is left to differ."
      : stays > 0.95 ? `γ = ${short(g)} takes almost nothing from this example: ${percent(stays)} of its cross entropy stays.`
      : `γ = ${short(g)} leaves ${percent(stays)} of this example's cross entropy: ${times(1 / stays)} times less.`;
    const sense = g === 0 ? "" : p >= 0.8 ? " The detector has it right already, so it may be quiet." : p <= 0.3 ? " The detector has it wrong, so it should be heard." : " The detector is in doubt.";
    setText(oneVerdict, effect + sense);
    return { entropy, loss };
  }

  /** Loss and gradient of both sides, and the hard side's share of each. */
  function balance(g, a) {
    const { many, few } = state;
    const sums = [focalLoss, focalGradient].map((of) => [many.count * of(many.p, g, 1 - a), few.count * of(few.p, g, a)]);
    const share = ([easy, hard]) => (easy + hard > 0 ? hard / (easy + hard) : 0);
    return { sums, loss: share(sums[0]), gradient: share(sums[1]) };
  }

  function showCrowd() {
    const { many, few, gamma: g, alpha: a, paper } = state;
    manyCount.update(many.count); manyP.update(many.p); fewCount.update(few.count); fewP.update(few.p);
    const now = balance(g, a), published = balance(paper.gamma, paper.alpha);
    const row = (name, share, key) => ({
      name, text: percent(share),
      parts: [
        { value: 1 - share, color: "ignored", key: `easy-${key}`, text: percent(1 - share) },
        { value: share, color: "truth", key: `hard-${key}`, text: "" },
      ],
    });
    shares.update({
      min: 0, max: 1, label: "Shares of the total loss and of the total gradient: easy background, hard objects",
      rows: [row("of loss", now.loss, "loss"), row("of gradient", now.gradient, "gradient")],
    });
    const [easy, hard] = now.sums[0];
    sums.update({
      rows: [
        { key: "easy-total", name: "total loss of the easy ones", color: "ignored", value: easy, text: significant(easy),
          formula: `${written(many.count, 0)} × ${significant(focalLoss(many.p, g, 1 - a))}` },
        { key: "hard-total", name: "total loss of the hard ones", color: "truth", value: hard, text: significant(hard),
          formula: `${written(few.count, 0)} × ${significant(focalLoss(few.p, g, a))}` },
      ],
    });
    const each = [focalLoss(many.p, g, 1 - a), focalLoss(few.p, g, a)];
    setText(crowdVerdict, weigh(each, many.count / few.count) + ` The hard ones hold ${percent(now.loss)} of the loss.`);
    const along = GAMMAS.map((value) => balance(value, a));
    shareCurve.update({
      x: axis("γ", 0, 5, [0, 1, 2, 3, 4, 5]),
      y: axis("share of the hard ones", 0, 1, [0, 0.25, 0.5, 0.75, 1]),
      curves: [
        { x: GAMMAS, y: along.map((at) => at.gradient), color: "anchor", width: 2.5, dash: "7 4", name: "gradient", at: 3.6 },
        { x: GAMMAS, y: along.map((at) => at.loss), color: "truth", width: 3, name: "loss", at: 2.6 },
      ],
      points: [
        { x: paper.gamma, y: published.loss, color: "ink", shape: "ring", name: `paper, α ${short(paper.alpha)}`, side: "left" },
        { x: g, y: now.gradient, color: "anchor" },
        { x: g, y: now.loss, color: "truth", name: g === paper.gamma ? "" : percent(now.loss) },
      ],
      choosable: true,
      label: `The hard ones' share of the loss, now ${percent(now.loss)}, and of the gradient, now ${percent(now.gradient)}, for γ from 0 to 5. The paper's γ = 2, α = 0.25 gives ${percent(published.loss)} of the loss.`,
    });
    return now;
  }

  /** What one easy example costs beside one hard one, and how many easy ones there are for it. */
  function weigh([easy, hard], ratio) {
    if (easy === 0 && hard === 0) return "With these weights nothing costs anything.";
    if (easy === 0) return "With α = 1 background weighs nothing.";
    if (easy >= hard) return "An easy one costs more than a hard one here.";
    const crowd = ratio > 1 ? `, but there are ${times(ratio)} for each` : "";
    return `An easy one costs ${times(hard / easy)} times less than a hard one${crowd}.`;
  }

  // The curves of Figure 4 for the paper's γ do not change: computed once for a set of logits.
  let known = null;
  function growthOf(of, g) {
    return cumulative(state.logits[of].map((logit) => focalLossOfLogit(logit, g)));
  }
  function showGrowth() {
    if (known?.logits !== state.logits) {
      const lines = Object.fromEntries(["object", "background"].map((of) => [of, GROWTH.map((g) => growthOf(of, g))]));
      known = { logits: state.logits, lines };
    }
    const top = {};
    for (const [of, color] of [["object", "truth"], ["background", "ignored"]]) {
      const now = growthOf(of, state.gamma), x = now.map((_, n) => n / (now.length - 1));
      top[of] = 1 - now[Math.round(0.8 * (now.length - 1))];
      growth[of].update({
        x: axis(`share of the ${of === "object" ? "objects" : "background examples"}, easiest first`, 0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        y: axis("share of their loss", 0, 1, [0, 0.25, 0.5, 0.75, 1]),
        curves: [
          ...GROWTH.map((g, n) => ({ x, y: known.lines[of][n], color, width: 1.5, dash: ["none", "8 3", "4 3", "1 3"][n], name: short(g), at: (of === "object" ? 0.5 : 0.62) + 0.1 * n })),
          { x, y: now, color: "prediction", width: 3.5 },
        ],
        label: `Cumulative loss of the ${of === "object" ? "objects" : "background examples"}: at γ = ${short(state.gamma)} the hardest fifth holds ${written(100 * top[of], 1)}% of it.`,
      });
      set(growth[of].node, { "data-top": top[of] });
    }
    setText(growthVerdict, `At γ = ${short(state.gamma)} (the thick curve) the hardest fifth of the objects holds ${written(100 * top.object, 0)}% of the objects' loss, the hardest fifth of the background ${written(100 * top.background, 0)}% of the background's. Turn γ from 0 to 2: little changes for objects, for background nearly all of the loss moves to the few hard ones. α is not in this picture: it scales a whole side, and the shares within it stay.`);
  }

  const draw = oncePerFrame(() => {
    gamma.update(state.gamma);
    gammaAgain.update(state.gamma);
    alpha.update(state.alpha);
    settings.update([
      ["cross entropy, both sides alike", { gamma: 0, alpha: 0.5 }],
      [`the paper's γ ${short(state.paper.gamma)}, α ${short(state.paper.alpha)}`, { ...state.paper }],
      ["surer background: p 0.99", { many: { ...state.many, p: 0.99 } }],
      ["all as at the start", start],
    ]);
    const { loss } = showOne(), now = showCrowd();
    showGrowth();
    live.say(`γ ${short(state.gamma)}, α ${short(state.alpha)}: focal loss ${significant(loss)} at p ${short(state.p, 3)}. The hard ones hold ${percent(now.loss)} of the loss and ${percent(now.gradient)} of the gradient.`);
  });

  return {
    node,
    update(next) {
      state = next;
      start ??= Object.fromEntries(["gamma", "alpha", "p", "kind", "many", "few"].map((name) => [name, next[name]]));
      draw();
    },
  };
}

export default widget(focalLossExplorer, ["gamma", "alpha", "p", "kind", "many", "few", "logits", "paper"]);
