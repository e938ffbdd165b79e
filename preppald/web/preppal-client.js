/**
 * preppal-client: hold a spoken mock interview with preppald from a web page.
 *
 *     const client = new InterviewClient();
 *     client.on("transcript", ({ speaker, text }) => …);
 *     client.on("ended", ({ words }) => …);
 *     button.onclick = async () => {
 *       await client.prepare();          // sound; must come from a click
 *       await client.openMicrophone();   // asks the user; optional
 *       client.start({ url, token });    // the interview's clock runs from here
 *     };
 *
 * Serve this folder's .js files side by side; the worklets are found next to this module.
 */

import { AudioDesk, AudioError } from "./audio.js";
import { Connection } from "./connection.js";
import { endingOf, explain } from "./endings.js";
import { Samples } from "./samples.js";
import { Turns } from "./turns.js";
import { NoticeKind } from "./wire.js";

export { AudioError, NoticeKind, explain };

/** @typedef {import("./endings.js").Trouble} Trouble */
/** @typedef {import("./turns.js").Turn} Turn */
/** @typedef {import("./wire.js").ServerMessage} ServerMessage */

/**
 * `ready`: connected, nothing said yet. `listening`: the candidate's turn. `speaking`: the interviewer is heard.
 * @typedef {"idle" | "connecting" | "ready" | "listening" | "speaking" | "reconnecting" | "ended"} InterviewState
 */

/**
 * What `on` can tell.
 * @typedef {object} InterviewEvents
 * @property {{state: InterviewState}} state
 * @property {{speaker: "USER" | "AI", text: string, turnComplete: boolean, seq: number, turn: Turn}} transcript a fragment, and the turn it belongs to
 * @property {{turn: Turn | null}} interrupted the candidate spoke over the interviewer
 * @property {{kind: number, message: string, remainingMs: number}} notice kind: NoticeKind
 * @property {{microphone: number, interviewer: number}} level 0 … 1, twenty times a second
 * @property {{speaking: boolean}} answer a recorded answer began or is over
 * @property {{kind: Trouble, words: string}} error the interview goes on
 * @property {{reason: Trouble, code: number, words: string}} ended the last event
 */

/** What the server sends where an older one does not say: Gemini's own rate. */
const DEFAULT_OUTPUT_RATE_HZ = 24000;

export class InterviewClient extends EventTarget {
  #base;
  /** @type {InterviewState} */
  #state = "idle";
  #turns = new Turns();
  #samples = new Samples();
  /** @type {AudioDesk | null} */
  #audio = null;
  /** @type {Connection | null} */
  #connection = null;
  #muted = false;
  #playing = false;
  #answering = false;
  #started = false;
  #droppedMs = 0;
  #levels = { microphone: 0, interviewer: 0 };
  /** @type {number | null} when the time is up, on performance.now()'s clock */
  #deadlineAt = null;

  /** @param {{base?: string}} [options] base: where the worklets are served, if not next to this module */
  constructor({ base = new URL(".", import.meta.url).href } = {}) {
    super();
    this.#base = base;
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

  get state() {
    return this.#state;
  }

  /** @returns {readonly Turn[]} */
  get turns() {
    return this.#turns.all;
  }

  /** Milliseconds left of the interview; null until the server has said. */
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
    if (this.#audio !== null) return;
    const audio = await AudioDesk.open(this.#base);
    audio.onchunk = (chunk) => this.#onChunk(chunk);
    audio.onreport = (report) => this.#onReport(report);
    audio.ontrouble = (kind) => this.#trouble(kind);
    audio.mute(this.#muted);
    this.#audio = audio;
  }

  /**
   * Asks the user if need be. Without a microphone silence is sent, so that `answer` works.
   * @throws {AudioError} its `kind` goes to `explain`
   */
  async openMicrophone() {
    await this.prepare();
    await this.#audio?.openMicrophone();
  }

  /** After an `audio-paused` error; call from a click or key press. */
  async resume() {
    await this.#audio?.resume();
  }

  /**
   * Begin the interview; everything further comes as events.
   * @param {object} options
   * @param {string} options.url the interview's: `/ws/<id>` on this origin, or wss://host/<id>
   * @param {string} [options.token] the interview's token, unless the URL has it
   */
  start({ url, token }) {
    if (this.#state !== "idle") throw new Error("an InterviewClient holds one interview");
    this.#connection = new Connection({
      url: webSocketUrl(url),
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

  /** Let go of the device's sound; `ended` does so by itself. */
  async close() {
    const audio = this.#audio;
    this.#audio = null;
    await audio?.close();
  }

  /** @param {ServerMessage} message SessionEnded is Connection's to keep until the close frame that follows it */
  #receive(message) {
    switch (message.kind) {
      case "sessionStarted":
        this.#started = this.#started || message.resumed;
        this.#audio?.setSourceRate(message.outputSampleRateHz || DEFAULT_OUTPUT_RATE_HZ);
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

  /** @param {import("./capture.js").Chunk} chunk */
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

  /** @param {import("./player-worklet.js").PlayerReport} report */
  #onReport({ playing, level, droppedMs }) {
    this.#levels.interviewer = level;
    this.#emit("level", { ...this.#levels });
    if (droppedMs > 0 && this.#droppedMs === 0) this.#trouble("audio-dropped");
    this.#droppedMs = droppedMs;
    this.#playing = playing;
    this.#started = this.#started || playing;
    if (this.#state === "ended") {
      if (!playing) void this.close();
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
    if (!(hearOut && this.#playing)) void this.close();
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
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/** @param {string} url may be relative to the page, or http: */
function webSocketUrl(url) {
  const address = new URL(url, globalThis.location?.href);
  address.protocol = address.protocol.replace("http", "ws");
  return address.href;
}
