// What the reader turns, types and presses. Native inputs: every browser gives them keys, touch and
// a name for screen readers.

import { html, set } from "./dom.js";

/**
 * A field to type a number in. What is being typed stays as it is until Enter or until the field is
 * left; `onInput(value, first)` hears each key, and whether it is the first since then.
 */
export function numberField({ label, step = "any", min = null, max = null, seen = label }, onInput) {
  let typing = false, last = 0;
  const show = () => {
    typing = false;
    input.value = String(Math.round(last * 1e10) / 1e10);
  };
  const input = html("input", {
    type: "number", step, min, max, "aria-label": label, inputmode: "decimal", onblur: show,
    onkeydown: (event) => event.key === "Enter" && show(),
    oninput: () => {
      if (input.value === "") return;
      const first = !typing;
      typing = true;
      onInput(+input.value, first);
    },
  });
  return {
    node: html("label", { class: "odx-field" }, html("span", { "aria-hidden": "true" }, seen), input),
    update(value) {
      const changed = value !== last || input.value === "";
      last = value;
      if (changed && !typing) show();
    },
  };
}

/**
 * A slider with a field beside it. `marks` are [value, text] under the track, `note` a line below.
 * `curve` maps the handle's place to the value, and back: [toValue, toPlace]; by default they are one.
 */
export function slider({ label, name, note = "", min, max, step, marks = [], text = String, curve = null, whole = false }, onInput) {
  const [toValue, toPlace] = curve ?? [(place) => place, (value) => value];
  const low = toPlace(min), high = toPlace(max);
  const range = html("input", {
    type: "range", min: low, max: high, step, "aria-label": label,
    oninput: () => onInput(toValue(+range.value)),
  });
  const field = numberField({ label: `${label}, as a number`, min, max, seen: "" }, (value) =>
    onInput(Math.min(max, Math.max(min, whole ? Math.round(value) : value))),
  );
  const ticks = marks.map(([value, word]) => {
    const share = (toPlace(value) - low) / (high - low);
    return html("span", { style: `--at: ${share}` }, word);
  });
  return {
    node: html(
      "div",
      { class: "odx-slider" },
      html("span", { class: "odx-slider-name", "aria-hidden": "true" }, name),
      html("div", { class: "odx-track" }, range, ticks.length ? html("div", { class: "odx-marks", "aria-hidden": "true" }, ...ticks) : ""),
      field.node,
      note ? html("span", { class: "odx-note" }, note) : "",
    ),
    update(value, limits = {}) {
      set(range, limits);
      const place = toPlace(value);
      if (+range.value !== place) range.value = place;
      set(range, { "aria-valuetext": text(value) });
      field.update(value);
    },
  };
}

/** One of several: radio buttons that look like a switch. `options` are [value, text]. */
export function choice({ label, options }, onChoose) {
  const group = `odx-${Math.random().toString(36).slice(2)}`;
  const inputs = options.map(([value]) =>
    html("input", { type: "radio", name: group, value, onchange: () => onChoose(value) }),
  );
  const labels = inputs.map((input, k) => html("label", {}, input, html("span", {}, options[k][1])));
  return {
    node: html("fieldset", { class: "odx-choice" }, html("legend", {}, label), ...labels),
    update(value) {
      for (const input of inputs) input.checked = input.value === value;
    },
  };
}

/**
 * A row of buttons; `update` takes [text, value] pairs and the value that now holds, whose button
 * looks pressed. A press gives the value back.
 */
export function buttons({ label }, onPress) {
  const row = html("div", { class: "odx-buttons", role: "group", "aria-label": label });
  const caption = html("span", { class: "odx-buttons-name", "aria-hidden": "true" }, label);
  let shown = "";
  return {
    node: html("div", { class: "odx-buttonrow" }, caption, row),
    update(pairs, current) {
      const key = JSON.stringify(pairs);
      if (key !== shown) {
        shown = key;
        const make = ([text, value]) =>
          html("button", { type: "button", class: "odx-button", onclick: () => onPress(value) }, text);
        row.replaceChildren(...pairs.map(make));
      }
      if (current === undefined) return;
      const now = JSON.stringify(current);
      pairs.forEach(([, value], n) => set(row.children[n], { "aria-pressed": JSON.stringify(value) === now ? "true" : "false" }));
    },
  };
}
