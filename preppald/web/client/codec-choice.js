/**
 * Which codec the line has room for. PCM sounds best, and takes ten times as much; Opus is taken up as soon as PCM does not
 * fit, and given up when the line has had room for a minute. Where that proves wrong, the next try waits twice as long.
 *
 * No clock in here: times are arguments, in milliseconds of one monotonic clock.
 */

/** @typedef {"pcm" | "opus"} Codec */

/** Sound that arrives this late comes over a line that is full … */
const LATE_MS = 1000;

/** … and one that had room has sound that arrives this soon. */
const ROOM_MS = 600;

/** The voice ran dry twice within so long: once is an accident. */
const DRY = 2;
const DRY_WITHIN_MS = 10 * 1000;

/** How long a line must have had room before PCM is tried again, and the longest wait after tries that failed. */
export const ROOM_FOR_MS = 60 * 1000;
const LONGEST_MS = 16 * 60 * 1000;

/** PCM that did not fit for so long was tried too early. */
const PROVEN_MS = 30 * 1000;

export class CodecChoice {
  /** @type {Codec} */
  codec = "pcm";

  #roomSince = 0;
  #roomForMs = ROOM_FOR_MS;
  /** When PCM was taken up again; null: it has proved right, or was never given up. @type {number | null} */
  #triedAt = null;
  /** When the voice ran dry. @type {number[]} */
  #dry = [];

  /**
   * The interviewer's voice ran dry in the middle of a reply.
   * @param {number} now
   */
  ranDry(now) {
    this.#dry = [...this.#dry.filter((at) => now - at < DRY_WITHIN_MS), now];
  }

  /**
   * @param {number} now
   * @param {number} lagMs how late the candidate's sound arrives
   * @returns {Codec}
   */
  judge(now, lagMs) {
    const dry = this.#driedOf(now);
    if (lagMs > ROOM_MS || dry > 0) this.#roomSince = now;
    if (this.codec === "pcm") {
      if (this.#triedAt !== null && now - this.#triedAt > PROVEN_MS) this.#proven();
      if (lagMs > LATE_MS || dry >= DRY) this.#takeUp(now);
    } else if (now - this.#roomSince >= this.#roomForMs) {
      this.codec = "pcm";
      this.#triedAt = now;
    }
    return this.codec;
  }

  /**
   * True while the voice runs dry again and again, and no codec that takes less is left to be taken up.
   * @param {number} now
   */
  stutters(now) {
    return this.#driedOf(now) >= DRY;
  }

  /** @param {number} now */
  #driedOf(now) {
    return this.#dry.filter((at) => now - at < DRY_WITHIN_MS).length;
  }

  #proven() {
    this.#triedAt = null;
    this.#roomForMs = ROOM_FOR_MS;
  }

  /** @param {number} now */
  #takeUp(now) {
    this.codec = "opus";
    this.#roomSince = now;
    this.#dry = [];
    if (this.#triedAt !== null) this.#roomForMs = Math.min(LONGEST_MS, 2 * this.#roomForMs);
    this.#triedAt = null;
  }
}
