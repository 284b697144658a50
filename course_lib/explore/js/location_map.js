// The locations of one level over a picture, each in the colour of the object that it answers for.
//
// locationMap(small) with small: true colours cells instead, on a pale picture, and nothing is chosen.
// update({ width, height, image, alt, grid, stride, owners, asked, colors, here, label })
//   grid     [H, W] of the level; location k of a row or column lies at (k + 0.5) · stride
//   owners   for each location the number of its object, or -1;  asked: how many ask for it
//   colors   for each object
//   here     { at: [x, y], box, color, dash, label }: the chosen location, and the box to whose sides
//            four lines are drawn, or null
// onChange({ step: [dx, dy] }) when an arrow key is pressed on the chosen location

import { keep, onResize, paint, set, setText, short, svg } from "./dom.js";

const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const ROOM = 24; // pixels of the screen between locations from which a dot holds a letter
const SIDE_ROOM = 30; // of a line that wears its name

const dotAt = (x, y) => `M${x} ${y}h0`; // a line of no length: its round or square ends are the dot
const cellAt = (x, y, side) => `M${x - side / 2} ${y - side / 2}h${side}v${side}h${-side}z`;

export function locationMap(small = false, onChange = () => {}) {
  let state = null, width = 0;
  const path = (name) => svg("path", { class: name });
  const picture = svg("image", { x: 0, y: 0, preserveAspectRatio: "none" });
  const idle = svg("circle", { class: "odx-idle" }), edge = path("odx-celledge");
  const pattern = svg("pattern", { id: `odx-idle-${Math.random().toString(36).slice(2)}`, patternUnits: "userSpaceOnUse" }, edge, idle);
  const ground = svg("rect", { x: 0, y: 0 }), rim = path("odx-rim"), owned = svg("g"), askedRim = path("odx-asked-rim"), contested = svg("g"), core = path("odx-core");
  const letters = svg("g", { "aria-hidden": "true" }), sideCasing = path("odx-arm-casing"), sides = path("odx-arm"), words = svg("g", { "aria-hidden": "true" });
  const spot = svg(
    "g", { class: "odx-spot", tabindex: 0, role: "application", "aria-roledescription": "movable location", onkeydown: press },
    svg("circle", { class: "odx-spot-ring" }), svg("circle", { class: "odx-spot-dot" }),
  );
  const root = svg(
    "svg", { class: "odx-canvas odx-level odx-locations", role: small ? "img" : "group", "data-small": small ? "yes" : null },
    svg("defs", {}, pattern), picture, ground, rim, owned, askedRim, contested, core, letters, ...(small ? [] : [sideCasing, sides, words, spot]),
  );
  onResize(root, (now) => {
    width = now;
    if (state) show();
  });

  function press(event) {
    const way = WAYS[event.key];
    if (!way || event.altKey) return;
    event.preventDefault();
    onChange({ step: way });
  }

  function showLocations(u) {
    const { grid: [, W], stride, owners, asked, colors } = state, near = stride / u; // in pixels of the screen
    const lettered = !small && near >= ROOM, r = (lettered ? 8 : Math.min(Math.max(near / 4.6, 1.7), 5)) * u;
    const sole = colors.map(() => ""), shared = colors.map(() => ""), named = [];
    let cores = "";
    owners.forEach((owner, n) => {
      if (owner < 0) return;
      const x = ((n % W) + 0.5) * stride, y = (Math.floor(n / W) + 0.5) * stride, several = asked[n] > 1;
      (several ? shared : sole)[owner] += small ? cellAt(x, y, stride) : dotAt(x, y);
      if (several && small) cores += cellAt(x, y, stride * 0.44);
      if (lettered) named.push([x, y, owner]);
    });
    set(idle, { cx: stride / 2, cy: stride / 2, r: small ? 0 : Math.min(r * 0.5, 2.4 * u), "stroke-width": 0.8 * u });
    const line = small ? { "stroke-width": 0 } : { "stroke-width": 2 * r };
    const fill = (color) => (small ? { fill: paint(color), stroke: "none" } : { fill: "none", stroke: paint(color) });
    set(rim, { d: small ? "" : sole.join(""), "stroke-width": 2 * r + 1.6 * u });
    set(askedRim, { d: small ? "" : shared.join(""), "stroke-width": 2 * r + 2.2 * u });
    set(core, { d: cores });
    [[owned, sole], [contested, shared]].forEach(([group, parts]) => keep(group, colors.length, () => svg("path")).forEach((one, k) => set(one, { d: parts[k], ...line, ...fill(colors[k]) })));
    keep(letters, named.length, () => svg("text", { class: "odx-tagtext" })).forEach((text, n) => {
      const [x, y, owner] = named[n];
      set(text, { x, y: y + 4 * u, "font-size": 11 * u, fill: "#ffffff", stroke: "#1f1f1f", "stroke-width": 2.4 * u });
      setText(text, String.fromCharCode(65 + owner));
    });
  }

  function showHere(u) {
    const { here } = state, { at: [x, y], box, color, dash, label } = here, [ring, centre] = spot.children;
    const ends = box ? [[box[0], y], [x, box[1]], [box[2], y], [x, box[3]]] : [];
    const d = ends.map(([ex, ey]) => `M${x} ${y}L${ex} ${ey}`).join("");
    set(sideCasing, { d, "stroke-width": 5 * u });
    set(sides, { d, "stroke-width": 2.6 * u, stroke: box ? paint(color) : "none", "stroke-dasharray": dash ? `${6 * u} ${4 * u}` : null });
    const long = ends.map(([ex, ey], n) => ({ name: "ltrb"[n], ex, ey, far: Math.abs(ex - x) + Math.abs(ey - y), flat: n % 2 === 0 })).filter(({ far }) => far > SIDE_ROOM * u);
    keep(words, long.length, () => svg("text", { class: "odx-sideword" })).forEach((text, n) => {
      const { name, ex, ey, far, flat } = long[n];
      set(text, { x: (x + ex) / 2 + (flat ? 0 : 5 * u), y: (y + ey) / 2 + (flat ? -6 : 4) * u, "text-anchor": flat ? "middle" : "start", "font-size": 12.5 * u, "stroke-width": 3.5 * u });
      setText(text, `${name} ${short(far, 1)}`);
    });
    set(ring, { cx: x, cy: y, r: 7.5 * u, "stroke-width": 3 * u });
    set(centre, { cx: x, cy: y, r: 4 * u });
    set(spot, { "aria-label": label });
  }

  function show() {
    const { width: wide, height, image, alt, grid: [H, W], stride, label } = state, u = wide / (width || wide);
    set(root, { viewBox: `0 0 ${wide} ${height}`, "aria-label": [label, alt].filter(Boolean).join(" ") });
    set(picture, { href: image || null, width: wide, height });
    set(pattern, { width: stride, height: stride });
    set(edge, { d: `M0 0H${stride}M0 0V${stride}`, "stroke-width": Math.min(u, stride / u < 5 ? 0.4 * u : u) });
    set(ground, { width: W * stride, height: H * stride, fill: `url(#${pattern.id})` });
    showLocations(u);
    if (!small) showHere(u);
  }

  return {
    node: root,
    spot,
    update(next) {
      state = { alt: "", here: null, label: "", ...next };
      show();
    },
  };
}
