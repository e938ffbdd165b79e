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
  sent = [];
  closed = false;

  constructor(url, protocols) {
    this.url = String(url);
    this.protocols = protocols;
    FakeSocket.all.push(this);
  }
  send(frame) {
    this.sent.push(frame);
  }
  close() {
    this.closed = true;
  }
  opens() {
    this.readyState = FakeSocket.OPEN;
    this.onopen();
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
