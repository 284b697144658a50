// Makes the widgets of a page without Python alive: each gets a small model of its own.

class Model {
  constructor(state) {
    this.state = state;
    this.listeners = new Map();
  }
  get(name) {
    return this.state[name];
  }
  set(name, value) {
    this.state[name] = value;
    for (const listener of this.listeners.get(`change:${name}`) ?? []) listener();
  }
  on(event, listener) {
    this.listeners.set(event, [...(this.listeners.get(event) ?? []), listener]);
  }
  off() {
    this.listeners.clear();
  }
  save_changes() {}
}

for (const data of document.querySelectorAll("script.odx-data")) {
  const { module, state } = JSON.parse(data.textContent);
  const text = document.getElementById(module).textContent;
  const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  const { default: part } = await import(address);
  const place = data.previousElementSibling;
  place.replaceChildren();
  part.render({ model: new Model(state), el: place });
}
