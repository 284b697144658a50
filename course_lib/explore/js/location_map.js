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

export function locationMap(small = false, onChange = () => {}) {
  let state = null, width = 0;
  const path = (name) => svg("path", { class: name });
  const picture = svg("image", { x: 0, y: 0, preserveAspectRatio: "none" });
  const idle = svg("circle", { class: "odx-idle" }), edge = path("odx-celledge");
  const pattern = svg("pattern", { id: `odx-idle-${Math.random().toString(36).slice(2)}`, patternUnits: "userSpaceOnUse" }, edge, idle);
  const ground = svg("rect", { x: 0, y: 0 }), tiles = svg("g"), owned = svg("g");
  const letters = svg("g", { "aria-hidden": "true" }), sideCasing = path("odx-arm-casing"), sides = path("odx-arm"), words = svg("g", { "aria-hidden": "true" });
  const spot = svg(
    "g", { class: "odx-spot", tabindex: 0, role: "application", "aria-roledescription": "movable location", onkeydown: press },
    svg("circle", { class: "odx-spot-ring" }), svg("circle", { class: "odx-spot-dot" }),
  );
  const root = svg(
    "svg", { class: "odx-canvas odx-level odx-locations", role: small ? "img" : "group", "data-small": small ? "yes" : null },
    svg("defs", {}, pattern, tiles), picture, ground, owned, letters, ...(small ? [] : [sideCasing, sides, words, spot]),
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

  /** One cell with its dot, again and again: the colour of an object, round or, where several ask, square. */
  const makeTile = () => svg("pattern", { id: `odx-tile-${Math.random().toString(36).slice(2)}`, patternUnits: "userSpaceOnUse" }, svg("rect"), svg("rect"));

  function showTile(tile, color, several, r, u) {
    const { stride } = state, [under, over] = tile.children, half = stride / 2, square = (side, radius) => ({ x: half - side, y: half - side, width: 2 * side, height: 2 * side, rx: radius });
    set(tile, { width: stride, height: stride });
    if (small) {
      set(under, { ...square(half, 0), fill: paint(color), "fill-opacity": 0.85 });
      set(over, { ...square(stride * 0.22, 0), fill: "#1f1f1f", visibility: several ? null : "hidden" });
    } else {
      const rim = r + (several ? 1.1 : 0.8) * u;
      set(under, { ...square(rim, several ? 0 : rim), fill: several ? "#1f1f1f" : "#ffffff" });
      set(over, { ...square(r, several ? 0 : r), fill: paint(color) });
    }
  }

  function showLocations(u) {
    const { grid: [H, W], stride, owners, asked, colors } = state, near = stride / u; // in pixels of the screen
    const lettered = !small && near >= ROOM, r = (lettered ? 8 : Math.min(Math.max(near / 4.6, 1.7), 5)) * u;
    const areas = colors.flatMap(() => ["", ""]), named = [], kind = (n) => (owners[n] < 0 ? -1 : 2 * owners[n] + (asked[n] > 1 ? 1 : 0));
    for (let row = 0; row < H; row++) {
      for (let from = 0, to = 1; from < W; from = to++) {
        const now = kind(row * W + from);
        while (to < W && kind(row * W + to) === now) to++;
        if (now >= 0) areas[now] += `M${from * stride} ${row * stride}h${(to - from) * stride}v${stride}h${(from - to) * stride}z`;
      }
    }
    if (lettered) owners.forEach((owner, n) => owner >= 0 && named.push([((n % W) + 0.5) * stride, (Math.floor(n / W) + 0.5) * stride, owner]));
    set(idle, { cx: stride / 2, cy: stride / 2, r: small ? 0 : Math.min(r * 0.5, 2.4 * u), "stroke-width": 0.8 * u });
    const made = keep(tiles, areas.length, makeTile);
    made.forEach((tile, n) => showTile(tile, colors[n >> 1], n % 2 === 1, r, u));
    keep(owned, areas.length, () => svg("path")).forEach((area, n) => set(area, { d: areas[n], fill: `url(#${made[n].id})` }));
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
