/** Keeps the screen on while an interview is live: a phone that locks itself takes the microphone away. */

export class WakeLock {
  #wanted = false;
  /** @type {WakeLockSentinel | null} */
  #sentinel = null;

  /** Ask for it, and again whenever the page comes back into view: browsers drop it when the page is hidden. */
  hold() {
    if (this.#wanted || globalThis.navigator?.wakeLock === undefined) return;
    this.#wanted = true;
    document.addEventListener("visibilitychange", this.#ask);
    this.#ask();
  }

  #ask = async () => {
    if (!this.#wanted || document.visibilityState !== "visible") return;
    try {
      const sentinel = await navigator.wakeLock.request("screen");
      if (this.#wanted) this.#sentinel = sentinel;
      else await sentinel.release();
    } catch {
      // A low battery, or a policy: the interview goes on without.
    }
  };

  release() {
    this.#wanted = false;
    globalThis.document?.removeEventListener("visibilitychange", this.#ask);
    void this.#sentinel?.release().catch(() => {});
    this.#sentinel = null;
  }
}
