/**
 * Judges a microphone by the loudness of its chunks: whether the candidate speaks, and whether anything comes
 * from the microphone at all. Pure: counted in the chunks' own milliseconds.
 */

/** Louder than the room by this share of the meter (9 dB), and not merely hiss … */
const OVER_ROOM = 0.15;
const LEAST_LEVEL = 0.25;

/** … for so long is a voice; after so long without, the voice has paused. */
const SPEAKING_AFTER_MS = 120;
const PAUSED_AFTER_MS = 700;

/** The room's own noise is followed down at once, and up by this share of the meter a second: a voice has pauses. */
const ROOM_RISES_PER_S = 0.06;

/** Digital zero for so long, during the candidate's turn, comes from no room, however quiet. */
export const SILENT_AFTER_MS = 5000;

export class Ear {
  speaking = false;
  /** True where nothing but digital zero has come for SILENT_AFTER_MS of turns. */
  silent = false;

  #room = 0.5;
  #loudMs = 0;
  #quietMs = 0;
  #zeroMs = 0;

  /**
   * @param {object} chunk
   * @param {number} chunk.level 0 … 1
   * @param {number} chunk.lengthMs
   * @param {boolean} chunk.zero nothing but digital zero came from the microphone
   * @param {boolean} candidatesTurn whether silence would matter now: a microphone is open, not muted by the candidate,
   *   and the interviewer waits
   */
  hear({ level, lengthMs, zero }, candidatesTurn) {
    this.#room = Math.min(level, this.#room + (ROOM_RISES_PER_S * lengthMs) / 1000);
    const loud = level >= LEAST_LEVEL && level >= this.#room + OVER_ROOM;
    this.#loudMs = loud ? this.#loudMs + lengthMs : 0;
    this.#quietMs = loud ? 0 : this.#quietMs + lengthMs;
    if (this.#loudMs >= SPEAKING_AFTER_MS) this.speaking = true;
    else if (this.#quietMs >= PAUSED_AFTER_MS) this.speaking = false;

    if (!zero) this.#zeroMs = 0;
    else if (candidatesTurn) this.#zeroMs += lengthMs;
    this.silent = this.#zeroMs >= SILENT_AFTER_MS;
  }

  /** Another microphone, or none. */
  restart() {
    this.speaking = this.silent = false;
    this.#room = 0.5;
    this.#loudMs = this.#quietMs = this.#zeroMs = 0;
  }
}
