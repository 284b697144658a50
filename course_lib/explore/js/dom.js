// What every part needs: make elements, write numbers, draw once a frame, live in a notebook.
//
// A part is a function (onChange) => ({ node, update(state) }). It draws what `update` is told and
// reports what the reader does as onChange({ name: value }); it never changes its own state. So one
// part serves in a larger one, in a notebook (`widget` below) and in a page without Python.

const SVG = "http://www.w3.org/2000/svg";

/** html("button", { class: "odx-button", onclick: f }, "Text", otherNode) */
export const html = (tag, attributes = {}, ...children) =>
  fill(document.createElement(tag), attributes, children);

export const svg = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

function fill(node, attributes, children) {
  set(node, attributes);
  node.append(...children);
  return node;
}

/** Set attributes; a function is a listener, null takes an attribute away. Unchanged ones cost nothing. */
export function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else if (value === null || value === false) node.removeAttribute(name);
    else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
  }
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** As many children of `parent` as there are items: made when missing, removed when too many. */
export function keep(parent, count, make) {
  while (parent.children.length > count) parent.lastElementChild.remove();
  while (parent.children.length < count) parent.append(make(parent.children.length));
  return [...parent.children];
}

const formats = new Map();

/** 1234.5 with 1 digit: "1,234.5"; with a true minus, and no minus before 0.0. */
export function written(value, digits = 3) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "–" : value > 0 ? "∞" : "−∞";
  if (!formats.has(digits)) {
    formats.set(
      digits,
      new Intl.NumberFormat("en-US", {
        minimumFractionDigits: digits,
        maximumFractionDigits: digits,
        signDisplay: "negative",
      }),
    );
  }
  return formats.get(digits).format(value).replace("-", "−");
}

/** As few digits as the value has, at most `most`: 12 and 12.5. */
export const short = (value, most = 2) => written(value, digitsOf(value, most));

function digitsOf(value, most) {
  if (value === 0) return 0;
  for (let digits = 0; digits < most; digits++) {
    if (Math.abs(value - Number(value.toFixed(digits))) < 1e-9 * Math.abs(value)) return digits;
  }
  return most;
}

const SUPERSCRIPT = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** Three significant digits: 10,500 · 0.105 · 0.01 · 0.000263 · 2.6 × 10⁻⁹ */
export function significant(value) {
  const size = Math.abs(value);
  if (size === 0 || !Number.isFinite(size)) return written(value, 0);
  if (size < 1e-5) {
    const [factor, power] = value.toExponential(1).split("e-");
    const raised = [...power].map((digit) => SUPERSCRIPT[digit]).join("");
    return `${factor.replace("-", "−")} × 10⁻${raised}`;
  }
  return short(value, Math.max(0, 2 - Math.floor(Math.log10(size))));
}

/** A number that can be read twice: rounded by people, in full by a test or a screen's tooltip. */
export function setNumber(node, name, value, text) {
  set(node, { "data-name": name, value: String(value), title: String(value) });
  setText(node, text);
}

/** A share of 1 in percent: 37.1%, and 0.043% where one digit would hide it. */
export const percent = (value) => `${value > 0 && value < 0.001 ? significant(100 * value) : written(100 * value, 1)}%`;

/** How many times, in words that can still be read. */
export const times = (value) => (value > 1e6 ? "more than a million" : significant(value));

/** The palette knows colours by their idea: "truth" is var(--odx-truth); anything else is itself. */
export const paint = (color) => (/^[a-z]+$/.test(color) ? `var(--odx-${color})` : color);

/** The same for a surface with text on it, and for that text. */
export const surface = (color) => [`var(--odx-${color}-tag)`, `var(--odx-${color}-ink)`];

/** Call `draw` before the next repaint, however often it was asked for. */
export function oncePerFrame(draw) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  };
}

/** Call `draw(width)` with the node's width in pixels of the screen, now and when it changes. */
export function onResize(node, draw) {
  let width = 0;
  new ResizeObserver(([entry]) => {
    const now = entry.contentRect.width;
    if (now && now !== width) draw((width = now));
  }).observe(node);
}

/** Text that a screen reader says when the values have come to rest; nobody sees it. */
export function announcer() {
  const node = html("p", { class: "odx-unseen", "aria-live": "polite" });
  let timer = 0;
  const say = (text) => {
    clearTimeout(timer);
    timer = setTimeout(() => setText(node, text), 500);
  };
  return { node, say };
}

/** An anywidget that shows a part; `names` are the traits that its `update` reads. */
export function widget(make, names) {
  return {
    render({ model, el }) {
      const error = html("pre", { class: "odx-error", role: "alert", hidden: "" });
      const guard = (action) => {
        try {
          action();
        } catch (problem) {
          error.hidden = false;
          setText(error, `${problem}\n${problem.stack ?? ""}`);
          throw problem;
        }
      };
      let part;
      guard(() => {
        part = make((change) => {
          for (const [name, value] of Object.entries(change)) model.set(name, value);
          model.save_changes();
        });
        const show = () =>
          guard(() => part.update(Object.fromEntries(names.map((n) => [n, model.get(n)]))));
        for (const name of names) model.on(`change:${name}`, show);
        show();
      });
      // JupyterLab's one-key commands must not take arrows and letters away from us; Control+S may.
      el.addEventListener("keydown", (event) => {
        const command = event.ctrlKey || event.metaKey;
        if (!command || event.key.startsWith("Arrow")) event.stopPropagation();
      });
      el.classList.add("odx");
      el.append(error, part.node);
    },
  };
}
