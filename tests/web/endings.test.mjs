/** Which words, which retries, and how turns are put together. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ENDINGS, RETRY_BUDGET_MS, TROUBLES, endingOf, explain, retryWaitMs, worthRetrying } from "../../preppald/web/client/endings.js";
import { pcmOfWav } from "../../preppald/web/sample-answer.js";
import { Turns } from "../../preppald/web/client/turns.js";
import { EndReason } from "../../preppald/web/client/wire.js";

// Both conventions of close codes.
for (const [code, reason, sessionEnded, ending] of [
  [1000, "Interview ended by user", EndReason.USER_INITIATED, "ended-by-user"],
  [4001, "Interview ended by user", null, "ended-by-user"],
  [1000, "Session timeout (1 hour limit)", EndReason.TIMEOUT, "time-is-up"],
  [4002, "Session timeout (1 hour limit)", null, "time-is-up"],
  [1000, "AI ended session", EndReason.GEMINI_ENDED, "interviewer-finished"],
  [4003, "", null, "interviewer-finished"],
  [1000, "Interview ended by operator", EndReason.UNSPECIFIED, "ended-by-operator"],
  [4006, "", EndReason.UNSPECIFIED, "ended-by-operator"],
  [4002, "Failed to connect to AI service", null, "ai-unreachable"],
  [4004, "Failed to connect to AI service", null, "ai-unreachable"],
  [4002, "AI service error", null, "ai-failed"],
  [4002, "", null, "ai-failed"],
  [4004, "", null, "ai-failed"],
  [4002, "", EndReason.TIMEOUT, "time-is-up"],
  [1000, "Session token limit", EndReason.TIMEOUT, "time-is-up"],
  [4409, "Replaced by a newer connection", null, "replaced"],
  [1012, "", EndReason.UNSPECIFIED, "draining"],
  [4410, "Interview already ended", null, "over-meanwhile"],
  [1008, "", null, "protocol"],
  [1011, "", null, "server-error"],
  [1006, "", null, "connection-lost"],
  [3999, "", null, "ended"],
]) {
  test(`${code} "${reason}" with SessionEnded ${sessionEnded} is ${ending}`, () => {
    assert.equal(endingOf(code, reason, sessionEnded), ending);
    assert.match(explain(ending), /^[A-Z].*\.$/);
  });
}

test("explain has words for endings and for troubles", () => {
  assert.match(explain("replaced"), /another tab/);
  assert.match(explain("microphone-denied"), /microphone/);
});

test("the package's README tells of every ending and trouble", () => {
  const readme = readFileSync(new URL("../../preppald/web/client/README.md", import.meta.url), "utf8");
  const told = [...readme.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, name]) => name);
  const named = [...Object.keys(ENDINGS), ...Object.keys(TROUBLES)];
  for (const name of named) assert.ok(told.includes(name), name);
});

test("each event has the details in its type that the package's README tells of", () => {
  const client = new URL("../../preppald/web/client/", import.meta.url);
  const types = readFileSync(new URL("events.js", client), "utf8");
  const typed = [...types.matchAll(/^ \* @property \{\{(.*)\}\} (\w+)/gm)].map(([, shape, name]) => [name, [...shape.matchAll(/(\w+): /g)].map(([, key]) => key).sort()]);
  assert.ok(typed.length > 10);
  const readme = readFileSync(new URL("README.md", client), "utf8");
  const events = readme.slice(readme.indexOf("| event | detail |"));
  for (const [name, keys] of typed) {
    const [, detail] = events.match(new RegExp(`^\\| \`${name}\` \\| (.*?) \\|`, "m"));
    // A name stands before its values, and the values before a semicolon.
    const parts = detail.replace(/\(.*?\)/g, "").split(";").flatMap((part) => part.split(":")[0].split(","));
    assert.deepEqual(parts.flatMap((part) => part.trim().match(/^`(\w+)`/)?.[1] ?? []).sort(), keys, name);
  }
});

const LIVE = { sessionEnded: false, endedOnError: false };

test("a lost connection is dialled again; a verdict is not", () => {
  for (const code of [1001, 1005, 1006, 1011, 1012, 1013]) assert.ok(worthRetrying(code, LIVE), String(code));
  for (const code of [1000, 1008, 1009, 4001, 4002, 4003, 4004, 4409]) assert.ok(!worthRetrying(code, LIVE), String(code));
});

test("after SessionEnded nothing is dialled again", () => {
  for (const code of [1001, 1006, 1012]) assert.ok(!worthRetrying(code, { ...LIVE, sessionEnded: true }));
});

test("1011 after an ErrorResponse is the server's own verdict, 1006 after one is not", () => {
  assert.ok(!worthRetrying(1011, { ...LIVE, endedOnError: true }));
  assert.ok(worthRetrying(1006, { ...LIVE, endedOnError: true }));
});

test("the tries spread, stay within the minute, and then stop", () => {
  let elapsed = 0;
  let attempt = 0;
  for (let wait = retryWaitMs(0, 0, 1); wait !== null; wait = retryWaitMs(attempt, elapsed, 1)) {
    assert.ok(wait > 0 && wait <= 5000);
    elapsed += wait;
    attempt += 1;
  }
  assert.equal(elapsed, RETRY_BUDGET_MS);
  assert.ok(attempt >= 12 && attempt < 25, String(attempt));
  assert.ok(retryWaitMs(0, 0, 0) < retryWaitMs(0, 0, 1), "jitter");
});

const update = (seq, speaker, text, turnComplete = false) => ({ seq, speaker, text, turnComplete });

test("fragments append to their speaker's open turn, also when the two interleave", () => {
  const turns = new Turns();
  turns.add(update(1, "AI", "Tell me"));
  turns.add(update(2, "USER", " I"));
  turns.add(update(3, "AI", " more.", true));
  turns.add(update(4, "USER", " did.", true));
  turns.add(update(5, "AI", "Good."));
  assert.deepEqual(turns.all.map(({ speaker, text, complete }) => [speaker, text, complete]), [
    ["AI", "Tell me more.", true],
    ["USER", "I did.", true],
    ["AI", "Good.", false],
  ]);
});

test("the late rest of a turn goes where the server says, behind whatever was said since", () => {
  const turns = new Turns();
  turns.add({ ...update(1, "AI", "What was your ", true), turn: 1 });
  turns.add({ ...update(2, "USER", "The bridge"), turn: 2 });
  assert.equal(turns.add({ ...update(3, "AI", "hardest project?"), turn: 1 }), turns.all[0]);
  turns.add({ ...update(4, "AI", "How many people?"), turn: 3 });
  turns.add({ ...update(5, "USER", " in Oslo.", true), turn: 2 });
  assert.deepEqual(turns.all.map(({ text }) => text), ["What was your hardest project?", "The bridge in Oslo.", "How many people?"]);
});

test("what is replayed after a reconnection is not heard twice", () => {
  const turns = new Turns();
  turns.add(update(1, "AI", "One"));
  turns.add(update(2, "AI", " two"));
  assert.equal(turns.add(update(2, "AI", " two")), null);
  turns.add(update(3, "AI", " three", true));
  assert.equal(turns.all[0].text, "One two three");
  assert.equal(turns.seq, 3);
});

test("a server older than seq never repeats itself", () => {
  const turns = new Turns();
  turns.add(update(0, "AI", "a"));
  turns.add(update(0, "AI", "a"));
  assert.equal(turns.all[0].text, "aa");
});

test("the end of a turn without text opens none", () => assert.equal(new Turns().add(update(1, "AI", "", true)), null));

test("barge-in cuts the open turn, or a complete one that was still being heard", () => {
  const turns = new Turns();
  assert.equal(turns.cut(true), null);
  turns.add(update(1, "AI", "Long", true));
  assert.equal(turns.cut(false), null);
  assert.equal(turns.cut(true).cut, true);
  turns.add(update(2, "AI", "Longer"));
  assert.equal(turns.cut(false).text, "Longer");
});

/** A WAV with a chunk before `data`, as editors write them. */
function wav({ rate = 16000, claimed = 4 } = {}) {
  const file = Buffer.alloc(60);
  file.write("RIFF\0\0\0\0WAVEfmt ");
  file.writeUInt32LE(16, 16);
  [1, 1].forEach((value, i) => file.writeUInt16LE(value, 20 + 2 * i));
  file.writeUInt32LE(rate, 24);
  file.writeUInt16LE(16, 34);
  file.write("LIST", 36);
  file.writeUInt32LE(3, 40);
  file.write("data", 48);
  file.writeUInt32LE(claimed, 52);
  file.writeInt16LE(-7, 56);
  file.writeInt16LE(9, 58);
  return Uint8Array.from(file).buffer;
}

test("the sample answer is read past foreign chunks and false lengths; other formats are refused", () => {
  assert.deepEqual([...pcmOfWav(wav())], [-7, 9]);
  assert.deepEqual([...pcmOfWav(wav({ claimed: 0xffffffff }))], [-7, 9]);
  assert.throws(() => pcmOfWav(wav({ rate: 44100 })), /44100 Hz/);
  assert.throws(() => pcmOfWav(new ArrayBuffer(3)), /no WAV/);
});
