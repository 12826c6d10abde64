// The error that a failed call to the server rejects with.
export class Problem extends Error {
  constructor(status, detail, retryAfterS = null, body = {}) {
    super(detail);
    this.status = status;
    this.body = body;
    this.retryAfterS = retryAfterS;
  }

  get needsKey() {
    return this.status === 401;
  }

  get isOffline() {
    return this.status === 0;
  }

  get isPassing() {
    return [0, 408, 429, 502, 503, 504].includes(this.status);
  }
}

export const problemOf = async (response) => problemFrom(response.status, response.statusText,
  await response.json().catch(() => null), response.headers.get("Retry-After"));

export function problemFrom(status, reason, body, retryAfter) {
  if (status === 401) dispatchEvent(new Event("key-needed"));
  return new Problem(status, body?.detail || reason, Number(retryAfter) || null, body ?? {});
}
