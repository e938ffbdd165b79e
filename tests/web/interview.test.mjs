/** Whole interviews in the client, over a line and with a sound that do what the test says. */

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { InterviewClient } from "../../preppald/web/client/preppal-client.js";
import { FakeSocket, latest, line, message, refuseAll, settle } from "./scripted-line.mjs";
import { FakeContext, plays, recorder } from "./scripted-sound.mjs";

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
