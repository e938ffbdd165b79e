/** The chain of sockets, over a line that does what the test says. */

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Connection, HELD_BYTES } from "../../preppald/web/client/connection.js";
import { FakeSocket, connect, frames, latest, line, message, refuseAll, settle } from "./scripted-line.mjs";

const CHUNK = new Uint8Array(1280);

test("http addresses and addresses of this page become WebSocket addresses", () => {
  globalThis.location = { href: "https://app.example.test/interview" };
  for (const [url, dialled] of [
    ["/ws/42", "wss://app.example.test/ws/42?since=0&turns=1"],
    ["http://example.test/42", "ws://example.test/42?since=0&turns=1"],
    ["wss://example.test/42?token=a.b.c", "wss://example.test/42?token=a.b.c&since=0&turns=1"],
  ]) {
    new Connection({ url, since: () => 0, onmessage() {}, onlost() {}, onend() {} }).open();
    assert.equal(latest().url, dialled);
    assert.deepEqual(latest().protocols, []);
  }
  delete globalThis.location;
});

test("the token travels as a subprotocol, never in the URL", () => {
  connect();
  assert.deepEqual(latest().protocols, ["preppal.v2", "preppal.v1", "token.a.b.c"]);
  assert.equal(latest().url, "ws://example.test/ws/42?since=0&turns=1");
});

test("a lost connection comes back with the last seq, and the sound of the gap is sent on", () => {
  const connection = connect({ since: 7 });
  latest().opens();
  latest().says("session started");
  latest().dies();
  connection.sendAudio(CHUNK);
  assert.equal(line.seen.lost, 1);
  mock.timers.tick(400);
  assert.equal(FakeSocket.all.length, 2);
  assert.equal(latest().url, "ws://example.test/ws/42?since=7&turns=1");
  latest().opens();
  assert.equal(latest().sent.length, 1);
  assert.equal(line.seen.ends.length, 0);
});

test("of a long gap the last five seconds are kept", () => {
  const connection = connect();
  for (let i = 0; i < 1000; i += 1) connection.sendAudio(CHUNK);
  latest().opens();
  assert.equal(latest().sent.length, HELD_BYTES / CHUNK.length);
});

test("verdicts of the server end it at once", () => {
  for (const [code, reason] of [[4409, "Replaced"], [4002, "AI service error"], [1008, ""], [1000, "Interview ended by user"]]) {
    connect();
    latest().opens();
    latest().says("session started");
    latest().dies(code, reason);
    mock.timers.tick(120000);
    assert.equal(line.seen.ends.at(-1).code, code);
  }
  assert.equal(FakeSocket.all.length, 4);
  assert.equal(line.seen.ends.length, 4);
});

test("after SessionEnded a loss is the end, and its reason is known", () => {
  connect();
  latest().opens();
  latest().says("session ended");
  latest().dies(1006);
  assert.deepEqual(line.seen.ends, [{ code: 1006, reason: "", sessionEnded: 3, diagnosis: null }]);
});

test("nothing of an old socket is heard", () => {
  connect();
  const old = latest();
  old.opens();
  old.dies();
  assert.ok(old.closed);
  assert.equal(old.onmessage, null);
});

for (const [answer, diagnosis] of [[200, "refused"], [503, "full"], [404, "unreachable"], [502, "unreachable"], [null, "unreachable"]]) {
  test(`a first handshake that fails while /ready says ${answer} is told as "${diagnosis}"`, async () => {
    line.health = answer;
    connect();
    latest().dies();
    await settle();
    assert.equal(line.seen.ends[0].diagnosis, diagnosis);
  });
}

test("a connection that the browser refuses to begin is the end, and told without the token", async () => {
  const told = mock.method(console, "error", () => {});
  globalThis.WebSocket = class extends FakeSocket {
    constructor(url, protocols) {
      super(url, protocols);
      throw new DOMException(`The subprotocol '${protocols[2]}' is invalid.`, "SyntaxError");
    }
  };
  const connection = connect();
  mock.timers.tick(1);
  await settle();
  assert.deepEqual(line.seen.ends, [{ code: 1006, reason: "", sessionEnded: null, diagnosis: "unreachable" }]);
  assert.match(told.mock.calls[0].arguments.join(" "), /SyntaxError/);
  assert.doesNotMatch(told.mock.calls[0].arguments.join(" "), /a\.b\.c/);
  mock.timers.tick(120000);
  connection.close();
  assert.equal(line.seen.ends.length, 1);
});

test("a token that the browser takes no more, in the midst of an interview, is tried for a minute", async () => {
  mock.method(console, "error", () => {});
  connect();
  latest().opens();
  latest().says("session started");
  latest().dies();
  globalThis.WebSocket = class {
    static OPEN = 1;
    constructor() {
      throw new DOMException("no", "SecurityError");
    }
  };
  for (let ms = 0; ms < 120000; ms += 100) {
    mock.timers.tick(100);
    await settle();
  }
  assert.equal(line.seen.lost, 1);
  assert.equal(line.seen.ends.length, 1);
});

test("an unreachable server is tried for a minute, then given up", async () => {
  connect();
  latest().opens();
  latest().says("session started");
  line.health = null;
  latest().dies();
  await refuseAll(120000);
  assert.equal(line.seen.lost, 1);
  assert.equal(line.seen.ends.length, 1);
  assert.ok(FakeSocket.all.length >= 12 && FakeSocket.all.length < 40, String(FakeSocket.all.length));
});

test("a proxy with no server behind it is no verdict: the interview is tried for its minute", async () => {
  connect();
  latest().opens();
  latest().says("session started");
  line.health = 502;
  latest().dies();
  await refuseAll(30000);
  assert.equal(line.seen.ends.length, 0);
  mock.timers.tick(5000);
  latest().opens();
  latest().says("session started");
  assert.equal(line.seen.lost, 1);
});

test("whoever leaves is told nothing more, and dials no more", async () => {
  const connection = connect();
  latest().opens();
  latest().says("session started");
  const left = latest();
  connection.close();
  assert.ok(left.closed);
  connection.sendAudio(CHUNK);
  mock.timers.tick(120000);
  assert.equal(FakeSocket.all.length, 1);
  assert.equal(line.seen.ends.length, 0);
  assert.equal(line.seen.lost, 0);
});

test("a healthy server that keeps refusing has ended the interview", async () => {
  connect();
  latest().opens();
  latest().says("session started");
  latest().dies();
  await refuseAll(20000);
  assert.equal(line.seen.ends[0].diagnosis, "over-meanwhile");
});

test("a socket that never opens, and one that never starts, are not waited for without end", async () => {
  connect();
  mock.timers.tick(10000);
  assert.ok(FakeSocket.all[0].closed);
  mock.timers.tick(400);
  latest().opens();
  mock.timers.tick(40000);
  assert.ok(FakeSocket.all[1].closed);
});

test("end: asks the server, but for five seconds only, and at once when there is no server", () => {
  let connection = connect();
  latest().opens();
  connection.requestEnd();
  assert.equal(Buffer.from(latest().sent[0]).toString("hex"), frames.client.end);
  assert.equal(line.seen.ends.length, 0);
  mock.timers.tick(5000);
  assert.equal(line.seen.ends.length, 1);

  connection = connect();
  connection.requestEnd();
  connection.requestEnd();
  assert.equal(line.seen.ends.length, 2);
});

test("bytes that are no message end it with words, not with an exception", () => {
  connect();
  latest().opens();
  latest().onmessage({ data: Uint8Array.of(0x12, 0xff).buffer });
  assert.equal(line.seen.ends[0].code, 1008);
});

const CAPTURE_BYTES_PER_MS = 32;

/** Speak for a while, in chunks of 40 ms, while the clock goes on. */
async function speak(connection, ms) {
  for (let at = 0; at < ms && line.seen.ends.length === 0; at += 40) {
    connection.sendAudio(new Uint8Array(40 * CAPTURE_BYTES_PER_MS));
    mock.timers.tick(40);
    await Promise.resolve();
  }
}

const received = (audioMs) => latest().tells(message.received(audioMs));

async function started() {
  const connection = connect();
  latest().opens();
  latest().says("session started with its grace");
  await speak(connection, 1000);
  received(1000);
  return connection;
}

test("P8: a line that swallows everything is told after four seconds and given up after twelve", async () => {
  const connection = await started();
  await speak(connection, 3000);
  assert.deepEqual(line.seen.troubles, []);
  await speak(connection, 2000);
  assert.deepEqual(line.seen.troubles, ["line-silent"]);
  assert.equal(connection.state.quality, "silent");
  await speak(connection, 9000);
  assert.equal(line.seen.lost, 1);
  assert.ok(!line.seen.troubles.includes("line-silent"), "its end is the reconnection");
});

test("P8: so is one that dies before the server has said for the first time what it received", async () => {
  const connection = connect();
  latest().opens();
  latest().says("session started with its grace");
  await speak(connection, 5000);
  assert.deepEqual(line.seen.troubles, ["line-silent"]);
  await speak(connection, 9000);
  assert.equal(line.seen.lost, 1);
});

test("P8: of a server that does not say what it receives, a socket is dead that takes nothing any more for so long", async () => {
  const connection = connect();
  latest().opens("preppal.v1");
  latest().says("session started");
  await speak(connection, 20000);
  assert.deepEqual(line.seen.troubles, []);
  latest().swallows = true;
  await speak(connection, 5000);
  assert.ok(line.seen.troubles.includes("line-silent"));
  await speak(connection, 9000);
  assert.equal(line.seen.lost, 1);
});

test("a socket of such a server that takes a little now and then is slow, and not dead", async () => {
  const connection = connect();
  latest().opens("preppal.v1");
  latest().says("session started");
  latest().swallows = true;
  for (let i = 0; i < 30; i += 1) {
    await speak(connection, 2000);
    latest().bufferedAmount = Math.max(0, latest().bufferedAmount - 2000);
  }
  assert.equal(line.seen.lost, 0);
  assert.ok(!line.seen.troubles.includes("line-silent"));
});

test("an error is the server's last word only where nothing came behind it", () => {
  for (const [behind, lost] of [[[], 0], [message.received(1000), 1], [Buffer.from(frames.server.audio, "hex"), 1]]) {
    connect();
    line.seen.lost = 0;
    latest().opens();
    latest().says("session started");
    latest().tells(message.error(5000));
    if (behind.length > 0) latest().tells(behind);
    latest().dies(1011);
    assert.equal(line.seen.lost, lost);
  }
});

test("P8: the page is there for as long as the server holds the interview, and not much longer", async () => {
  await started();
  line.health = null;
  latest().dies();
  await refuseAll(90000);
  assert.equal(line.seen.ends.length, 0, "the grace is 90 s");
  await refuseAll(30000);
  assert.equal(line.seen.ends.length, 1);
});

test("P6: a page that was blocked says nothing about the line", async () => {
  const connection = await started();
  for (let i = 0; i < 5; i += 1) {
    line.wallClockJumpMs -= 20000;
    await speak(connection, 600);
    received(2000 + i * 600);
  }
  assert.equal(line.seen.lost, 0);
  assert.deepEqual(line.seen.troubles, []);
});

test("P10: an hour's jump of the wall clock while reconnecting ends nothing", async () => {
  await started();
  latest().dies();
  mock.timers.setTime(Date.now() + 3600000);
  line.wallClockJumpMs += 3600000;
  mock.timers.tick(400);
  latest().opens();
  latest().says("session started with its grace");
  assert.equal(line.seen.ends.length, 0);
  assert.equal(line.seen.lost, 1);
});

test("a token can be asked for before each connection; one that never comes is not waited for", async () => {
  let asked = 0;
  const connection = new Connection({
    url: "ws://example.test/ws/42",
    token: async () => `t${(asked += 1)}`,
    since: () => 0,
    onmessage() {},
    onlost: () => (line.seen.lost += 1),
    onend: (end) => line.seen.ends.push(end),
  });
  connection.open();
  await settle();
  assert.deepEqual(latest().protocols.at(-1), "token.t1");
  latest().opens();
  latest().says("session started");
  latest().dies();
  mock.timers.tick(400);
  await settle();
  assert.deepEqual(latest().protocols.at(-1), "token.t2");
  connection.close();

  new Connection({ url: "ws://example.test/ws/42", token: () => new Promise(() => {}), since: () => 0, onmessage() {}, onlost() {}, onend: (end) => line.seen.ends.push(end) }).open();
  for (let i = 0; i < 200; i += 1) mock.timers.tick(1000);
  assert.equal(line.seen.ends.length, 1);
});
