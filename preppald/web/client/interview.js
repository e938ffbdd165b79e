/** One interview in the client: what the server says and what the sound does become states, turns and events. */

import { Connection } from "./connection.js";
import { endingOf } from "./endings.js";
import { Hearing } from "./hearing.js";
import { RENEW_EVERY_MS } from "./memory.js";
import { Samples } from "./samples.js";
import { VOICE_RATE_HZ } from "./sound-format.js";
import { Troubles } from "./troubles.js";
import { Turns } from "./turns.js";
import { TypedAnswers } from "./typed-answers.js";
import { encodeHold, encodeTextAnswer } from "./wire.js";

/** @typedef {import("./connection.js").Quality} Quality */
/** @typedef {import("./events.js").InterviewEvents} InterviewEvents */
/** @typedef {import("./events.js").InterviewState} InterviewState */
/** @typedef {import("./memory.js").KeptInterview} KeptInterview */
/** @typedef {import("./wire.js").ServerMessage} ServerMessage */
/** @typedef {import("./words.js").Trouble} Trouble */

/**
 * @typedef {object} Surroundings
 * @property {import("./sound.js").Sound} sound
 * @property {import("./words.js").Words} words
 * @property {import("./memory.js").Memory | null} memory
 * @property {import("./wake-lock.js").WakeLock | null} wakeLock
 * @property {{audio: import("./carrier.js").AudioChoice, opusWorkerUrl: string}} carrying
 * @property {<Name extends keyof InterviewEvents>(name: Name, detail: InterviewEvents[Name]) => void} emit
 */

/** Longer than any stall of a line that still counts as one reply. */
const UNFINISHED_MS = 5 * 1000;

/** Servers that do not say how long they hold an interview do it for a minute. */
const UNTOLD_GRACE_MS = 60 * 1000;

export class Interview {
  /** @type {InterviewState} */
  state = "idle";
  turns = new Turns();
  troubles = new Troubles((kind, active) => this.#onTrouble(kind, active));
  hearing = new Hearing((kind, active) => this.trouble(kind, active), (speaker, speaking) => this.#emit("speaking", { speaker, speaking }));
  /** True while a recorded answer is being spoken. */
  answering = false;
  /** True while the interview pauses at the candidate's wish. */
  holding = false;
  closed = false;
  /** True once `ended` was told. */
  #over = false;

  #carrying;
  #sound;
  #words;
  #memory;
  #wakeLock;
  #report;
  /** @type {KeptInterview} */
  #kept = { interviewId: "", url: "", token: undefined };
  #graceMs = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #renewing;
  #samples = new Samples();
  #typed = new TypedAnswers();
  /** @type {Connection | null} */
  #connection = null;
  /** True once the interviewer's open turn was heard. */
  #begunToSpeak = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #unfinished;
  #started = false;
  #droppedMs = 0;
  #dried = 0;
  #levels = { microphone: 0, interviewer: 0 };
  /** The line as it was last reported. */
  #reported = "good pcm";
  /** @type {number | null} when the time is up, on performance.now()'s clock */
  #deadlineAt = null;

  /** @param {Surroundings} surroundings */
  constructor({ sound, words, memory, wakeLock, carrying, emit }) {
    this.#carrying = carrying;
    this.#sound = sound;
    this.#words = words;
    this.#memory = memory;
    this.#wakeLock = wakeLock;
    this.#report = emit;
  }

  /** @returns {number | null} */
  get remainingMs() {
    return this.#deadlineAt === null ? null : Math.max(0, this.#deadlineAt - performance.now());
  }

  get quality() {
    return this.#connection?.state ?? { quality: /** @type {Quality} */ ("good"), lagMs: 0, droppedMs: 0, codec: /** @type {"pcm" | "opus"} */ ("pcm") };
  }

  /** Servers that say their grace take `hold`, too. */
  get canHold() {
    return this.#graceMs > 0;
  }

  /** … and typed answers. */
  get canSendText() {
    return this.#graceMs > 0 && this.state !== "ended" && !this.closed;
  }

  /** @param {{url: string, token?: string | (() => string | Promise<string>) | undefined}} options */
  start({ url, token }) {
    const { audio, opusWorkerUrl } = this.#carrying;
    this.#kept = { interviewId: "", url, token: typeof token === "string" ? token : undefined };
    this.#connection = new Connection({
      url,
      ...(token === undefined ? {} : { token: typeof token === "function" ? () => this.#freshToken(token) : token }),
      audio,
      opusWorkerUrl,
      since: () => this.turns.seq,
      onmessage: (message) => this.#receive(message),
      onlost: () => this.#onLost(),
      ontrouble: (kind, active) => this.trouble(kind, active),
      onend: (end) => this.#onEnd(end),
    });
    this.#wakeLock?.hold();
    this.#setState("connecting");
    this.#connection.open();
  }

  /** @param {() => string | Promise<string>} ask */
  async #freshToken(ask) {
    const token = await ask();
    this.#kept.token = token;
    return token;
  }

  /** @param {boolean} on */
  hold(on) {
    if (this.canHold) this.#connection?.send(encodeHold(on));
  }

  /**
   * @param {string} text
   * @returns {boolean}
   */
  sendText(text) {
    const problem = this.canSendText ? TypedAnswers.problem(text) : "text-not-available";
    if (problem !== null) {
      this.#emit("textRefused", { text, kind: problem, words: this.#words[problem] });
      return false;
    }
    const answer = this.#typed.add(text, performance.now());
    // Without a line it is sent by the next SessionStarted.
    this.#connection?.send(encodeTextAnswer(answer.text, answer.number));
    return true;
  }

  end() {
    this.#connection?.requestEnd();
  }

  close() {
    this.closed = true;
    this.#connection?.close();
    this.#letGo();
  }

  #letGo() {
    clearInterval(this.#renewing);
    clearTimeout(this.#unfinished);
    this.troubles.clear();
    this.#wakeLock?.release();
  }

  /** @param {ServerMessage} message SessionEnded is Connection's to keep until the close frame that follows it */
  #receive(message) {
    switch (message.kind) {
      case "sessionStarted":
        this.#onStarted(message);
        break;
      case "transcriptUpdate":
        this.#onTranscript(message);
        break;
      case "audioResponse":
        this.#sound.play(this.#samples.join(message.audioContent));
        break;
      case "interrupted":
        this.#sound.flush();
        this.#samples.restart();
        if (this.#sound.playing && !this.answering && !this.#typed.mayHaveCut(performance.now())) this.hearing.cut();
        this.#begunToSpeak = false;
        this.#emit("interrupted", { turn: this.turns.cut(this.#sound.playing, message) });
        break;
      case "notice":
        if (message.remainingMs > 0) this.#deadlineAt = performance.now() + message.remainingMs;
        this.#emit("notice", { kind: message.noticeKind, message: message.message, remainingMs: message.remainingMs });
        break;
      case "holdState":
        this.#onHold(message.on, message.remainingMs);
        break;
      case "error":
        this.#onError(message.code);
        break;
    }
  }

  /** @param {Extract<ServerMessage, {kind: "sessionStarted"}>} message */
  #onStarted({ interviewId, outputSampleRateHz, remainingMs, resumed, graceMs }) {
    this.#started = this.#started || resumed;
    this.#graceMs = graceMs;
    this.#sound.setSourceRate(outputSampleRateHz || VOICE_RATE_HZ);
    this.#deadlineAt = performance.now() + remainingMs;
    this.#kept.interviewId = interviewId;
    clearInterval(this.#renewing);
    this.#renewing = setInterval(() => this.#remember(), RENEW_EVERY_MS);
    this.#remember();
    for (const { text, number } of this.#typed.due(performance.now())) this.#connection?.send(encodeTextAnswer(text, number));
    // A pause may have ended while the line was away. One that goes on is told anew, right behind this.
    if (this.holding) this.#onHold(false, 0);
    this.#settle();
  }

  /**
   * @param {boolean} on
   * @param {number} remainingMs
   */
  #onHold(on, remainingMs) {
    this.holding = on;
    this.#emit("hold", { on, remainingMs });
  }

  /** @param {number} code */
  #onError(code) {
    const refused = this.#typed.refused(code);
    if (refused === null) this.trouble("server-complaint", true);
    else this.#emit("textRefused", { text: refused.text, kind: refused.problem, words: this.#words[refused.problem] });
  }

  #remember() {
    if (this.#kept.interviewId !== "") this.#memory?.keep(this.#kept, this.#graceMs || UNTOLD_GRACE_MS);
  }

  /** @param {Extract<ServerMessage, {kind: "transcriptUpdate"}>} update */
  #onTranscript(update) {
    const turn = this.turns.add(update);
    if (update.speaker === "USER") this.#typed.shown(update.text, performance.now());
    if (turn === null) return;
    const { text, turnComplete, seq } = update;
    this.#emit("transcript", { speaker: turn.speaker, text, turnComplete, seq, turn });
    if (this.state === "speaking") this.#settle();
  }

  /** @param {import("./sound-format.js").Chunk} chunk */
  onChunk(chunk) {
    const { pcm, level, answering, saidAt } = chunk;
    if (this.state === "ended") return;
    const ageMs = age(saidAt);
    const listening = this.state === "listening" || this.state === "ready";
    const candidatesTurn = listening && this.#sound.hasMicrophone && !this.#sound.muted && !answering && !this.holding;
    this.hearing.heard(chunk, performance.now() - ageMs, candidatesTurn);
    if (this.state !== "idle") {
      this.#connection?.sendAudio(new Uint8Array(pcm.buffer), { ageMs, speech: this.hearing.speaking || answering });
      this.#reportQuality();
    }
    if (answering !== this.answering) {
      this.answering = answering;
      this.#emit("answer", { speaking: answering });
    }
    this.#levels.microphone = level;
    this.#emit("level", { ...this.#levels });
  }

  #reportQuality() {
    const state = this.quality;
    const line = `${state.quality} ${state.codec}`;
    if (line === this.#reported) return;
    this.#reported = line;
    this.#emit("quality", state);
  }

  /**
   * @param {import("./sound-format.js").PlayerReport} report
   * @param {boolean} changed
   */
  onReport({ playing, level, droppedMs, dried, playedAt }, changed) {
    if (this.state === "ended") return;
    // A new player counts from 0 again.
    if (dried > this.#dried) this.#connection?.ranDry();
    this.#dried = dried;
    this.#levels.interviewer = level;
    this.hearing.played(performance.now() - age(playedAt), level);
    this.#emit("level", { ...this.#levels });
    if (droppedMs > this.#droppedMs) this.trouble("audio-dropped", true);
    this.#droppedMs = droppedMs;
    if (changed && this.state !== "idle") this.#emit("speaking", { speaker: "AI", speaking: playing });
    if (this.state === "idle") return;
    this.#started = this.#started || playing;
    if (playing) this.#begunToSpeak = true;
    if (this.state !== "reconnecting" && this.state !== "connecting") this.#settle();
  }

  #onLost() {
    this.#samples.restart();
    this.#setState(this.state === "connecting" ? "connecting" : "reconnecting");
    this.#reportQuality();
  }

  /** @param {import("./connection.js").ConnectionEnd} end */
  #onEnd({ code, reason, sessionEnded, diagnosis }) {
    const ending = diagnosis ?? endingOf(code, reason, sessionEnded);
    // The interviewer's last words are heard out, unless it was the candidate who has had enough.
    this.#setState("ended");
    this.#letGo();
    if (this.#kept.interviewId !== "") this.#memory?.forget(this.#kept.interviewId);
    void this.#sound.close({ hearOut: ending === "time-is-up" || ending === "interviewer-finished" });
    this.#emit("ended", { reason: ending, code, words: this.#words[ending] });
  }

  /** The state that sound alone decides: a line that stalls within a reply does not make it the candidate's turn. */
  #settle() {
    clearTimeout(this.#unfinished);
    const unfinished = this.#begunToSpeak && this.turns.interviewerOpen && this.state === "speaking";
    if (!this.#sound.playing && !unfinished) this.#begunToSpeak = false;
    if (this.#sound.playing) this.#setState("speaking");
    else if (unfinished) {
      this.#unfinished = setTimeout(() => {
        this.#begunToSpeak = false;
        if (this.state === "speaking") this.#settle();
      }, UNFINISHED_MS);
    } else this.#setState(this.#started ? "listening" : "ready");
  }

  /** @param {InterviewState} state */
  #setState(state) {
    if (this.state === state || this.state === "ended") return;
    this.state = state;
    this.#emit("state", { state });
  }

  /**
   * @param {Trouble} kind
   * @param {boolean} active
   */
  trouble(kind, active) {
    if (this.closed || this.state === "ended") return;
    if (kind === "microphone-changed" && active) this.hearing.restart();
    this.troubles.set(kind, active);
  }

  /**
   * @param {Trouble} kind
   * @param {boolean} active
   */
  #onTrouble(kind, active) {
    const words = this.#words[kind];
    this.#emit("trouble", { kind, words, active, troubles: this.troubles.all });
    if (active) this.#emit("error", { kind, words });
  }

  /**
   * Tell the page. `ended` is the last event, whatever was being told when it came; an answer that is typed later is still refused.
   * @template {keyof InterviewEvents} Name
   * @param {Name} name
   * @param {InterviewEvents[Name]} detail
   */
  #emit(name, detail) {
    if (this.closed || (this.#over && name !== "textRefused")) return;
    this.#over ||= name === "ended";
    this.#report(name, detail);
  }
}

/**
 * Return how long ago something happened on the audio thread, whose only clock is the wall's: a matter of milliseconds.
 * @param {number} at Date.now() then
 */
function age(at) {
  return Math.max(0, Date.now() - at);
}
