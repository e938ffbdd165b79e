/** Holds a spoken mock interview with preppald from a web page; README.md says how. */

import { AudioError } from "./audio-error.js";
import { loudspeakers, microphones, onDevicesChanged, preflight } from "./devices.js";
import { NOT_HELD } from "./endings.js";
import { Reporter } from "./events.js";
import { Interview } from "./interview.js";
import { Memory } from "./memory.js";
import { Sound } from "./sound.js";
import { WakeLock } from "./wake-lock.js";
import { TEXT_ANSWER_CHARS } from "./typed-answers.js";
import { NoticeKind } from "./wire.js";
import { WORDS, explain, wordsIn } from "./words.js";

export { AudioError, NOT_HELD, NoticeKind, TEXT_ANSWER_CHARS, WORDS, explain };
export { loudspeakers, microphones, onDevicesChanged, preflight };

/** @typedef {import("./audio.js").MicrophoneChoice} MicrophoneChoice */
/** @typedef {import("./connection.js").Quality} Quality */
/** @typedef {import("./devices.js").Device} Device */
/** @typedef {import("./words.js").Ending} Ending */
/** @typedef {import("./words.js").TextProblem} TextProblem */
/** @typedef {import("./words.js").Trouble} Trouble */
/** @typedef {import("./words.js").Words} Words */
/** @typedef {import("./events.js").InterviewEvents} InterviewEvents */
/** @typedef {import("./events.js").InterviewState} InterviewState */
/** @typedef {import("./memory.js").KeptInterview} KeptInterview */
/** @typedef {import("./turns.js").Speaker} Speaker */
/** @typedef {import("./turns.js").Turn} Turn */

/**
 * @typedef {object} ClientOptions
 * @property {string} [workletUrl] where sound-worklet.js is served, if not beside this module
 * @property {string} [language] of the words in events: "en" (default) or "de"
 * @property {Partial<Words>} [words] the application's own, in front of the language's
 * @property {boolean} [remember] keep the interview's token in localStorage while the interview lives, so that
 *   `InterviewClient.kept()` finds the interview after a reload; off unless asked for
 * @property {"auto" | "opus" | "pcm"} [audio] how sound travels: PCM, which takes 256 kbit/s up and 384 down; Opus, which
 *   takes a tenth, where browser and server have it; or, unless told otherwise, PCM until the line has no room for it
 * @property {string} [opusWorkerUrl] where opus-worker.js is served, if not beside this module
 * @property {boolean} [wakeLock] keep the screen on while the interview is live; on unless told otherwise
 */

/** One interview. Make another for the next one. */
export class InterviewClient extends Reporter {
  #sound;
  #interview;

  /** @param {ClientOptions} [options] */
  constructor({ workletUrl, language = "en", words = {}, remember = false, wakeLock = true, audio = "auto", opusWorkerUrl } = {}) {
    super();
    // Bundlers know this very expression, and no other: they copy the file and put its new address here.
    this.#sound = new Sound(workletUrl ?? new URL("./sound-worklet.js", import.meta.url).href, {
      onchunk: (chunk) => this.#interview.onChunk(chunk),
      onreport: (report, changed) => this.#interview.onReport(report, changed),
      ontrouble: (kind, active) => this.#interview.trouble(kind, active),
    });
    this.#interview = new Interview({
      sound: this.#sound,
      words: wordsIn(language, words),
      memory: remember ? new Memory() : null,
      wakeLock: wakeLock ? new WakeLock() : null,
      carrying: { audio, opusWorkerUrl: opusWorkerUrl ?? new URL("./opus-worker.js", import.meta.url).href },
      emit: (name, detail) => void this.dispatchEvent(new CustomEvent(name, { detail })),
    });
  }

  /** Return the interviews of this page that the server may still hold, the newest first: for `start`. @returns {KeptInterview[]} */
  static kept() {
    return new Memory().kept();
  }

  /** @param {string} interviewId that shall not be offered again */
  static forget(interviewId) {
    new Memory().forget(interviewId);
  }

  // -------------------------------------------------------------- how things are

  /** @returns {InterviewState} */
  get state() {
    return this.#interview.state;
  }

  /**
   * The transcript, in the order in which the turns began.
   * @returns {readonly Turn[]}
   */
  get turns() {
    return this.#interview.turns.all;
  }

  /** The present troubles, the most urgent first. @returns {readonly Trouble[]} */
  get troubles() {
    return this.#interview.troubles.all;
  }

  /** Milliseconds left of the interview; null until the server has said. @returns {number | null} */
  get remainingMs() {
    return this.#interview.remainingMs;
  }

  /** The quality of the candidate's line. @returns {{quality: Quality, lagMs: number, droppedMs: number, codec: "pcm" | "opus"}} */
  get quality() {
    return this.#interview.quality;
  }

  /** True while the candidate speaks, by the client's own ear. */
  get hearsCandidate() {
    return this.#interview.hearing.speaking;
  }

  /** True while a recorded answer is being spoken. */
  get answering() {
    return this.#interview.answering;
  }

  /** True while the interview pauses at the candidate's wish. */
  get holding() {
    return this.#interview.holding;
  }

  /** True where the server takes `hold`: an older one does not. */
  get canHold() {
    return this.#interview.canHold;
  }

  /** True where the server takes `sendText`, once it has said so. */
  get canSendText() {
    return this.#interview.canSendText;
  }

  // -------------------------------------------------------------- sound

  get hasMicrophone() {
    return this.#sound.hasMicrophone;
  }

  /** The microphone in use, where the browser says. @returns {string | undefined} */
  get microphoneId() {
    return this.#sound.microphoneId;
  }

  /** While muted silence is sent; a recorded answer is still heard. */
  get muted() {
    return this.#sound.muted;
  }

  set muted(muted) {
    this.#sound.muted = muted;
  }

  /** The way to go on after `echo`, without headphones: the microphone rests while the interviewer speaks. */
  get takesTurns() {
    return this.#sound.takesTurns;
  }

  set takesTurns(takesTurns) {
    this.#sound.takesTurns = takesTurns;
    if (takesTurns) this.#interview.hearing.forgetEcho();
  }

  /** Of the interviewer's voice, 0 … 1. What is no number changes nothing. */
  get volume() {
    return this.#sound.volume;
  }

  set volume(volume) {
    this.#sound.volume = volume;
  }

  /**
   * Open the device's sound. Call from a click or key press.
   * @throws {AudioError}
   */
  async prepare() {
    await this.#sound.prepare();
  }

  /**
   * Open a microphone, or change to another; the browser asks the user if need be. Without a microphone silence is
   * sent, so that `answer` works.
   * @param {MicrophoneChoice} [choice] a device, constraints beside the client's own, or the application's own stream
   * @throws {AudioError} its `kind` goes to `explain`
   */
  async openMicrophone(choice) {
    await this.#sound.openMicrophone(choice);
    this.#interview.hearing.restart();
  }

  /** The browser's "recording" sign goes out; silence is sent from here on. Muting keeps the microphone. */
  closeMicrophone() {
    this.#sound.closeMicrophone();
    this.#interview.hearing.restart();
  }

  /**
   * Let another loudspeaker speak, now or later; "" is the system's own choice. Browsers without that choice keep theirs.
   * @param {string} deviceId
   */
  async setLoudspeaker(deviceId) {
    await this.#sound.setLoudspeaker(deviceId);
  }

  /** The loudspeaker that was chosen; "" is the system's own choice. */
  get loudspeakerId() {
    return this.#sound.loudspeakerId;
  }

  /**
   * Record the microphone for a while, before the interview: for a test.
   * @param {number} ms
   * @returns {Promise<Int16Array<ArrayBuffer>>} PCM16 mono 16 kHz, for `playBack`; shorter where another recording, or
   *   the end, cut it
   */
  record(ms) {
    return this.#sound.record(ms);
  }

  /**
   * Play a recording, before the interview.
   * @param {Int16Array<ArrayBuffer>} pcm PCM16 mono 16 kHz; a copy is played
   */
  playBack(pcm) {
    if (this.state === "idle") this.#sound.playBack(pcm);
  }

  /** After `audio-paused` or `sound-stopped`; call from a click or key press. */
  async resume() {
    await this.#sound.resume();
  }

  // -------------------------------------------------------------- the interview

  /**
   * Begin the interview, or take up one that runs already, with all that was said; everything further comes as events.
   * @param {object} options
   * @param {string} options.url the interview's: `/ws/<id>` on this origin, or `wss://host/ws/<id>`
   * @param {string | (() => string | Promise<string>) | undefined} [options.token] the interview's token, unless the
   *   URL has it; a function is asked before each connection, also for later ones
   */
  start(options) {
    if (this.state !== "idle" || this.#interview.closed) throw new Error("an InterviewClient holds one interview; make another");
    this.#sound.flush();
    this.#interview.start(options);
  }

  /**
   * Speak a recording in the microphone's place, in real time.
   * @param {Int16Array<ArrayBuffer>} pcm PCM16 mono 16 kHz
   */
  answer(pcm) {
    this.#sound.answer(pcm);
  }

  /**
   * Ask for a pause, or end one; a `hold` event says whether the interview pauses.
   * @param {boolean} [on]
   */
  hold(on = true) {
    this.#interview.hold(on);
  }

  /**
   * Answer in writing, also while the interviewer speaks, who stops then. The words come back as a turn of the
   * candidate's; over a lost connection they are sent again, and taken once.
   * @param {string} text at most TEXT_ANSWER_CHARS code points
   * @returns {boolean} false: not taken, and a `textRefused` event says why
   */
  sendText(text) {
    return this.#interview.sendText(text);
  }

  /** End the interview; `ended` follows within five seconds. */
  end() {
    this.#interview.end();
  }

  /**
   * Leave without ending the interview: connection, microphone and sound are let go, and no event comes any more. For
   * its grace the server holds the interview for another client with the same token.
   */
  async close() {
    this.#interview.close();
    await this.#sound.close();
  }
}
