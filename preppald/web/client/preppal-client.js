/** Holds a spoken mock interview with preppald from a web page; README.md tells how. */

import { AudioDesk, AudioError } from "./audio.js";
import { Connection } from "./connection.js";
import { endingOf, explain } from "./endings.js";
import { Samples } from "./samples.js";
import { VOICE_RATE_HZ } from "./sound-format.js";
import { Turns } from "./turns.js";
import { NoticeKind } from "./wire.js";

export { AudioError, NoticeKind, explain };

/** @typedef {import("./endings.js").Ending} Ending */
/** @typedef {import("./endings.js").Trouble} Trouble */
/** @typedef {import("./events.js").InterviewEvents} InterviewEvents */
/** @typedef {import("./events.js").InterviewState} InterviewState */
/** @typedef {import("./turns.js").Speaker} Speaker */
/** @typedef {import("./turns.js").Turn} Turn */
/** @typedef {import("./wire.js").ServerMessage} ServerMessage */

/** One interview. Make another for the next one. */
export class InterviewClient extends EventTarget {
  #workletUrl;
  /** @type {InterviewState} */
  #state = "idle";
  #turns = new Turns();
  #samples = new Samples();
  /** @type {Promise<AudioDesk> | null} the sound, as soon as it was asked for */
  #opening = null;
  /** @type {AudioDesk | null} */
  #audio = null;
  /** @type {Connection | null} */
  #connection = null;
  #muted = false;
  #playing = false;
  #answering = false;
  #started = false;
  #closed = false;
  #droppedMs = 0;
  #levels = { microphone: 0, interviewer: 0 };
  /** @type {number | null} when the time is up, on performance.now()'s clock */
  #deadlineAt = null;

  /** @param {{workletUrl?: string}} [options] workletUrl: where sound-worklet.js is served, if not beside this module */
  constructor({ workletUrl } = {}) {
    super();
    // Bundlers know this very expression, and no other: they copy the file and put its new address here.
    this.#workletUrl = workletUrl ?? new URL("./sound-worklet.js", import.meta.url).href;
  }

  /**
   * Like addEventListener, but typed, and without the envelope.
   * @template {keyof InterviewEvents} Name
   * @param {Name} name
   * @param {(detail: InterviewEvents[Name]) => void} listener
   * @returns {() => void} takes the listener off again
   */
  on(name, listener) {
    const unwrap = (/** @type {Event} */ event) => listener(/** @type {CustomEvent} */ (event).detail);
    this.addEventListener(name, unwrap);
    return () => this.removeEventListener(name, unwrap);
  }

  /** @returns {InterviewState} */
  get state() {
    return this.#state;
  }

  /**
   * What was said, in the order in which the turns began.
   * @returns {readonly Turn[]}
   */
  get turns() {
    return this.#turns.all;
  }

  /** Milliseconds left of the interview; null until the server has said. @returns {number | null} */
  get remainingMs() {
    return this.#deadlineAt === null ? null : Math.max(0, this.#deadlineAt - performance.now());
  }

  get hasMicrophone() {
    return this.#audio?.hasMicrophone ?? false;
  }

  /** Whether a recorded answer is being spoken. */
  get answering() {
    return this.#answering;
  }

  /** While muted silence is sent; a recorded answer is still heard. */
  get muted() {
    return this.#muted;
  }

  set muted(muted) {
    this.#muted = muted;
    this.#audio?.mute(muted);
  }

  /**
   * Open the device's sound. Call from a click or key press.
   * @throws {AudioError}
   */
  async prepare() {
    this.#opening ??= this.#openAudio();
    try {
      await this.#opening;
    } catch (problem) {
      this.#opening = null;
      throw problem;
    }
  }

  async #openAudio() {
    const audio = await AudioDesk.open(this.#workletUrl);
    if (this.#closed) {
      await audio.close();
      throw new AudioError("audio-unavailable");
    }
    audio.onchunk = (chunk) => this.#onChunk(chunk);
    audio.onreport = (report) => this.#onReport(report);
    audio.ontrouble = (kind) => this.#trouble(kind);
    audio.mute(this.#muted);
    this.#audio = audio;
    return audio;
  }

  /**
   * Asks the user if need be. Without a microphone silence is sent, so that `answer` works.
   * @throws {AudioError} its `kind` goes to `explain`
   */
  async openMicrophone() {
    await this.prepare();
    await this.#audio?.openMicrophone();
  }

  /** The browser's "recording" sign goes out; silence is sent from here on. Muting keeps the microphone. */
  closeMicrophone() {
    this.#audio?.closeMicrophone();
  }

  /** After an `audio-paused` error; call from a click or key press. */
  async resume() {
    await this.#audio?.resume();
  }

  /**
   * Begin the interview, or take up one that runs already, with all that was said; everything further comes as events.
   * @param {object} options
   * @param {string} options.url the interview's: `/ws/<id>` on this origin, or `wss://host/ws/<id>`
   * @param {string} [options.token] the interview's token, unless the URL has it
   */
  start({ url, token }) {
    if (this.#state !== "idle" || this.#closed) throw new Error("an InterviewClient holds one interview; make another");
    this.#connection = new Connection({
      url,
      ...(token === undefined ? {} : { token }),
      since: () => this.#turns.seq,
      onmessage: (message) => this.#receive(message),
      onlost: () => this.#onLost(),
      onend: (end) => this.#onEnd(end),
    });
    this.#setState("connecting");
    this.#connection.open();
  }

  /**
   * Speak a recording in the microphone's place, in real time.
   * @param {Int16Array<ArrayBuffer>} pcm PCM16 mono 16 kHz
   */
  answer(pcm) {
    this.#audio?.answer(pcm);
  }

  /** End the interview; `ended` follows within five seconds. */
  end() {
    this.#connection?.requestEnd();
  }

  /**
   * Leave without ending the interview: connection, microphone and sound are let go, and no event comes any more. For
   * its grace, a minute, the server holds the interview for another client with the same token.
   */
  async close() {
    this.#closed = true;
    this.#connection?.close();
    await this.#closeAudio();
  }

  async #closeAudio() {
    const audio = this.#audio;
    this.#audio = null;
    await audio?.close();
  }

  /** @param {ServerMessage} message SessionEnded is Connection's to keep until the close frame that follows it */
  #receive(message) {
    switch (message.kind) {
      case "sessionStarted":
        this.#started = this.#started || message.resumed;
        this.#audio?.setSourceRate(message.outputSampleRateHz || VOICE_RATE_HZ);
        this.#deadlineAt = performance.now() + message.remainingMs;
        this.#settle();
        break;
      case "transcriptUpdate":
        this.#onTranscript(message);
        break;
      case "audioResponse":
        this.#audio?.play(this.#samples.join(message.audioContent));
        break;
      case "interrupted":
        this.#audio?.flush();
        this.#samples.restart();
        this.#emit("interrupted", { turn: this.#turns.cut(this.#playing) });
        break;
      case "notice":
        if (message.remainingMs > 0) this.#deadlineAt = performance.now() + message.remainingMs;
        this.#emit("notice", { kind: message.noticeKind, message: message.message, remainingMs: message.remainingMs });
        break;
      case "error":
        this.#trouble("server-complaint");
        break;
    }
  }

  /** @param {Extract<ServerMessage, {kind: "transcriptUpdate"}>} update */
  #onTranscript({ speaker, text, turnComplete, seq }) {
    const turn = this.#turns.add({ speaker, text, turnComplete, seq });
    if (turn !== null) this.#emit("transcript", { speaker: turn.speaker, text, turnComplete, seq, turn });
  }

  /** @param {import("./sound-format.js").Chunk} chunk */
  #onChunk({ pcm, level, answering }) {
    if (this.#state === "idle" || this.#state === "ended") return;
    this.#connection?.sendAudio(new Uint8Array(pcm.buffer));
    if (answering !== this.#answering) {
      this.#answering = answering;
      this.#emit("answer", { speaking: answering });
    }
    this.#levels.microphone = level;
    this.#emit("level", { ...this.#levels });
  }

  /** @param {import("./sound-format.js").PlayerReport} report */
  #onReport({ playing, level, droppedMs }) {
    this.#levels.interviewer = level;
    this.#emit("level", { ...this.#levels });
    if (droppedMs > 0 && this.#droppedMs === 0) this.#trouble("audio-dropped");
    this.#droppedMs = droppedMs;
    this.#playing = playing;
    this.#started = this.#started || playing;
    if (this.#state === "ended") {
      if (!playing) void this.#closeAudio();
    } else if (this.#state !== "reconnecting" && this.#state !== "connecting") this.#settle();
  }

  #onLost() {
    this.#samples.restart();
    this.#setState(this.#state === "connecting" ? "connecting" : "reconnecting");
  }

  /** @param {import("./connection.js").ConnectionEnd} end */
  #onEnd({ code, reason, sessionEnded, diagnosis }) {
    const ending = diagnosis ?? endingOf(code, reason, sessionEnded);
    // The interviewer's last words are heard out, unless it was the candidate who has had enough.
    this.#audio?.closeMicrophone();
    const hearOut = ending === "time-is-up" || ending === "interviewer-finished";
    if (!(hearOut && this.#playing)) void this.#closeAudio();
    this.#setState("ended");
    this.#emit("ended", { reason: ending, code, words: explain(ending) });
  }

  /** The state that sound alone decides. */
  #settle() {
    if (this.#playing) this.#setState("speaking");
    else this.#setState(this.#started ? "listening" : "ready");
  }

  /** @param {InterviewState} state */
  #setState(state) {
    if (this.#state === state) return;
    this.#state = state;
    this.#emit("state", { state });
  }

  /** @param {Trouble} kind */
  #trouble(kind) {
    this.#emit("error", { kind, words: explain(kind) });
  }

  /**
   * @template {keyof InterviewEvents} Name
   * @param {Name} name
   * @param {InterviewEvents[Name]} detail
   */
  #emit(name, detail) {
    if (!this.#closed) this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
