/**
 * Finds out if an audio clock that says "running" really runs: some devices stop in silence.
 *
 * Pure: the times are arguments. Only looks that came on time count, for a blocked page delays the clock's news, too.
 */

/** The interval of looks. */
export const LOOK_EVERY_MS = 500;

/** A clock that has not moved for so long stands. */
const STANDING_MS = 2000;

export class SoundClock {
  #contextSeconds = -1;
  #lookedAt = 0;
  #stillMs = 0;

  /**
   * Return whether the clock stands.
   * @param {number} nowMs monotonic
   * @param {number} contextSeconds AudioContext.currentTime
   * @param {boolean} running whether the context says that it runs
   */
  stands(nowMs, contextSeconds, running) {
    const elapsedMs = nowMs - this.#lookedAt;
    this.#lookedAt = nowMs;
    if (!running || contextSeconds !== this.#contextSeconds) this.#stillMs = 0;
    else if (elapsedMs < 3 * LOOK_EVERY_MS) this.#stillMs += elapsedMs;
    this.#contextSeconds = contextSeconds;
    return this.#stillMs >= STANDING_MS;
  }
}
