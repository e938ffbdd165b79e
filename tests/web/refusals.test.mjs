/** Why a first handshake fails: the server says so itself, or something else answers in its place. */

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { FakeSocket, connect, latest, line, settle } from "./scripted-line.mjs";

for (const [what, answer, diagnosis, protocols = {}] of [
  ["a landing page", "<!doctype html><title>Welcome</title>", "blocked-between"],
  ["another service's JSON", '{"ok":true}', "blocked-between"],
  ["a server that would have said why", '{"status":"ready"}', "blocked-between", { "Preppal-Protocols": "preppal.v1, preppal.v2" }],
  ["a server too old to say why", '{"status":"ready"}', "refused"],
]) {
  test(`P11: a handshake that fails beside ${what} is told as "${diagnosis}"`, async () => {
    line.body = answer;
    line.spoken = protocols;
    connect();
    latest().dies();
    await settle();
    assert.equal(line.seen.ends[0].diagnosis, diagnosis);
  });
}

/** ServerToClientMessage { error { code, message, retry_after_ms } }, then the close with that code. */
function refuses(code, retryAfterMs = 0) {
  latest().opens();
  latest().onmessage({ data: errorFrame(code, retryAfterMs) });
  latest().dies(code, "");
}

function errorFrame(code, retryAfterMs) {
  const varint = (value) => {
    const out = [];
    for (; value > 127; value = Math.floor(value / 128)) out.push((value % 128) | 0x80);
    return [...out, value];
  };
  const inner = [0x08, ...varint(code), 0x12, 2, 0x6e, 0x6f, 0x18, ...varint(retryAfterMs)];
  return Uint8Array.of(0x1a, inner.length, ...inner).buffer;
}

for (const code of [4400, 4401, 4403, 4410]) {
  test(`a refusal with ${code} ends it at once, and is no complaint about a message`, () => {
    connect();
    refuses(code);
    assert.equal(line.seen.ends[0].code, code);
    assert.deepEqual(line.seen.messages, []);
  });
}

for (const code of [4429, 4503]) {
  test(`a refusal with ${code} is waited out as long as the server says, and told meanwhile`, async () => {
    connect();
    refuses(code, 20000);
    assert.deepEqual(line.seen.troubles, ["waiting-for-server"]);
    mock.timers.tick(19000);
    assert.equal(FakeSocket.all.length, 1);
    mock.timers.tick(1500);
    assert.equal(FakeSocket.all.length, 2);
    latest().opens();
    latest().says("session started with its grace");
    assert.deepEqual(line.seen.troubles, []);
    assert.equal(line.seen.ends.length, 0);
  });

  test(`a refusal with ${code} that goes on has an end`, async () => {
    connect();
    for (let tries = 0; tries < 40 && line.seen.ends.length === 0; tries += 1) {
      refuses(code, 20000);
      mock.timers.tick(21000);
    }
    assert.equal(line.seen.ends[0].code, code);
    assert.ok(FakeSocket.all.length < 10);
  });
}
