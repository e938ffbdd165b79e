/** Whole interviews in the client, over a line and with a sound that do what the test says. */

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { InterviewClient, NOT_HELD } from "../../preppald/web/client/preppal-client.js";
import { FakeSocket, latest, line, message, refuseAll, settle } from "./scripted-line.mjs";
import { FakeContext, plays, recorder, records } from "./scripted-sound.mjs";

/** An interview that the server has begun; `told`: its events. */
async function begun({ takesTurns = false } = {}) {
  const client = new InterviewClient({ audio: "pcm" });
  const told = [];
  for (const name of ["state", "trouble", "hold", "quality", "interrupted", "ended"]) client.on(name, (detail) => told.push([name, detail]));
  client.takesTurns = takesTurns;
  await client.prepare();
  client.start({ url: "ws://example.test/ws/42", token: "a.b.c" });
  latest().opens();
  latest().tells(message.started());
  return { client, told };
}

/** The device's sound goes on, or stands, for so long. */
async function pass(ms, { stands = false } = {}) {
  for (let at = 0; at < ms; at += 100) {
    if (!stands) for (const context of FakeContext.all) context.currentTime += 0.1;
    mock.timers.tick(100);
    await settle();
  }
}

const named = (told, name) => told.filter(([one]) => one === name).map(([, detail]) => detail);

test("speaking over a reply whose text has not come yet cuts that reply, and not the one before", async () => {
  const { client, told } = await begun();
  latest().tells(message.transcript({ speaker: "AI", text: "Tell me about it.", complete: true, seq: 1, turn: 1 }));
  latest().tells(message.transcript({ speaker: "USER", text: "It was a race.", complete: true, seq: 2, turn: 2 }));
  plays(true);
  latest().tells(message.interrupted({ turn: 3 }));
  plays(false);
  assert.deepEqual(named(told, "interrupted"), [{ turn: null }]);
  latest().tells(message.transcript({ speaker: "AI", text: "And how did you find it?", complete: true, seq: 3, turn: 3 }));
  assert.deepEqual(client.turns.map(({ cut, heardLength }) => [cut, heardLength]), [[false, null], [false, null], [true, 0]]);
});

test("sound that is made anew in mid-reply is silent: it is the candidate's turn, and the microphone no longer rests", async () => {
  const { client } = await begun({ takesTurns: true });
  latest().tells(message.transcript({ speaker: "AI", text: "Tell me about it.", complete: true, seq: 1, turn: 1 }));
  plays(true);
  await pass(500);
  await pass(3500, { stands: true });
  assert.deepEqual([client.state, client.troubles], ["speaking", ["sound-stopped"]]);
  await client.resume();
  assert.deepEqual([client.state, client.troubles], ["listening", []]);
  assert.deepEqual(recorder().orders.at(-1), { kind: "mute", muted: false });
});

test("an audio thread that crashed stays a trouble while its clock runs on, until a gesture makes it anew", async () => {
  const { client } = await begun();
  recorder().onprocessorerror();
  await pass(5000);
  assert.deepEqual(client.troubles, ["sound-stopped"]);
  await client.resume();
  assert.deepEqual(client.troubles, []);
  assert.deepEqual(FakeContext.all.map(({ state }) => state), ["closed", "running"]);
  await pass(5000);
  assert.deepEqual(client.troubles, []);
});

for (const [what, stop] of [
  ["is paused", async () => FakeContext.all[0].becomes("suspended")],
  ["stands", () => pass(4000, { stands: true })],
  ["crashes", async () => recorder().onprocessorerror()],
]) {
  test(`the interviewer's last words are heard out, but not by a device whose sound ${what}`, async () => {
    for (const before of [true, false]) {
      FakeContext.all = [];
      const { client } = await begun();
      plays(true);
      await pass(500);
      if (before) await stop();
      latest().says("session ended");
      latest().dies(1000, "Session timeout (1 hour limit)");
      await settle();
      assert.equal(client.state, "ended");
      assert.equal(FakeContext.all[0].state, before ? "closed" : "running");
      if (!before) await stop();
      await settle();
      assert.equal(FakeContext.all[0].state, "closed");
    }
  });
}

/** Leave at the first event of that name that fits. */
const once = (client, name, fits, leave) => client.on(name, (detail) => fits(detail) && leave());

for (const [how, leave] of [["close()", (client) => void client.close()], ["end()", (client) => client.end()]]) {
  for (const [when, name, fits, lose] of [
    ["the loss of the line is told", "state", ({ state }) => state === "reconnecting", () => latest().dies()],
    ["a full server is told", "error", ({ kind }) => kind === "waiting-for-server", () => latest().dies(4503)],
    ["a silent line ends", "trouble", ({ kind, active }) => kind === "line-silent" && !active, () => latest().dies()],
  ]) {
    test(`${how} while ${when} is the end: no socket is dialled any more`, async () => {
      const { client, told } = await begun();
      client.on("quality", (detail) => told.push(["late", detail]));
      latest().tells(message.received(0));
      if (when.startsWith("a silent")) {
        records();
        await pass(5000);
        assert.deepEqual(client.troubles, ["line-silent"]);
      }
      once(client, name, fits, () => leave(client));
      lose();
      await settle();
      await pass(120000);
      assert.equal(FakeSocket.all.length, 1);
      const ends = named(told, "ended").map(({ reason }) => reason);
      assert.deepEqual(ends, how === "end()" ? ["ended-by-user"] : []);
      if (how === "end()") assert.equal(told.at(-1)[0], "ended", "the last event");
    });
  }

  test(`${how} while it begins is the end: nothing is dialled`, async () => {
    const client = new InterviewClient({ audio: "pcm" });
    once(client, "state", ({ state }) => state === "connecting", () => leave(client));
    client.start({ url: "ws://example.test/ws/42", token: "a.b.c" });
    await pass(1000);
    assert.equal(FakeSocket.all.length, 0);
  });
}

test("whoever closes while the line comes back takes nothing more in", async () => {
  const { client } = await begun();
  latest().tells(message.received(0));
  records();
  await pass(5000);
  once(client, "trouble", ({ kind }) => kind === "line-silent", () => void client.close());
  latest().tells(message.transcript({ speaker: "AI", text: "Hello.", seq: 1, turn: 1 }));
  assert.deepEqual(client.turns, []);
});

test("a pause that ended while the line was away is over, and one that goes on goes on", async () => {
  for (const goesOn of [false, true]) {
    const { client, told } = await begun();
    latest().tells(message.hold({ on: true, remainingMs: 180000 }));
    latest().dies();
    await pass(1000);
    latest().opens();
    latest().tells(message.started({ resumed: true }));
    if (goesOn) latest().tells(message.hold({ on: true, remainingMs: 170000 }));
    assert.equal(client.holding, goesOn);
    assert.equal(named(told, "hold").at(-1).on, goesOn);
    await client.close();
  }
});

for (const [what, token] of [
  ["a handshake that is never answered", "a.b.c"],
  ["a token that never comes", () => new Promise(() => {})],
]) {
  test(`${what} is told as "unreachable": no interview was begun`, async () => {
    const client = new InterviewClient({ audio: "pcm" });
    const ends = [];
    client.on("ended", ({ reason }) => ends.push(reason));
    client.start({ url: "ws://example.test/ws/42", token });
    await pass(180000);
    assert.deepEqual(ends, ["unreachable"]);
    assert.ok(NOT_HELD.has(ends[0]));
  });
}
