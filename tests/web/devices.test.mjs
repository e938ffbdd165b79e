/** Microphones that are slow to open, an application's own stream, the volume, recordings. */

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { AudioError, InterviewClient } from "../../preppald/web/client/preppal-client.js";
import { settle } from "./scripted-line.mjs";
import { FakeContext, FakeTrack, asked, records, streamOf } from "./scripted-sound.mjs";

async function prepared() {
  const client = new InterviewClient();
  await client.prepare();
  return client;
}

/** Choose microphones, one after the other; the browser is asked for each, and none opens yet. */
async function choose(client, ...deviceIds) {
  const chosen = [];
  for (const deviceId of deviceIds) {
    chosen.push(client.openMicrophone({ deviceId }));
    await settle();
  }
  return chosen;
}

test("the microphone that was chosen last is heard, whichever opens last", async () => {
  const client = await prepared();
  const chosen = await choose(client, "slow", "swift");
  await asked[1].opens();
  await asked[0].opens();
  await Promise.all(chosen);
  assert.equal(client.microphoneId, "swift");
  assert.deepEqual(asked.map(({ track }) => track.stopped), [true, false]);
});

test("a microphone that fails takes nothing from the one that was chosen before it", async () => {
  const client = await prepared();
  const [slow, busy] = await choose(client, "slow", "busy");
  const refusal = assert.rejects(busy, (problem) => problem instanceof AudioError && problem.kind === "microphone-busy");
  await asked[1].fails("NotReadableError");
  await refusal;
  await asked[0].opens();
  await slow;
  assert.equal(client.microphoneId, "slow");
});

test("a microphone that is no longer wanted fails unheard", async () => {
  const client = await prepared();
  const [slow, swift] = await choose(client, "slow", "swift");
  await asked[1].opens();
  await asked[0].fails("NotReadableError");
  await Promise.all([slow, swift]);
  assert.equal(client.microphoneId, "swift");
});

test("closeMicrophone() is for the one that is opening, too, also before the sound is there", async () => {
  for (const ready of [true, false]) {
    asked.length = 0;
    const client = ready ? await prepared() : new InterviewClient();
    const opening = client.openMicrophone();
    if (ready) await settle();
    client.closeMicrophone();
    await settle();
    await asked[0]?.opens();
    await opening;
    assert.equal(client.hasMicrophone, false);
    assert.ok(asked.every(({ track }) => track.stopped));
  }
});

test("a microphone that opens behind close() is closed, and whoever waits for it is told", async () => {
  const client = await prepared();
  const [opening] = await choose(client, "slow");
  const refusal = assert.rejects(opening, (problem) => problem instanceof AudioError && problem.kind === "interview-over");
  await client.close();
  await asked[0].opens();
  await refusal;
  assert.equal(asked[0].track.stopped, true);
});

test("an application's own stream keeps its handlers and its tracks, and is still watched", async () => {
  const client = await prepared();
  const [voice, camera] = [new FakeTrack("mine"), new FakeTrack("mine", "video")];
  const own = () => {};
  for (const track of [voice, camera]) track.onended = track.onmute = track.onunmute = own;
  await client.openMicrophone({ stream: streamOf(voice, camera) });
  voice.muted = true;
  voice.dispatchEvent(new Event("mute"));
  mock.timers.tick(500);
  assert.deepEqual(client.troubles, ["microphone-muted"]);
  await client.close();
  for (const track of [voice, camera]) {
    assert.deepEqual([track.onended, track.onmute, track.onunmute, track.stopped], [own, own, own, false]);
  }
});

test("a volume that is no number changes nothing; one that is beyond is the nearest", async () => {
  for (const nothing of [undefined, null, NaN, "loud"]) {
    FakeContext.all = [];
    const client = new InterviewClient();
    client.volume = 0.5;
    client.volume = nothing;
    assert.equal(client.volume, 0.5);
    await client.prepare();
    client.volume = nothing;
    await client.close();
    assert.deepEqual(FakeContext.all.map(({ state }) => state), ["closed"]);
  }
  const client = new InterviewClient();
  for (const [asked, is] of [["0.3", 0.3], [7, 1], [-1, 0]]) {
    client.volume = asked;
    assert.equal(client.volume, is);
  }
});

test("a recording that is cut short, by another or by the end, has what was heard until then", async () => {
  const client = await prepared();
  const piece = Int16Array.from({ length: 640 }, (_, i) => i);
  const first = client.record(200);
  records(piece);
  const second = client.record(80);
  assert.deepEqual(await first, piece);
  records(piece);
  records(piece);
  assert.equal((await second).length, 1280);
  const third = client.record(5000);
  records(piece);
  await client.close();
  assert.deepEqual(await third, piece);
  assert.equal((await client.record(5000)).length, 0, "behind close() there is nothing to record");
});
