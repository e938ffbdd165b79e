/**
 * A live interview's key, kept over a reload, a swipe or a crash of the tab.
 *
 * The token that is kept opens this one interview only. It is gone when the interview has ended, and no longer offered
 * once the server's grace is over.
 */

/** @typedef {{interviewId: string, url: string, token: string | undefined}} KeptInterview */
/** @typedef {{url: string, token?: string, seenAt: number, graceMs: number}} Entry */

const PREFIX = "preppal-interview:";

/** The interval of renewing a live interview's entry. */
export const RENEW_EVERY_MS = 5000;

export class Memory {
  #storage;

  /** @param {Storage} [storage] */
  constructor(storage = localStorageIfAny()) {
    this.#storage = storage;
  }

  /**
   * @param {KeptInterview} interview
   * @param {number} graceMs how long the server holds it
   */
  keep({ interviewId, url, token }, graceMs) {
    /** @type {Entry} */
    const entry = { url, ...(token === undefined ? {} : { token }), seenAt: Date.now(), graceMs };
    try {
      this.#storage?.setItem(PREFIX + interviewId, JSON.stringify(entry));
    } catch {
      // Full, or switched off: then a reload finds nothing, and that is all.
    }
  }

  /** @param {string} interviewId */
  forget(interviewId) {
    this.#storage?.removeItem(PREFIX + interviewId);
  }

  /** Return the interviews that the server may still hold, the newest first; forget all others. @returns {KeptInterview[]} */
  kept() {
    const keys = Array.from({ length: this.#storage?.length ?? 0 }, (_, i) => this.#storage?.key(i) ?? "");
    /** @type {(KeptInterview & {seenAt: number})[]} */
    const found = [];
    for (const key of keys.filter((name) => name.startsWith(PREFIX))) {
      const interviewId = key.slice(PREFIX.length);
      const entry = parsed(this.#storage?.getItem(key) ?? "");
      if (entry === null || Date.now() - entry.seenAt > entry.graceMs + RENEW_EVERY_MS) this.forget(interviewId);
      else found.push({ interviewId, url: entry.url, token: entry.token, seenAt: entry.seenAt });
    }
    return found.sort((a, b) => b.seenAt - a.seenAt).map(({ interviewId, url, token }) => ({ interviewId, url, token }));
  }
}

/**
 * @param {string} text
 * @returns {Entry | null}
 */
function parsed(text) {
  try {
    const entry = JSON.parse(text);
    return typeof entry?.url === "string" && Number.isFinite(entry.seenAt) && Number.isFinite(entry.graceMs) ? entry : null;
  } catch {
    return null;
  }
}

/** A browser may refuse even the question. */
function localStorageIfAny() {
  try {
    return globalThis.localStorage;
  } catch {
    return undefined;
  }
}
