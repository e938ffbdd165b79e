/** A recording of the microphone, of a length that is known when it begins, unless it is cut short. */

import { CAPTURE_RATE_HZ } from "./sound-format.js";

export class Recording {
  #samples;
  #filled = 0;
  /** @type {(pcm: Int16Array<ArrayBuffer>) => void} */
  #done = () => {};

  /** @param {number} ms */
  constructor(ms) {
    this.#samples = new Int16Array(Math.round((ms * CAPTURE_RATE_HZ) / 1000));
    /** All of it, when it is there, or when it was cut. @type {Promise<Int16Array<ArrayBuffer>>} */
    this.whole = new Promise((resolve) => (this.#done = resolve));
  }

  /**
   * @param {Int16Array} pcm
   * @returns {boolean} whether that was the last piece
   */
  put(pcm) {
    const piece = pcm.subarray(0, this.#samples.length - this.#filled);
    this.#samples.set(piece, this.#filled);
    this.#filled += piece.length;
    if (this.#filled < this.#samples.length) return false;
    this.cut();
    return true;
  }

  /** No more of it comes. */
  cut() {
    this.#done(this.#samples.slice(0, this.#filled));
  }
}
