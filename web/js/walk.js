// Pages through one list of photos and keeps what it has loaded.
import { findPhotos } from "./api.js";
import { isJudged } from "./card.js";
import { needReadable } from "./files.js";
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

  // Loads the next page; resolves to the number of photos loaded before it.
  async goOn(signal) {
    const kept = this.state.by ? await find(this.state.by) : null;
    if (this.state.by && !kept) throw new PhotoIsElsewhere();
    if (kept) await needReadable(kept.photo);
    const answer = await findPhotos(this.state, { photo: kept?.photo, cursor: this.cursor, signal });
    const before = this.items.length;
    const seen = new Set(this.items.map((item) => item.image_id));
    const found = answer.items.filter((item) => !seen.has(item.image_id));
    // Results come best first, so whatever follows one that is not alike enough is not either.
    const least = Number(this.state.least || 0);
    const end = found.findIndex((item) => isJudged(item) && item.confidence < least);
    this.items.push(...(end < 0 ? found : found.slice(0, end)));
    this.answer ??= answer;
    this.cursor = end < 0 ? (answer.next_cursor ?? null) : null;
    this.isAtEnd = this.cursor === null;
    return before;
  }

  forget(imageId) {
    this.items = this.items.filter((item) => item.image_id !== imageId);
  }

  // The current record of a listed photo; null if it is not listed.
  renew(image) {
    const at = this.items.findIndex((item) => item.image_id === image.image_id);
    if (at < 0) return null;
    this.items[at] = { ...this.items[at], ...image };
    return this.items[at];
  }

  // The ids before and after a photo, among those loaded so far.
  around(imageId) {
    const at = this.items.findIndex((item) => item.image_id === imageId);
    if (at < 0) return { previous: null, next: null };
    return { previous: this.items[at - 1]?.image_id ?? null, next: this.items[at + 1]?.image_id ?? null };
  }
}
