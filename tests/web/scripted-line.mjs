/** A line for tests: a WebSocket that does what the test says, and a clock that the test moves. Importing it sets both up for each test. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, mock } from "node:test";
import { Connection } from "../../preppald/web/client/connection.js";

export const frames = JSON.parse(readFileSync(new URL("frames.json", import.meta.url), "utf8"));

export class FakeSocket {
  static OPEN = 1;
  /** @type {FakeSocket[]} */
  static all = [];
  readyState = 0;
  bufferedAmount = 0;
  /** True where the line takes nothing any more: all that is sent stays in bufferedAmount. */
  swallows = false;
  protocol = "";
  sent = [];
  closed = false;

  constructor(url, protocols) {
    this.url = String(url);
    this.protocols = protocols;
    FakeSocket.all.push(this);
  }
  send(frame) {
    if (this.swallows) this.bufferedAmount += frame.length;
    this.sent.push(frame);
  }
  close() {
    this.closed = true;
  }
  /** An older server takes preppal.v1. */
  opens(protocol = this.protocols[0] ?? "") {
    this.protocol = protocol;
    this.readyState = FakeSocket.OPEN;
    this.onopen();
  }
  tells(message) {
    this.onmessage?.({ data: Uint8Array.from(message).buffer });
  }
  says(name) {
    this.onmessage({ data: Uint8Array.from(Buffer.from(frames.server[name], "hex")).buffer });
  }
  dies(code = 1006, reason = "") {
    this.onclose?.({ code, reason });
  }
}

/**
 * health: what GET /ready answers, null: no server there; body, spoken: its body and headers; seen: what the connection
 * told; wallClockJumpMs: how far the wall clock was set forward
 */
export const line = {};

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
  // The monotonic clock moves with the timers, and not when the wall clock is set.
  const begun = Date.now();
  mock.method(performance, "now", () => Date.now() - begun - line.wallClockJumpMs);
  mock.method(globalThis, "fetch", async () => {
    if (line.health === null) throw new TypeError("fetch failed");
    return { status: line.health, headers: new Headers(line.spoken), text: async () => line.body };
  });
  globalThis.WebSocket = FakeSocket;
  FakeSocket.all = [];
  Object.assign(line, {
    health: 200,
    body: '{"status":"ready"}',
    spoken: {},
    seen: { messages: [], lost: 0, ends: [], troubles: [] },
    wallClockJumpMs: 0,
  });
});
afterEach(() => mock.restoreAll() ?? mock.timers.reset());

export function connect({ since = 0 } = {}) {
  const connection = new Connection({
    url: "ws://example.test/ws/42",
    token: "a.b.c",
    since: () => since,
    onmessage: (message) => line.seen.messages.push(message.kind),
    onlost: () => (line.seen.lost += 1),
    ontrouble(kind, active) {
      if (line.seen.troubles.includes(kind) === active) return;
      line.seen.troubles = active ? [...line.seen.troubles, kind] : line.seen.troubles.filter((other) => other !== kind);
    },
    onend: (end) => line.seen.ends.push(end),
  });
  connection.open();
  return connection;
}

export const latest = () => FakeSocket.all.at(-1);
export const settle = async () => {
  for (let i = 0; i < 5; i += 1) await Promise.resolve();
};

/** Refuse every handshake until the connection gives up or `limitMs` have passed. */
export async function refuseAll(limitMs) {
  for (let ms = 0; ms < limitMs && line.seen.ends.length === 0; ms += 100) {
    if (!latest().closed) latest().dies();
    await settle();
    mock.timers.tick(100);
  }
}

const varint = (value) => (value > 127 ? [(value % 128) | 0x80, ...varint(Math.floor(value / 128))] : [value]);
const number = (field, value) => (value === 0 ? [] : [field << 3, ...varint(value)]);
const within = (field, bytes) => [(field << 3) | 2, ...varint(bytes.length), ...bytes];
const text = (field, words) => within(field, [...new TextEncoder().encode(words)]);

/** ServerToClientMessages with what a test says in them; `frames` has those that Python writes. */
export const message = {
  transcript: ({ speaker, text: words, complete = false, seq, turn, heard = 0 }) =>
    within(1, [...text(1, speaker), ...text(2, words), ...number(4, Number(complete)), ...number(5, seq), ...number(6, turn), ...number(9, heard)]),
  error: (code) => within(3, number(1, code)),
  started: ({ resumed = false, graceMs = 90000 } = {}) =>
    within(5, [...text(1, "42"), ...number(2, 24000), ...number(3, 3600000), ...number(4, Number(resumed)), ...number(5, graceMs)]),
  interrupted: ({ turn, heard = 0 }) => within(6, [...number(2, heard), ...number(3, turn)]),
  hold: ({ on, remainingMs = 0 }) => within(8, [...number(1, Number(on)), ...number(2, remainingMs)]),
  received: (audioMs) => within(9, number(1, audioMs)),
};
