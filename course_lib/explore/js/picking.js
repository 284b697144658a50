// A click picks a place in a picture, and so does a mouse that is held down where it drags nothing.

const STILL = 6; // pixels of the screen that a pointer may move and still click

/**
 * Hear picks in `target`: onPick([x, y]), in shares of `ground`'s width and height, 0 to 1.
 * busy() tells that the pointer drags something else.
 */
export function picking(target, ground, busy, onPick) {
  let from = null;
  const pick = (event) => {
    const frame = ground.getBoundingClientRect();
    const share = [(event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height];
    if (share.every((s) => s >= 0 && s <= 1)) onPick(share);
  };
  target.addEventListener("pointerdown", (event) => {
    from = event.button === 0 && event.target.closest("svg") ? [event.clientX, event.clientY] : null;
    if (from && event.pointerType === "mouse" && !busy()) pick(event);
  });
  target.addEventListener("pointermove", (event) => {
    if (from && event.buttons && event.pointerType === "mouse" && !busy()) pick(event);
  });
  target.addEventListener("click", (event) => {
    if (from && Math.hypot(event.clientX - from[0], event.clientY - from[1]) < STILL) pick(event);
    from = null;
  });
}
