/** Bytes of messages → samples: a sample may lie across two messages. */

export class Samples {
  /** Half a sample, waiting for its other byte. @type {number | null} */
  #half = null;

  /**
   * @param {Uint8Array} bytes PCM16 LE, as every browser's platform has it
   * @returns {Int16Array<ArrayBuffer>} a copy, for handing over to the audio thread
   */
  join(bytes) {
    const joined = this.#half === null ? bytes : Uint8Array.of(this.#half, ...bytes);
    const wholeLength = joined.length & ~1;
    this.#half = joined.length === wholeLength ? null : (joined.at(-1) ?? null);
    return new Int16Array(joined.slice(0, wholeLength).buffer);
  }

  /** Begin anew: the next sound does not continue the sound before. */
  restart() {
    this.#half = null;
  }
}
