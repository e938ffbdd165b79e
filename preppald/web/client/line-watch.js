/**
 * Finds out if a line is dead: sound goes out, and nothing comes back.
 *
 * Rule 1: only where something must come back, or a socket takes nothing, is silence a sign: an interviewer may be silent.
 * Rule 2: it counts only this page's own attention: while the page is blocked, nothing can be heard.
 *
 * No clock and no socket in here: times are arguments, in milliseconds of one monotonic clock.
 */

import { WATCH_MS } from "./waits.js";

export class LineWatch {
  /** For how long nothing has come that must have come. */
  quietMs = 0;

  #lookedAt = 0;
  #takenBytes = 0;

  /** Something came: the line is alive. */
  heard() {
    this.quietMs = 0;
  }

  /**
   * Look at the line, every WATCH_MS.
   * @param {number} now
   * @param {object} line
   * @param {boolean} line.awaited whether the server must say something
   * @param {number} line.sentBytes that this socket was given
   * @param {number} line.bufferedBytes the socket's bufferedAmount
   */
  look(now, { awaited, sentBytes, bufferedBytes }) {
    const elapsedMs = now - this.#lookedAt;
    this.#lookedAt = now;
    const takenBytes = sentBytes - bufferedBytes;
    const stuck = bufferedBytes > 0 && takenBytes === this.#takenBytes;
    this.#takenBytes = takenBytes;
    if (!awaited && !stuck) this.quietMs = 0;
    // A look that comes late was kept by a blocked page: what the server said meanwhile has not been read yet.
    else this.quietMs += Math.min(elapsedMs, 2 * WATCH_MS);
  }
}
