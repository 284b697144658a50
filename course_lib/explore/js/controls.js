// What the reader turns, types and presses. Native inputs: every browser gives them keys, touch and
// a name for screen readers.

import { html, set } from "./dom.js";

/** A field to type a number in. What is being typed stays as it is until the field is left. */
export function numberField({ label, step = "any", min = null, max = null, seen = label }, onInput) {
  let typing = false, last = 0;
  const show = () => {
    typing = false;
    input.value = String(Math.round(last * 1e10) / 1e10);
  };
  const input = html("input", {
    type: "number", step, min, max, "aria-label": label, inputmode: "decimal", onblur: show,
    oninput: () => {
      typing = true;
      if (input.value !== "") onInput(+input.value);
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
 * A slider with a field beside it. `marks` are [value, text] under the track.
 * `curve` maps the handle's place to the value, and back: [toValue, toPlace]; by default they are one.
 */
export function slider({ label, name, min, max, step, marks = [], text = String, curve = null }, onInput) {
  const [toValue, toPlace] = curve ?? [(place) => place, (value) => value];
  const low = toPlace(min), high = toPlace(max);
  const range = html("input", {
    type: "range", min: low, max: high, step, "aria-label": label,
    oninput: () => onInput(toValue(+range.value)),
  });
  const field = numberField({ label: `${label}, as a number`, min, max, seen: "" }, (value) =>
    onInput(Math.min(max, Math.max(min, value))),
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
      html("div", { class: "odx-track" }, range, html("div", { class: "odx-marks", "aria-hidden": "true" }, ...ticks)),
      field.node,
    ),
    update(value) {
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

/** A row of buttons; `update` takes [text, value] pairs, a press gives the value back. */
export function buttons({ label }, onPress) {
  const row = html("div", { class: "odx-buttons", role: "group", "aria-label": label });
  const caption = html("span", { class: "odx-buttons-name", "aria-hidden": "true" }, label);
  let shown = "";
  return {
    node: html("div", { class: "odx-buttonrow" }, caption, row),
    update(pairs) {
      const key = JSON.stringify(pairs);
      if (key === shown) return;
      shown = key;
      row.replaceChildren(
        ...pairs.map(([text, value]) =>
          html("button", { type: "button", class: "odx-button", onclick: () => onPress(value) }, text),
        ),
      );
    },
  };
}
