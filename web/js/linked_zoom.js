// Zooms and moves several pictures as one: by wheel, pinch, drag, double click, buttons and keys. All
// offsets are in fractions of a pane, so that panes of any size show the same part.
const MOST = 8;
const STEP = 1.5;
const PAN_STEP = 0.1;
const SWIPE_PX = 50;
const clamp = (value, least, most) => Math.min(Math.max(value, least), most);

export class LinkedZoom {
  // `onSwipe(1)` asks for the next photo and `onSwipe(-1)` for the previous one.
  constructor(panes, { onChange, onSwipe }) {
    this.panes = panes;
    this.onChange = onChange;
    this.onSwipe = onSwipe;
    this.pointers = new Map();
    this.swipe = null;
    for (const pane of panes) this.#listen(pane);
    this.reset();
  }

  reset() {
    this.#set(1, 0, 0);
  }

  // Around a point of the pane; its middle unless it is given.
  zoom(factor, [x, y] = [0.5, 0.5]) {
    const scale = clamp(this.scale * factor, 1, MOST);
    const grown = scale / this.scale;
    this.#set(scale, x - (x - this.x) * grown, y - (y - this.y) * grown);
  }

  pan(dx, dy) {
    this.#set(this.scale, this.x + dx, this.y + dy);
  }

  // Returns whether the key was handled.
  onKey({ key, shiftKey }) {
    const step = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[key];
    if (key === "+" || key === "=") this.zoom(STEP);
    else if (key === "-") this.zoom(1 / STEP);
    else if (key === "0") this.reset();
    else if (step && shiftKey) this.pan(step[0] * PAN_STEP, step[1] * PAN_STEP);
    else return false;
    return true;
  }

  zoomIn = () => this.zoom(STEP);
  zoomOut = () => this.zoom(1 / STEP);

  get isWhole() {
    return this.scale === 1;
  }

  get isClosest() {
    return this.scale === MOST;
  }

  #set(scale, x, y) {
    this.scale = scale;
    [this.x, this.y] = [clamp(x, 1 - scale, 0), clamp(y, 1 - scale, 0)];
    for (const pane of this.panes) {
      pane.classList.toggle("zoomed", scale > 1);
      pane.firstElementChild.style.transform = `translate(${this.x * 100}%, ${this.y * 100}%) scale(${scale})`;
    }
    this.onChange(this);
  }

  #listen(pane) {
    pane.addEventListener("wheel", (event) => this.#onWheel(pane, event), { passive: false });
    pane.addEventListener("dblclick", (event) =>
      (this.isWhole ? this.zoom(STEP * STEP, place(pane, event)) : this.reset()));
    pane.addEventListener("pointerdown", (event) => this.#onDown(pane, event));
    pane.addEventListener("pointermove", (event) => this.#onMove(pane, event));
    pane.addEventListener("pointerup", (event) => this.#onUp(event));
    pane.addEventListener("pointercancel", (event) => this.#forget(event));
  }

  #onWheel(pane, event) {
    const before = this.scale;
    this.zoom(2 ** (-event.deltaY / (event.deltaMode ? 10 : 300)), place(pane, event));
    // Where there is nothing more to zoom, the page scrolls.
    if (this.scale !== before || event.ctrlKey) event.preventDefault();
  }

  #onDown(pane, event) {
    if (event.button !== 0) return;
    pane.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, place(pane, event));
    const canSwipe = this.pointers.size === 1 && this.isWhole && event.pointerType !== "mouse";
    this.swipe = canSwipe ? [event.clientX, event.clientY] : null;
  }

  // One finger moves the pictures; two also zoom around the point between them.
  #onMove(pane, event) {
    if (!this.pointers.has(event.pointerId)) return;
    const before = [...this.pointers.values()];
    this.pointers.set(event.pointerId, place(pane, event));
    const after = [...this.pointers.values()];
    const [from, to] = [middle(before), middle(after)];
    if (after.length > 1) this.zoom(spread(after) / (spread(before) || 1), from);
    this.pan(to[0] - from[0], to[1] - from[1]);
  }

  #onUp(event) {
    if (this.swipe && this.pointers.size === 1) {
      const [dx, dy] = [event.clientX - this.swipe[0], event.clientY - this.swipe[1]];
      if (Math.abs(dx) > Math.max(SWIPE_PX, 2 * Math.abs(dy))) this.onSwipe(dx < 0 ? 1 : -1);
    }
    this.#forget(event);
  }

  #forget(event) {
    this.pointers.delete(event.pointerId);
    this.swipe = null;
  }
}

function place(pane, { clientX, clientY }) {
  const { left, top, width, height } = pane.getBoundingClientRect();
  return [(clientX - left) / width, (clientY - top) / height];
}

const middle = (points) => [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
const spread = ([one, other]) => Math.hypot(one[0] - other[0], one[1] - other[1]);
