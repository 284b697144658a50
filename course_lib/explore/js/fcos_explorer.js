// Boxes and the locations of a pyramid on a photograph: who answers for which object, by which rule.
//
// Traits: boxes (1 to 4), level (3 to 7), place [x, y] (the location whose cell holds it is chosen),
// sampling (centre sampling), radius (its, in strides), ranges (of the levels), world { width,
// height, image, alt, levels: [[level, low, high or null], ...], scenes: [[name, settings], ...] }.

import { stacked } from "./anchor_map.js";
import { boxCanvas } from "./box_canvas.js";
import { buttons, choice, slider } from "./controls.js";
import { announcer, html, keep, oncePerFrame, set, setText, short, widget, written } from "./dom.js";
import { assignLevel, centernessOf, factsAt } from "./fcos_targets.js";
import { locationMap } from "./location_map.js";
import { picking } from "./picking.js";
import { readout } from "./readout.js";
import { valueTable } from "./value_table.js";

const LEVEL_NAMES = [3, 4, 5, 6, 7].map((level) => [String(level), `P${level}`]);
const OBJECT_COLORS = ["truth", "overlap", "enclosing", "union"];
const SIDE_NAMES = ["l, left", "t, up", "r, right", "b, down"];

const nameOfObject = (k) => String.fromCharCode(65 + k);
const wholeNumber = (value) => written(value, 0);
const listed = (names) => names.join(", ").replace(/, ([^,]+)$/, " and $1");

export function fcosExplorer(onChange = () => {}) {
  let state = null;
  const turn = (name) => (value) => onChange({ [name]: value });
  const scenes = buttons({ label: "Boxes" }, (settings) => onChange(settings));
  const level = choice({ label: "Level", options: LEVEL_NAMES }, (value) => onChange({ level: +value }));
  const sampling = choice({ label: "Centre sampling", options: [["on", "on"], ["off", "off"]] }, (value) => onChange({ sampling: value === "on" }));
  const radius = slider({ label: "radius of centre sampling, in strides", name: "radius", min: 0.5, max: 3, step: 0.1, marks: [[1.5, "1.5, paper"]], text: (v) => short(v) }, (value) => onChange({ radius: value, sampling: true }));
  const ranges = choice({ label: "Level ranges", options: [["on", "on"], ["off", "off"]] }, (value) => onChange({ ranges: value === "on" }));
  const map = locationMap(false, ({ step: [dx, dy] }) => {
    const [row, column] = location();
    onChange({ place: middle(row + dy, column + dx) });
  });
  const canvas = boxCanvas(({ boxes }) => onChange({ boxes })), stack = stacked(map.node, canvas.node);
  set(stack, { "data-typed": "yes" });
  const counts = readout(), central = readout(), table = valueTable(), answering = valueTable();
  const tableTitle = html("h3", {}), story = html("p", { class: "odx-verdict" }), strip = html("div", { class: "odx-levels" }), live = announcer();
  const seenCards = new WeakMap();
  const busy = () => canvas.node.querySelector("svg").hasAttribute("data-dragging");
  picking(stack, map.node, busy, ([x, y]) => {
    onChange({ place: [x * state.world.width, y * state.world.height] });
    if (!busy()) map.spot.focus({ preventScroll: true }); // the arrow keys go on from here
  });

  const key = (kind, words) => [html("span", { class: `odx-key odx-key-${kind}`, "aria-hidden": "true" }), html("span", { class: "odx-gap" }, words)];
  const node = html(
    "section", { class: "odx-explorer", "aria-label": "FCOS explorer", "data-explorer": "fcos" },
    html("div", { class: "odx-top" }, level.node, scenes.node),
    html(
      "div", { class: "odx-columns" },
      html("div", {}, stack, html("p", { class: "odx-note odx-legend" }, ...key("owned", "answers for the object of its colour"), ...key("asked", "ambiguous: several objects ask, the smallest gets it"), ...key("idle", "background"), "Click a place, or press Tab and the arrow keys, to choose a location (ringed in orange).")),
      html("div", { class: "odx-settings" }, sampling.node, radius.node, ranges.node, counts.node, central.node, story),
    ),
    html(
      "div", { class: "odx-columns odx-even odx-panels" },
      html("div", {}, tableTitle, table.node),
      html("div", {}, html("h3", {}, "How many locations of each level answer for each object"), answering.node),
    ),
    html("div", { class: "odx-panels" }, html("h3", {}, "The same boxes on every level; a black middle: ambiguous"), strip),
    live.node,
  );

  // --- levels and the chosen location

  const levels = () => state.world.levels.map(([k, low, high]) => {
    const stride = 2 ** k;
    return { level: k, stride, low, high: high ?? Infinity, grid: [Math.ceil(state.world.height / stride), Math.ceil(state.world.width / stride)] };
  });
  const current = () => levels().find((one) => one.level === state.level);
  const inside = (k, count) => Math.min(Math.max(k, 0), count - 1);

  function location() {
    const { stride, grid: [H, W] } = current(), [x, y] = state.place;
    return [inside(Math.floor(y / stride), H), inside(Math.floor(x / stride), W)];
  }

  /** The place where a location lies. */
  function middle(row, column) {
    const { stride, grid: [H, W] } = current();
    return [(inside(column, W) + 0.5) * stride, (inside(row, H) + 0.5) * stride];
  }

  const rangeOf = ({ low, high }) => (high === Infinity ? `${low} and more` : `${low} to ${high}`);

  // --- drawing

  function makeCard() {
    const title = html("h4", {}), view = locationMap(true), numbers = readout(), card = html("div", { class: "odx-card" }, title, view.node, numbers.node);
    const seen = { title, view, numbers, level: 0 };
    view.node.addEventListener("click", () => onChange({ level: seen.level }));
    seenCards.set(card, seen);
    return card;
  }

  function draw() {
    const { world, boxes, sampling: central_, radius: reach, ranges: ranged } = state, rule = { sampling: central_, radius: reach, ranges: ranged };
    const all = levels(), found = all.map((one) => assignLevel(boxes, one, rule)), n = all.findIndex((one) => one.level === state.level), here = all[n], mine = found[n];
    const [row, column] = location(), at = middle(row, column), facts = factsAt(at, boxes, here, rule), winner = mine.owners[row * here.grid[1] + column];
    const total = (name) => found.reduce((sum, one) => sum + one[name], 0), colors = boxes.map((_, k) => OBJECT_COLORS[k]);
    const ground = { width: world.width, height: world.height, image: world.image, colors };

    const settings = world.scenes.map(([, value]) => value), same = ({ boxes: known }) => JSON.stringify(known) === JSON.stringify(boxes);
    scenes.update(world.scenes, settings.find(same) ?? null);
    level.update(String(state.level)); sampling.update(central_ ? "on" : "off"); radius.update(reach); ranges.update(ranged ? "on" : "off");

    const within = facts.map((_, k) => k).filter((k) => facts[k].inside).sort((a, b) => facts[a].area - facts[b].area);
    const lined = winner >= 0 ? winner : within[0] ?? -1;
    map.update({
      ...ground, ...here, ...mine, alt: world.alt,
      here: {
        at, box: lined < 0 ? null : boxes[lined], color: winner < 0 ? "ignored" : colors[lined], dash: winner < 0,
        label: `Location in row ${row + 1} of ${here.grid[0]}, column ${column + 1} of ${here.grid[1]}: ${winner < 0 ? "background" : `answers for ${nameOfObject(winner)}`}`,
      },
      label: `Level P${state.level}: ${mine.positive} of ${mine.N} locations answer for an object, ${mine.ambiguous} are ambiguous.`,
    });
    canvas.update({ width: world.width, height: world.height, boxes, colors, quiet: boxes.map(() => false), step: 1, label: "Objects to move.", badge: `P${state.level}: ${mine.positive} answer, ${mine.ambiguous} ambiguous` });

    counts.update({
      rows: [
        { key: "locations", name: "locations on all levels", color: "anchor", formula: found.map(({ N }) => wholeNumber(N)).join(" + "), value: total("N"), text: wholeNumber(total("N")) },
        { key: "positive", name: "of them answer for an object", value: total("positive"), text: wholeNumber(total("positive")) },
        { key: "ambiguous-here", name: `ambiguous on P${state.level}`, value: mine.ambiguous, text: wholeNumber(mine.ambiguous) },
        { key: "ambiguous", name: "ambiguous on all levels", formula: found.map((one) => wholeNumber(one.ambiguous)).join(" + "), value: total("ambiguous"), text: wholeNumber(total("ambiguous")), strong: true },
      ],
    });
    showTable(facts, winner, here, [row, column]);
    showCenterness(facts, winner);
    const owned = boxes.map((_, k) => found.map((one) => one.owned[k]));
    answering.update({
      heads: ["", ...all.map((one) => `P${one.level}`), "all"], label: "How many locations answer for each object",
      rows: owned.map((each, k) => {
        const sum = each.reduce((a, b) => a + b, 0), w = boxes[k][2] - boxes[k][0], h = boxes[k][3] - boxes[k][1];
        return { name: `${nameOfObject(k)}, ${wholeNumber(w)} × ${wholeNumber(h)}`, color: colors[k], cells: [...each.map((value, m) => ({ key: `owned-${nameOfObject(k)}-${all[m].level}`, value, text: wholeNumber(value), strong: value > 0 })), { key: `owned-${nameOfObject(k)}`, value: sum, text: wholeNumber(sum) }] };
      }),
    });
    keep(strip, all.length, makeCard).forEach((card, k) => showCard(card, all[k], found[k], ground));
    setText(story, say(facts, winner, within, here, found, owned));
    live.say(`P${state.level}, row ${row + 1}, column ${column + 1}: ${winner < 0 ? "background" : `answers for ${nameOfObject(winner)}, centre-ness ${written(centernessOf(facts[winner].sides), 2)}`}. ${mine.ambiguous} ambiguous on this level, ${total("ambiguous")} on all.`);
  }

  function showTable(facts, winner, here, [row, column]) {
    const strong = (k) => k === winner, cell = (name, value, text) => (fact, k) => ({ key: `${name}-${nameOfObject(k)}`, value: value(fact), text: text(value(fact)), strong: strong(k) });
    const word = (test) => (fact, k) => ({ text: test(fact, k) ? "yes" : "no", strong: strong(k) });
    const line = (name, make) => ({ name, cells: facts.map(make) });
    const pixels = (value) => written(value, 1).replace(/\.0$/, "");
    setText(tableTitle, `P${state.level}, row ${row + 1}, column ${column + 1}: what each object asks of this location`);
    table.update({
      heads: ["in pixels", ...facts.map((_, k) => nameOfObject(k))], label: "What each object has to do with the chosen location",
      rows: [
        ...SIDE_NAMES.map((name, side) => line(name, cell("ltrb"[side], ({ sides }) => sides[side], pixels))),
        line("lies in it: all four above 0", word(({ inside: within }) => within)),
        line("from its centre, the larger of x and y", cell("away", ({ away }) => away, pixels)),
        line(state.sampling ? `… is below ${short(state.radius)} × ${here.stride} = ${short(state.radius * here.stride)}` : "… may be anything", word(({ near }) => near)),
        line("longest of l, t, r, b", cell("longest", ({ longest }) => longest, pixels)),
        line(state.ranges ? `… P${here.level} is in charge of ${rangeOf(here)}` : "… any level is in charge of it", word(({ charged }) => charged)),
        line("asks for this location", word(({ asks: wants }) => wants)),
        line("area", cell("area", ({ area }) => area, wholeNumber)),
        line("gets it: the smallest area", (_, k) => ({ text: strong(k) ? "yes" : facts[k].asks ? "no" : "–", strong: strong(k) })),
      ],
    });
  }

  function showCenterness(facts, winner) {
    if (winner < 0) return central.update({ rows: [] });
    const [l, t, r, b] = facts[winner].sides, value = centernessOf([l, t, r, b]), share = (p, q) => `{${short(Math.min(p, q))}|${short(Math.max(p, q))}}`;
    return central.update({
      rows: [{ key: "centerness", name: `centre-ness in ${nameOfObject(winner)}: √( min(l, r) / max(l, r) · min(t, b) / max(t, b) )`, color: OBJECT_COLORS[winner], formula: `√( ${share(l, r)} · ${share(t, b)} )`, value, strong: true }],
    });
  }

  function showCard(card, one, found, ground) {
    const seen = seenCards.get(card), [H, W] = one.grid;
    seen.level = one.level;
    set(card, { "data-here": one.level === state.level ? "yes" : null });
    setText(seen.title, `P${one.level}: ${state.ranges ? rangeOf(one) : "any size"}`);
    seen.view.update({ ...ground, ...one, ...found, label: `P${one.level}, ${H} by ${W} locations: ${found.positive} answer for an object, ${found.ambiguous} are ambiguous.` });
    seen.numbers.update({
      rows: [
        { key: `positive-${one.level}`, name: "answer", value: found.positive, text: wholeNumber(found.positive) },
        { key: `ambiguous-${one.level}`, name: "ambiguous", value: found.ambiguous, text: wholeNumber(found.ambiguous) },
      ],
    });
  }

  function say(facts, winner, within, here, found, owned) {
    const called = (ks) => listed(ks.map(nameOfObject)), parts = [], asking = facts.map((_, k) => k).filter((k) => facts[k].asks);
    const [every, size] = asking.length > 2 ? ["all", "smallest"] : ["both", "smaller"], tie = asking.some((k) => k !== winner && facts[k].area === facts[winner].area);
    if (winner >= 0 && asking.length > 1) parts.push(`${called(asking)} ${every} ask for the chosen location. ${nameOfObject(winner)} is ${tie ? "the first of equal size" : `the ${size} one`}, so it answers for ${nameOfObject(winner)} alone.`);
    else if (winner >= 0) parts.push(`The chosen location answers for ${nameOfObject(winner)}: no other object asks for it.`);
    else if (!within.length) parts.push("The chosen location lies in no object: background.");
    else {
      const k = within[0], { charged, longest } = facts[k], why = [];
      if (!facts[k].near) why.push(`it is ${short(facts[k].away, 1)} pixels from the centre, ${short(state.radius * here.stride)} are allowed`);
      if (!charged) why.push(`its longest side is ${short(longest, 1)}, and P${here.level} is in charge of ${rangeOf(here)}`);
      parts.push(`The chosen location lies in ${called(within)}, but is background: for ${nameOfObject(k)}, ${listed(why)}.`);
    }
    const lost = owned.map((each, k) => k).filter((k) => owned[k].every((count) => count === 0));
    if (lost.length) parts.push(`No location of any level answers for ${called(lost)}: nothing would learn it.`);
    const clashes = found.reduce((sum, one) => sum + one.ambiguous, 0), positive = found.reduce((sum, one) => sum + one.positive, 0);
    if (clashes) parts.push(`Of the ${wholeNumber(positive)} locations that answer, ${wholeNumber(clashes)} were asked for by several objects (${written((100 * clashes) / positive, 0)}%).`);
    else parts.push("No location is asked for by two objects.");
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

export default widget(fcosExplorer, ["boxes", "level", "place", "sampling", "radius", "ranges", "world"]);
