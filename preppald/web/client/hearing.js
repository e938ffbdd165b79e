/** The client's own hearing, which does not wait for the server: voices, a dead microphone, an echo. */

import { Ear } from "./ear.js";
import { EchoWatch } from "./echo.js";
import { CAPTURE_RATE_HZ } from "./sound-format.js";

/** @typedef {import("./words.js").Trouble} Trouble */
/** @typedef {import("./turns.js").Speaker} Speaker */

export class Hearing {
  #ear = new Ear();
  #echo = new EchoWatch();
  #ontrouble;
  #onspeaking;

  /**
   * @param {(kind: Trouble, active: boolean) => void} ontrouble
   * @param {(speaker: Speaker, speaking: boolean) => void} onspeaking
   */
  constructor(ontrouble, onspeaking) {
    this.#ontrouble = ontrouble;
    this.#onspeaking = onspeaking;
  }

  get speaking() {
    return this.#ear.speaking;
  }

  /**
   * @param {import("./sound-format.js").Chunk} chunk
   * @param {number} at when it was said, in milliseconds of performance.now()'s clock
   * @param {boolean} candidatesTurn as for Ear
   */
  heard({ pcm, level, zero }, at, candidatesTurn) {
    const before = this.#ear.speaking;
    this.#ear.hear({ level, zero, lengthMs: (pcm.length * 1000) / CAPTURE_RATE_HZ }, candidatesTurn);
    this.#echo.heard(at, level);
    this.#ontrouble("microphone-silent", this.#ear.silent);
    if (this.#ear.speaking !== before) this.#onspeaking("USER", this.#ear.speaking);
  }

  /**
   * @param {number} at
   * @param {number} level of the interviewer's voice
   */
  played(at, level) {
    this.#echo.played(at, level);
  }

  /** The interviewer was cut while it was heard. */
  cut() {
    if (this.#echo.cut(performance.now())) this.#ontrouble("echo", true);
  }

  /** The candidate has taken a remedy. */
  forgetEcho() {
    this.#echo.restart();
    this.#ontrouble("echo", false);
  }

  /** Another microphone, or none. */
  restart() {
    if (this.#ear.speaking) this.#onspeaking("USER", false);
    this.#ear.restart();
    this.#ontrouble("microphone-silent", false);
    this.forgetEcho();
  }
}
