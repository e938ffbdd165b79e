/**
 * One interview's connection: a chain of WebSockets that looks like one.
 *
 * Rule 1: at most one socket is alive; whatever an older one still says is ignored.
 * Rule 2: every wait has an end, and `onend` is called exactly once.
 * Rule 3: sound spoken while there is no socket is kept, up to a bound, and sent on the next.
 */

import { CloseCode, retryWaitMs, worthRetrying } from "./endings.js";
import { CAPTURE_RATE_HZ } from "./sound-format.js";
import { WireError, decodeServerMessage, encodeAudioChunk, encodeEndRequest } from "./wire.js";

/** @typedef {import("./wire.js").ServerMessage} ServerMessage */
/** @typedef {import("./endings.js").Ending} Ending */

/**
 * @typedef {object} ConnectionOptions
 * @property {string} url http:, https:, ws: or wss:, or relative to the page; with or without `?token=`
 * @property {string} [token] travels as a subprotocol, so that no log of URLs holds it
 * @property {() => number} since the last transcript seq that arrived; 0: none, so that all there is comes
 * @property {(message: ServerMessage) => void} onmessage
 * @property {() => void} onlost another try follows
 * @property {(end: ConnectionEnd) => void} onend no further try
 */

/** @typedef {{code: number, reason: string, sessionEnded: number | null, diagnosis: Ending | null}} ConnectionEnd */

/** The server picks this one of the two offered; the other carries the token. */
const SUBPROTOCOL = "preppal.v1";

/** TCP, TLS and the server's answer; a phone on a bad network needs several seconds. */
const OPEN_TIMEOUT_MS = 10 * 1000;

/** From open to SessionStarted: the server's own limits (10 s dial + 10 s set-up, or 30 s of restoring) and a margin. */
const READY_TIMEOUT_MS = 40 * 1000;

/** From EndRequest to the server's goodbye; the user has decided, so we do not wait longer. */
const GOODBYE_TIMEOUT_MS = 5 * 1000;

/** How long the health question may take when a handshake was refused. */
const PROBE_TIMEOUT_MS = 5 * 1000;

const BYTES_PER_SECOND = CAPTURE_RATE_HZ * 2;

/** Sound kept while reconnecting: a sentence; older speech would only delay the interview. */
export const HELD_BYTES = 5 * BYTES_PER_SECOND;

/** The page streams all the time, so a socket that takes nothing for this long is dead, whatever it says. */
const STALLED_BYTES = 8 * BYTES_PER_SECOND;

/** A few refusals may be a server between two lives; four in a row (some three seconds) are a verdict. */
const REFUSALS_BELIEVED = 4;

export class Connection {
  #options;
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} the one wait going on: open, ready, goodbye or retry */
  #timer;
  #wasOpen = false;
  #over = false;
  #endRequested = false;
  /** @type {number | null} */
  #sessionEnded = null;
  #endedOnError = false;
  /** @type {number | null} when the present gap began (Date.now: a sleeping laptop's gap counts in full) */
  #lostAt = null;
  #attempt = 0;
  #refusals = 0;
  /** @type {Uint8Array[]} */
  #held = [];
  #heldBytes = 0;

  /** @param {ConnectionOptions} options */
  constructor(options) {
    this.#options = { ...options, url: webSocketUrl(options.url) };
  }

  open() {
    globalThis.addEventListener?.("offline", this.#onOffline);
    globalThis.addEventListener?.("online", this.#onOnline);
    this.#dial();
  }

  /** @param {Uint8Array} pcm PCM16 LE 16 kHz; taken over */
  sendAudio(pcm) {
    if (this.#over || this.#endRequested) return;
    const socket = this.#socket;
    if (socket === null || socket.readyState !== WebSocket.OPEN) {
      this.#hold(pcm);
    } else if (socket.bufferedAmount > STALLED_BYTES) {
      this.#hold(pcm);
      this.#lost(CloseCode.CONNECTION_LOST, "the network takes nothing any more");
    } else {
      socket.send(encodeAudioChunk(pcm));
    }
  }

  /** The candidate pressed "end": ask the server, but not for long. */
  requestEnd() {
    if (this.#over || this.#endRequested) return;
    this.#endRequested = true;
    if (this.#socket?.readyState !== WebSocket.OPEN) {
      this.#finish(CloseCode.DISTINCT_BY_USER, "");
      return;
    }
    this.#socket.send(encodeEndRequest());
    this.#wait(GOODBYE_TIMEOUT_MS, () => this.#finish(CloseCode.DISTINCT_BY_USER, ""));
  }

  /** Hangs up without an end: the server holds the interview for its grace. Nothing more is told. */
  close() {
    if (!this.#over) this.#stop();
  }

  #dial() {
    const { url, token, since } = this.#options;
    const address = new URL(url);
    address.searchParams.set("since", String(since()));
    const socket = new WebSocket(address, token === undefined ? [] : [SUBPROTOCOL, `token.${token}`]);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#wait(OPEN_TIMEOUT_MS, () => this.#lost(CloseCode.CONNECTION_LOST, "no answer"));
    let opened = false;
    socket.onopen = () => {
      opened = true;
      this.#wasOpen = true;
      this.#refusals = 0;
      this.#wait(READY_TIMEOUT_MS, () => this.#lost(CloseCode.CONNECTION_LOST, "the interview did not start"));
      for (const pcm of this.#held.splice(0)) socket.send(encodeAudioChunk(pcm));
      this.#heldBytes = 0;
    };
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code, reason }) => (opened ? this.#lost(code, reason) : void this.#refused());
  }

  /** @param {unknown} data */
  #receive(data) {
    if (!(data instanceof ArrayBuffer)) return;
    let message;
    try {
      message = decodeServerMessage(data);
    } catch (problem) {
      if (!(problem instanceof WireError)) throw problem;
      this.#finish(CloseCode.PROTOCOL, problem.message);
      return;
    }
    if (message === null) return;
    this.#endedOnError = message.kind === "error";
    if (message.kind === "sessionEnded") this.#sessionEnded = message.reason;
    if (message.kind === "sessionStarted") {
      if (!this.#endRequested) clearTimeout(this.#timer);
      this.#lostAt = null;
      this.#attempt = 0;
    }
    this.#options.onmessage(message);
  }

  /**
   * The present socket is gone, or as good as gone.
   * @param {number} code
   * @param {string} reason
   */
  #lost(code, reason) {
    this.#discard();
    const seen = { sessionEnded: this.#sessionEnded !== null, endedOnError: this.#endedOnError };
    if (this.#endRequested) this.#finish(CloseCode.DISTINCT_BY_USER, reason);
    else if (worthRetrying(code, seen)) this.#retry(code, reason);
    else this.#finish(code, reason);
  }

  /** A handshake failed. Browsers hide why, so ask the server how it is. */
  async #refused() {
    this.#discard();
    const diagnosis = await probe(this.#options.url);
    if (this.#over) return;
    this.#refusals = diagnosis === "refused" ? this.#refusals + 1 : 0;
    if (!this.#wasOpen) this.#finish(CloseCode.CONNECTION_LOST, "", diagnosis);
    else if (this.#refusals >= REFUSALS_BELIEVED) this.#finish(CloseCode.CONNECTION_LOST, "", "over-meanwhile");
    else this.#retry(CloseCode.CONNECTION_LOST, "");
  }

  /**
   * @param {number} code of the loss, told if this is the end
   * @param {string} reason
   */
  #retry(code, reason) {
    if (this.#lostAt === null) {
      this.#lostAt = Date.now();
      this.#options.onlost();
    }
    const waitMs = retryWaitMs(this.#attempt, Date.now() - this.#lostAt);
    this.#attempt += 1;
    if (waitMs === null) this.#finish(code, reason);
    else this.#wait(waitMs, () => this.#dial());
  }

  #onOffline = () => {
    if (this.#socket !== null) this.#lost(CloseCode.CONNECTION_LOST, "the device is offline");
  };

  #onOnline = () => {
    if (this.#over || this.#lostAt === null || this.#socket !== null) return;
    this.#attempt = 0;
    this.#dial();
  };

  /** @param {Uint8Array} pcm */
  #hold(pcm) {
    this.#held.push(pcm);
    this.#heldBytes += pcm.length;
    while (this.#heldBytes > HELD_BYTES) this.#heldBytes -= this.#held.shift()?.length ?? 0;
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
    this.#held = [];
    globalThis.removeEventListener?.("offline", this.#onOffline);
    globalThis.removeEventListener?.("online", this.#onOnline);
  }

  /** Rule 1: from here on nothing of the present socket is heard. */
  #discard() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
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
    this.#timer = setTimeout(then, ms);
  }
}

/** @param {string} url */
function webSocketUrl(url) {
  const address = new URL(url, globalThis.location?.href);
  address.protocol = address.protocol.replace("http", "ws");
  return address.href;
}

/**
 * Why might a handshake have failed?
 * @param {string} url the interview's
 * @returns {Promise<"unreachable" | "full" | "refused">}
 */
async function probe(url) {
  const health = new URL("/ready", url);
  health.protocol = health.protocol.replace("ws", "http");
  try {
    const { status } = await fetch(health, { cache: "no-store", signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
    // Anything but the server's own two answers is a proxy's, with no server behind it: it may be between two lives.
    return status === 200 ? "refused" : status === 503 ? "full" : "unreachable";
  } catch {
    return "unreachable";
  }
}
