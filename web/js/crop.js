// A frame over a picture, moved and resized by pointer or keys. Its rectangle is in fractions of the picture.
import { element } from "./dom.js";
import { strings } from "./strings.js";

const LEAST = 0.06;
const STEP = 0.02;
const CORNERS = ["nw", "ne", "sw", "se"];
const said = strings.photoQuery;
const clamp = (value, least, most) => Math.min(Math.max(value, least), most);

export class Cropper {
  constructor(image) {
    this.rect = { x: 0, y: 0, w: 1, h: 1 };
    const corners = CORNERS.map((name) => element(`button.corner.${name}`, {
      type: "button", "aria-label": said.corner[name],
      onpointerdown: (event) => this.#drag(event, (start, dx, dy) => this.#stretch(name, start, dx, dy)),
      onkeydown: (event) => this.#onKey(event, (dx, dy) => this.#stretch(name, this.rect, dx, dy)),
    }));
    this.frame = element("div.frame", {
      tabIndex: 0, role: "group", "aria-label": said.frame,
      onpointerdown: (event) => this.#drag(event, (start, dx, dy) => this.#move(start, dx, dy)),
      onkeydown: (event) => this.#onKey(event, (dx, dy) =>
        (event.shiftKey ? this.#stretch("se", this.rect, dx, dy) : this.#move(this.rect, dx, dy))),
    }, ...corners);
    this.stage = element("div.stage", {}, image, this.frame);
    this.#set({ x: 0.06, y: 0.06, w: 0.88, h: 0.88 });
  }

  get isWhole() {
    return this.rect.w > 0.995 && this.rect.h > 0.995;
  }

  useWhole() {
    this.#set({ x: 0, y: 0, w: 1, h: 1 });
  }

  #set(rect) {
    this.rect = rect;
    const { style } = this.frame;
    for (const [name, value] of [["left", rect.x], ["top", rect.y], ["width", rect.w], ["height", rect.h]]) {
      style[name] = `${value * 100}%`;
    }
  }

  #move(start, dx, dy) {
    const x = clamp(start.x + dx, 0, 1 - start.w);
    const y = clamp(start.y + dy, 0, 1 - start.h);
    this.#set({ ...start, x, y });
  }

  #stretch(corner, start, dx, dy) {
    let [left, top, right, bottom] = [start.x, start.y, start.x + start.w, start.y + start.h];
    if (corner.includes("w")) left = clamp(left + dx, 0, right - LEAST);
    else right = clamp(right + dx, left + LEAST, 1);
    if (corner.includes("n")) top = clamp(top + dy, 0, bottom - LEAST);
    else bottom = clamp(bottom + dy, top + LEAST, 1);
    this.#set({ x: left, y: top, w: right - left, h: bottom - top });
  }

  #drag(event, apply) {
    event.preventDefault();
    event.stopPropagation();
    event.target.focus();
    const start = { ...this.rect };
    const { width, height } = this.stage.getBoundingClientRect();
    const { target, clientX, clientY, pointerId } = event;
    target.setPointerCapture(pointerId);
    const move = (now) => apply(start, (now.clientX - clientX) / width, (now.clientY - clientY) / height);
    target.addEventListener("pointermove", move);
    const end = () => target.removeEventListener("pointermove", move);
    target.addEventListener("lostpointercapture", end, { once: true });
  }

  #onKey(event, apply) {
    const steps = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    if (!steps[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    apply(...steps[event.key]);
  }
}

const LONGEST_SIDE = 1024;
const QUALITY = 0.92;

// Whether a page may read what it draws. Tor Browser and others give it noise instead, or an error.
export function canCut() {
  const colour = [40, 120, 200, 255];
  try {
    const context = element("canvas", { width: 8, height: 8 }).getContext("2d");
    context.fillStyle = `rgb(${colour.slice(0, 3).join(" ")})`;
    context.fillRect(0, 0, 8, 8);
    return context.getImageData(0, 0, 8, 8).data.every((value, n) => Math.abs(value - colour[n % 4]) < 8);
  } catch {
    return false;
  }
}

// The rectangle of a picture as a JPEG file: upright, small, and without metadata.
export async function cut(image, rect, name) {
  const width = image.naturalWidth * rect.w;
  const height = image.naturalHeight * rect.h;
  const scale = Math.min(1, LONGEST_SIDE / Math.max(width, height));
  const canvas = element("canvas", { width: Math.round(width * scale), height: Math.round(height * scale) });
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(image, image.naturalWidth * rect.x, image.naturalHeight * rect.y, width, height,
    0, 0, canvas.width, canvas.height);
  const blob = await new Promise((resolve) => { canvas.toBlob(resolve, "image/jpeg", QUALITY); });
  return new File([blob], name, { type: "image/jpeg" });
}
