/**
 * One interview's connection: a chain of WebSockets that looks like one.
 *
 * Rule 1: at most one socket is alive; whatever an older one still says is ignored.
 * Rule 2: every wait has an end, and `onend` is called exactly once.
 * Rule 3: durations are measured on performance.now(), which no setting of the wall clock moves. A laptop's sleep may
 *         not count there; then it is the server that knows whether the interview is over, and says so.
 * Rule 4: a silent line is given up after SILENT_MS of this page's own attention: while the page is blocked, nothing
 *         can be heard, and that says nothing about the line.
 * Rule 5: whoever is told something may end or leave it there and then: behind each telling it may be over.
 */

import { CloseCode, FIRST_BUDGET_MS, RETRY_BUDGET_MS, isPassing, retryWaitMs, worthRetrying } from "./endings.js";
import { Carrier } from "./carrier.js";
import { LineWatch } from "./line-watch.js";
import { probe } from "./probe.js";
import { HELD_MS, Uplink } from "./uplink.js";
import { CAPTURE_RATE_HZ } from "./sound-format.js";
import { GOODBYE_TIMEOUT_MS, GRACE_MARGIN_MS, OPEN_TIMEOUT_MS, QUIET_MS, READY_TIMEOUT_MS, REFUSALS_BELIEVED, SILENT_MS, WATCH_MS } from "./waits.js";
import { WireError, decodeServerMessage, encodeEndRequest } from "./wire.js";

/** @typedef {import("./wire.js").ServerMessage} ServerMessage */
/** @typedef {import("./endings.js").Ending} Ending */
/** @typedef {import("./endings.js").Trouble} Trouble */

/**
 * @typedef {object} ConnectionOptions
 * @property {string} url http:, https:, ws: or wss:, or relative to the page; with or without `?token=`
 * @property {string | (() => string | Promise<string>)} [token] travels as a subprotocol, so that no log of URLs holds
 *   it; a function is asked before each try
 * @property {() => number} since the last transcript seq that arrived; 0: none, so that all there is comes
 * @property {import("./carrier.js").AudioChoice} [audio] PCM only, unless told otherwise
 * @property {string} [opusWorkerUrl] where opus-worker.js is served
 * @property {(message: ServerMessage) => void} onmessage the interviewer's voice as PCM, whatever carried it
 * @property {() => void} onlost another try follows
 * @property {(kind: Trouble, active: boolean) => void} [ontrouble] of the line
 * @property {(end: ConnectionEnd) => void} onend no further try
 */

/** @typedef {{code: number, reason: string, sessionEnded: number | null, diagnosis: Ending | null}} ConnectionEnd */
/** @typedef {"good" | "slow" | "silent" | "lost"} Quality */
/** @typedef {import("./codec-choice.js").Codec} CodecName */

/** v1 with refusals in words, and with Received, the first as soon as sound has come. */
const V2 = "preppal.v2";

/** The server picks the first that it knows; a further one carries the token. */
const SUBPROTOCOLS = [V2, "preppal.v1"];

const BYTES_PER_SECOND = CAPTURE_RATE_HZ * 2;

/** Sound kept while reconnecting. */
export const HELD_BYTES = (HELD_MS / 1000) * BYTES_PER_SECOND;

const now = () => performance.now();

export class Connection {
  #options;
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} the one wait going on: open, ready, goodbye or retry */
  #timer;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #watch;
  #line = new LineWatch();
  /** True once the present socket brought SessionStarted. */
  #started = false;
  /** What the present socket was given. */
  #sentBytes = 0;
  #wasOpen = false;
  #over = false;
  #endRequested = false;
  /** @type {number | null} */
  #sessionEnded = null;
  /** The ErrorResponse that was the last message, if one was. @type {Extract<ServerMessage, {kind: "error"}> | null} */
  #lastError = null;
  /** @type {number | null} when the present gap began */
  #lostAt = null;
  #attempt = 0;
  #dials = 0;
  #refusals = 0;
  #graceMs = RETRY_BUDGET_MS;
  #uplink = new Uplink();
  #toldDroppedMs = 0;
  #carrier;
  /** True where sound held over a gap waits for SessionStarted. */
  #holding = false;

  /** @param {ConnectionOptions} options */
  constructor(options) {
    this.#options = { ...options, url: webSocketUrl(options.url) };
    const { audio = "pcm", opusWorkerUrl = "", onmessage } = options;
    this.#carrier = new Carrier({ audio, workerUrl: opusWorkerUrl, send: (message) => void this.send(message), onvoice: onmessage });
  }

  open() {
    if (this.#over) return;
    globalThis.addEventListener?.("offline", this.#onOffline);
    globalThis.addEventListener?.("online", this.#onOnline);
    this.#watch = setInterval(() => this.#look(), WATCH_MS);
    void this.#carrier.prepare();
    void this.#dial();
  }

  /** The quality of the line, both ways. @returns {{quality: Quality, lagMs: number, droppedMs: number, codec: CodecName}} */
  get state() {
    const { lagMs, droppedMs } = this.#uplink;
    const quality = this.#lostAt !== null ? "lost" : this.#line.quietMs >= QUIET_MS ? "silent" : this.#slow ? "slow" : "good";
    return { quality, lagMs, droppedMs, codec: this.#carrier.codec };
  }

  get #slow() {
    return this.#uplink.slow || this.#carrier.stutters(now());
  }

  /**
   * Send sound, or keep it while there is no line.
   * @param {Uint8Array} pcm PCM16 LE 16 kHz; taken over
   * @param {{ageMs?: number, speech?: boolean}} [about] how long ago it was said, and whether there is a voice in it
   */
  sendAudio(pcm, { ageMs = 0, speech = true } = {}) {
    if (this.#over || this.#endRequested) return;
    this.#uplink.put(pcm, now() - ageMs, speech);
    this.#pump();
  }

  /**
   * Send a message other than sound.
   * @param {Uint8Array<ArrayBuffer>} message
   * @returns {boolean} false: there is no line now
   */
  send(message) {
    if (this.#over || this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(message);
    this.#sentBytes += message.length;
    return true;
  }

  /** The candidate pressed "end": ask the server, but not for long. */
  requestEnd() {
    if (this.#over || this.#endRequested) return;
    this.#endRequested = true;
    if (!this.send(encodeEndRequest())) {
      this.#finish(CloseCode.DISTINCT_BY_USER, "");
      return;
    }
    this.#wait(GOODBYE_TIMEOUT_MS, () => this.#finish(CloseCode.DISTINCT_BY_USER, ""));
  }

  /** The interviewer's voice ran dry within a reply: the line to here is too slow. */
  ranDry() {
    this.#carrier.ranDry(now());
  }

  /** Hang up without an end: the server holds the interview for its grace. Nothing more is reported. */
  close() {
    if (!this.#over) this.#stop();
  }

  async #dial() {
    this.#dials += 1;
    const dial = this.#dials;
    const { url, token } = this.#options;
    if (typeof token === "function") {
      this.#wait(OPEN_TIMEOUT_MS, () => this.#lost(CloseCode.CONNECTION_LOST, "no token"));
      try {
        const fresh = await token();
        if (!this.#over && dial === this.#dials) this.#connect(url, fresh);
      } catch {
        // The application's own server is out of reach, as ours may be: the same tries serve both.
        if (!this.#over && dial === this.#dials) this.#retryOrFinish(CloseCode.CONNECTION_LOST, "", "unreachable");
      }
    } else this.#connect(url, token);
  }

  /**
   * @param {string} url
   * @param {string | undefined} token
   */
  #connect(url, token) {
    const address = new URL(url);
    address.searchParams.set("since", String(this.#options.since()));
    address.searchParams.set("turns", "1");
    this.#carrier.ask(address);
    let socket;
    try {
      socket = new WebSocket(address, token === undefined ? [] : [...SUBPROTOCOLS, `token.${token}`]);
    } catch (problem) {
      // Its message quotes the token. Rule 2: nothing else would end this try.
      const name = problem instanceof Error ? problem.name : "Error";
      console.error(`preppal-client: the browser refuses to connect (${name}): is the token one line, and the address wss: on an https: page?`);
      this.#wait(0, () => this.#retryOrFinish(CloseCode.CONNECTION_LOST, "", "unreachable"));
      return;
    }
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#started = false;
    this.#sentBytes = 0;
    this.#lastError = null;
    this.#wait(OPEN_TIMEOUT_MS, () => this.#lost(CloseCode.CONNECTION_LOST, "no answer"));
    let opened = false;
    socket.onopen = () => {
      opened = true;
      this.#wasOpen = true;
      this.#refusals = 0;
      this.#heard();
      this.#wait(READY_TIMEOUT_MS, () => this.#lost(CloseCode.CONNECTION_LOST, "the interview did not start"));
      this.#holding = this.#carrier.waits;
      if (!this.#holding) this.#carrier.send(this.#uplink.opened(now()));
    };
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code, reason }) => (opened ? this.#lost(code, reason) : void this.#refused());
  }

  /** @param {unknown} data */
  #receive(data) {
    if (!(data instanceof ArrayBuffer)) return;
    this.#heard();
    if (this.#over) return;
    let message;
    try {
      message = decodeServerMessage(data);
    } catch (problem) {
      if (!(problem instanceof WireError)) throw problem;
      this.#finish(CloseCode.PROTOCOL, problem.message);
      return;
    }
    if (message === null) return;
    // Smaller codes are about one typed answer, and say nothing about the connection.
    this.#lastError = message.kind === "error" && message.code >= CloseCode.NORMAL ? message : null;
    if (message.kind === "audioResponse") {
      this.#carrier.receive(message);
      return;
    }
    if (message.kind === "interrupted") this.#carrier.interrupted();
    if (message.kind === "received") {
      this.#uplink.received(message.audioMs, now());
      this.#pump();
      return;
    }
    if (message.kind === "sessionEnded") this.#sessionEnded = message.reason;
    if (message.kind === "sessionStarted") {
      if (!this.#endRequested) clearTimeout(this.#timer);
      this.#started = true;
      this.#lostAt = null;
      this.#attempt = 0;
      if (message.graceMs > 0) this.#graceMs = message.graceMs + GRACE_MARGIN_MS;
      this.#trouble("waiting-for-server", false);
      this.#carrier.started(message.audioCodec);
      if (this.#holding) this.#carrier.send(this.#uplink.opened(now()));
      this.#holding = false;
    }
    // A refusal's words are its ending's; the close that follows has the code.
    if (message.kind === "error" && message.code >= CloseCode.BAD_REQUEST && message.code <= CloseCode.UNAVAILABLE) return;
    if (!this.#over) this.#options.onmessage(message);
  }

  /** Something came: the line is alive. */
  #heard() {
    this.#line.heard();
    this.#trouble("line-silent", false);
  }

  /** Rule 4. */
  #look() {
    const socket = this.#socket?.readyState === WebSocket.OPEN ? this.#socket : null;
    const awaited = socket !== null && this.#uplink.unconfirmed(this.#started && socket.protocol === V2);
    this.#line.look(now(), { awaited, sentBytes: this.#sentBytes, bufferedBytes: socket?.bufferedAmount ?? 0 });
    if (this.#line.quietMs >= QUIET_MS) this.#trouble("line-silent", true);
    if (this.#line.quietMs >= SILENT_MS) this.#lost(CloseCode.CONNECTION_LOST, "nothing arrives any more");
  }

  #pump() {
    const socket = this.#socket;
    const isOpen = socket?.readyState === WebSocket.OPEN;
    const pieces = this.#uplink.take(now(), isOpen ? socket.bufferedAmount : 0, this.#carrier.codec === "opus");
    if (isOpen) this.#carrier.send(pieces);
    this.#carrier.judge(now(), this.#uplink.lagMs);
    this.#trouble("slow-connection", this.#slow);
    if (this.#uplink.droppedSpeechMs > this.#toldDroppedMs) {
      this.#toldDroppedMs = this.#uplink.droppedSpeechMs;
      this.#trouble("speech-dropped", true);
    }
  }

  /**
   * The present socket is gone, or as good as gone.
   * @param {number} code
   * @param {string} reason
   */
  #lost(code, reason) {
    const error = this.#lastError;
    this.#discard();
    const seen = { sessionEnded: this.#sessionEnded !== null, endedOnError: error !== null };
    if (this.#endRequested) this.#finish(CloseCode.DISTINCT_BY_USER, reason);
    else if (isPassing(code)) this.#waitForServer(code, error?.retryAfterMs ?? 0);
    else if (worthRetrying(code, seen)) this.#retry(code, reason);
    else this.#finish(code, reason || (error?.message ?? ""));
  }

  /** A handshake failed. Browsers hide why, so ask the server how it is. */
  async #refused() {
    this.#discard();
    const diagnosis = await probe(this.#options.url);
    if (this.#over || this.#socket !== null) return;
    this.#refusals = diagnosis === "refused" ? this.#refusals + 1 : 0;
    if (this.#wasOpen && this.#refusals >= REFUSALS_BELIEVED) this.#finish(CloseCode.CONNECTION_LOST, "", "over-meanwhile");
    else this.#retryOrFinish(CloseCode.CONNECTION_LOST, "", diagnosis);
  }

  /**
   * Only an interview that was connected before is worth another try.
   * @param {number} code
   * @param {string} reason
   * @param {Ending} diagnosis
   */
  #retryOrFinish(code, reason, diagnosis) {
    if (this.#wasOpen) this.#retry(code, reason);
    else this.#finish(code, reason, diagnosis);
  }

  /**
   * The server has no room for now, and has said so: wait as long as it says, within bounds.
   * @param {number} code
   * @param {number} retryAfterMs 0: it did not say
   */
  #waitForServer(code, retryAfterMs) {
    this.#trouble("waiting-for-server", true);
    this.#retry(code, "", { atLeastMs: retryAfterMs, budgetMs: Math.max(this.#graceMs, FIRST_BUDGET_MS) });
  }

  /**
   * @param {number} code of the loss, reported if this is the end
   * @param {string} reason
   * @param {{atLeastMs?: number, budgetMs?: number}} [waiting]
   */
  #retry(code, reason, { atLeastMs = 0, budgetMs = this.#graceMs } = {}) {
    if (this.#over) return;
    if (this.#lostAt === null) {
      this.#lostAt = now();
      this.#options.onlost();
    }
    if (this.#over) return;
    const elapsedMs = now() - this.#lostAt;
    const waitMs = retryWaitMs(this.#attempt, elapsedMs, Math.random(), budgetMs);
    this.#attempt += 1;
    // Where no socket ever opened, no interview was begun here.
    if (waitMs === null || elapsedMs + atLeastMs > budgetMs) this.#finish(code, reason, this.#wasOpen ? null : "unreachable");
    else this.#wait(Math.max(waitMs, atLeastMs), () => void this.#dial());
  }

  #onOffline = () => {
    if (this.#socket !== null) this.#lost(CloseCode.CONNECTION_LOST, "the device is offline");
  };

  #onOnline = () => {
    if (this.#over || this.#lostAt === null || this.#socket !== null) return;
    this.#attempt = 0;
    clearTimeout(this.#timer);
    void this.#dial();
  };

  /**
   * @param {Trouble} kind
   * @param {boolean} active
   */
  #trouble(kind, active) {
    if (!this.#over) this.#options.ontrouble?.(kind, active);
  }

  /**
   * @param {number} code
   * @param {string} reason
   * @param {Ending | null} [diagnosis]
   */
  #finish(code, reason, diagnosis = null) {
    if (this.#over) return;
    this.#stop();
    this.#options.onend({ code, reason, sessionEnded: this.#sessionEnded, diagnosis });
  }

  #stop() {
    this.#over = true;
    this.#discard();
    this.#carrier.close();
    clearInterval(this.#watch);
    globalThis.removeEventListener?.("offline", this.#onOffline);
    globalThis.removeEventListener?.("online", this.#onOnline);
  }

  /** Rule 1: from here on nothing of the present socket is heard. */
  #discard() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    this.#heard();
    this.#uplink.closed();
    this.#carrier.lost();
    if (socket === null) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  /**
   * @param {number} ms
   * @param {() => void} then
   */
  #wait(ms, then) {
    clearTimeout(this.#timer);
    if (this.#over) return;
    this.#timer = setTimeout(then, ms);
  }
}

/** @param {string} url */
function webSocketUrl(url) {
  const address = new URL(url, globalThis.location?.href);
  address.protocol = address.protocol.replace("http", "ws");
  return address.href;
}
