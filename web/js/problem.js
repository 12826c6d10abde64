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
}

export async function problemOf(response) {
  const body = await response.json().catch(() => ({}));
  const wait = Number(response.headers.get("Retry-After")) || null;
  return new Problem(response.status, body.detail || response.statusText, wait, body);
}
