// A walk through one list of photos, page by page; it keeps what it found.
import { findPhotos } from "./api.js";
import { find } from "./query_photos.js";

export class PhotoIsElsewhere extends Error {}

export class Walk {
  constructor(state) {
    this.state = state;
    this.items = [];
    this.cursor = null;
    this.isAtEnd = false;
    this.answer = null;
    this.place = null;
  }

  // The next page; resolves to how many photos were known before it.
  async goOn(signal) {
    const photo = this.state.by ? await find(this.state.by) : null;
    if (this.state.by && !photo) throw new PhotoIsElsewhere();
    const answer = await findPhotos(this.state, { photo, cursor: this.cursor, signal });
    const before = this.items.length;
    const seen = new Set(this.items.map((item) => item.image_id));
    this.items.push(...answer.items.filter((item) => !seen.has(item.image_id)));
    this.answer ??= answer;
    this.cursor = answer.next_cursor ?? null;
    this.isAtEnd = this.cursor === null;
    return before;
  }

  get best() {
    return Math.max(0.001, ...this.items.slice(0, 1).map((item) => item.score ?? 0));
  }

  forget(imageId) {
    this.items = this.items.filter((item) => item.image_id !== imageId);
  }

  // What is known of a listed photo now; null where it is not listed.
  renew(image) {
    const at = this.items.findIndex((item) => item.image_id === image.image_id);
    if (at < 0) return null;
    this.items[at] = { ...this.items[at], ...image };
    return this.items[at];
  }

  // The ids before and after one photo, as far as the walk has come.
  around(imageId) {
    const at = this.items.findIndex((item) => item.image_id === imageId);
    if (at < 0) return { previous: null, next: null };
    return { previous: this.items[at - 1]?.image_id ?? null, next: this.items[at + 1]?.image_id ?? null };
  }
}
