/** The candidate's sound over lines that are slow, dead, blocked or old, on a clock that the test moves. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { HELD_MS, MAX_LAG_MS, Uplink } from "../../preppald/web/client/uplink.js";

const CHUNK_MS = 40;
const chunk = () => new Uint8Array(CHUNK_MS * 32);

/**
 * Speak for a while over a line of so many bytes a second, whose server reports on arrival, once a second.
 * @returns how much of it arrived
 */
function speak(uplink, seconds, { bytesPerSecond, from = 0, tripMs = 50, held = [], packed = false, every = () => {} }) {
  const line = held.map((pcm) => ({ bytes: pcm.length }));
  let room = 0;
  let arrivedMs = 0;
  let reportedAt = -Infinity;
  const reports = [];
  for (let now = from; now < from + seconds * 1000; now += 10) {
    if ((now - from) % CHUNK_MS === 0) uplink.put(chunk(), now);
    for (const pcm of uplink.take(now, 0, packed)) line.push({ bytes: pcm.length });
    const speed = typeof bytesPerSecond === "function" ? bytesPerSecond(now) : bytesPerSecond;
    room = Math.min(room + speed / 100, speed / 10);
    every(now);
    while (line.length > 0 && line[0].bytes <= room) {
      room -= line[0].bytes;
      arrivedMs += CHUNK_MS;
      line.shift();
      if (now - reportedAt >= 1000) {
        reportedAt = now;
        reports.push({ at: now + tripMs, audioMs: arrivedMs });
      }
    }
    while (reports.length > 0 && reports[0].at <= now) uplink.received(reports.shift().audioMs, now);
  }
  return { arrivedMs };
}

test("P7: over a line of 24 KB/s the interviewer hears the candidate at most three seconds late, and the rest is counted", () => {
  const uplink = new Uplink();
  uplink.opened(0);
  const { arrivedMs } = speak(uplink, 150, { bytesPerSecond: 24000 });
  assert.ok(uplink.slow);
  assert.ok(uplink.lagMs <= MAX_LAG_MS + 200, `${uplink.lagMs} ms`);
  // 24 of 32: three quarters arrive, a quarter is dropped.
  assert.ok(arrivedMs > 0.7 * 150000, `${arrivedMs} ms arrived`);
  assert.ok(Math.abs(uplink.droppedMs + arrivedMs - 150000) < MAX_LAG_MS + 200, `${uplink.droppedMs} ms dropped`);
});

test("a line that recovers is called slow no longer, and nothing more is dropped", () => {
  const uplink = new Uplink();
  uplink.opened(0);
  let droppedMs = 0;
  speak(uplink, 60, { bytesPerSecond: (now) => (now < 30000 ? 24000 : 64000), every: (now) => now < 35000 && (droppedMs = uplink.droppedMs) });
  assert.ok(droppedMs > 0);
  assert.equal(uplink.droppedMs, droppedMs);
  assert.equal(uplink.slow, false);
});

test("a healthy line with a round trip of a second loses nothing", () => {
  const uplink = new Uplink();
  uplink.opened(0);
  const { arrivedMs } = speak(uplink, 60, { bytesPerSecond: 64000, tripMs: 500 });
  assert.equal(uplink.droppedMs, 0);
  assert.ok(arrivedMs > 58000);
});

test("a line that stands for a second whenever a packet is lost, and has room, loses nothing", () => {
  const uplink = new Uplink();
  uplink.opened(0);
  const { arrivedMs } = speak(uplink, 120, { bytesPerSecond: (now) => (now % 3700 < 1000 ? 0 : 64000), tripMs: 600, packed: true });
  assert.equal(uplink.droppedMs, 0);
  assert.ok(arrivedMs > 117000, `${arrivedMs} ms arrived`);
});

test("P6: of what a blocked page delivers at once, only the newest seconds are sent; the rest is counted", () => {
  const uplink = new Uplink();
  uplink.opened(0);
  for (let at = 0; at < 20000; at += CHUNK_MS) uplink.put(chunk(), at);
  const sent = uplink.take(20000, 0);
  assert.ok(sent.length * CHUNK_MS <= MAX_LAG_MS);
  assert.ok(uplink.droppedMs >= 20000 - MAX_LAG_MS - CHUNK_MS, `${uplink.droppedMs}`);
});

test("what was said during a gap goes at once, and does not make the line slow", () => {
  const uplink = new Uplink();
  for (let at = 0; at < 20000; at += CHUNK_MS) {
    uplink.put(chunk(), at);
    uplink.take(at, 0);
  }
  const held = uplink.opened(20000);
  assert.equal(held.length * CHUNK_MS, HELD_MS);
  const droppedInGap = uplink.droppedMs;
  speak(uplink, 20, { bytesPerSecond: 64000, from: 20000, held });
  assert.equal(uplink.droppedMs, droppedInGap);
  assert.equal(uplink.slow, false);
});

test("silence that is dropped is not speech that was lost", () => {
  const uplink = new Uplink();
  uplink.opened(0);
  for (let at = 0; at < 10000; at += CHUNK_MS) uplink.put(chunk(), at, false);
  uplink.take(10000, 0);
  assert.ok(uplink.droppedMs > 0);
  assert.equal(uplink.droppedSpeechMs, 0);
});

test("with a server too old to report, bufferedAmount holds the sound back", () => {
  const uplink = new Uplink();
  uplink.opened(0);
  uplink.put(chunk(), 0);
  assert.equal(uplink.take(0, 0).length, 1);
  uplink.put(chunk(), 40);
  assert.equal(uplink.take(40, 2000 * 32).length, 0);
  assert.equal(uplink.unconfirmed(), false);
});
