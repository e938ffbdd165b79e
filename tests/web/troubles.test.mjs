/** Each trouble has a beginning and an end of its own; and the ears that notice them. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, mock, test } from "node:test";
import { Ear, SILENT_AFTER_MS } from "../../preppald/web/client/ear.js";
import { EchoWatch } from "../../preppald/web/client/echo.js";
import { Memory } from "../../preppald/web/client/memory.js";
import { Microphone } from "../../preppald/web/client/microphone.js";
import { LOOK_EVERY_MS, SoundClock } from "../../preppald/web/client/sound-clock.js";
import { Troubles } from "../../preppald/web/client/troubles.js";
import { Turns } from "../../preppald/web/client/turns.js";
import { asText, asVtt } from "../../preppald/web/transcript-files.js";
import { PAGE_WORDS, languageOf } from "../../preppald/web/words.js";
import { TROUBLES, WORDS, wordsIn } from "../../preppald/web/client/words.js";

beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1.8e12 }));
afterEach(() => mock.timers.reset());

test("troubles neither hide nor end one another, and the most urgent comes first", () => {
  const told = [];
  const troubles = new Troubles((kind, active) => told.push([kind, active]));
  troubles.begin("slow-connection");
  troubles.begin("microphone-muted");
  troubles.begin("microphone-muted");
  assert.deepEqual(troubles.all, ["microphone-muted", "slow-connection"]);
  troubles.end("microphone-muted");
  troubles.end("microphone-muted");
  assert.deepEqual(troubles.all, ["slow-connection"]);
  assert.deepEqual(told, [["slow-connection", true], ["microphone-muted", true], ["microphone-muted", false]]);
});

test("what is over as soon as it has happened ends by itself, each time it happens a little later", () => {
  const troubles = new Troubles(() => {});
  troubles.begin("speech-dropped");
  mock.timers.tick(9000);
  troubles.begin("speech-dropped");
  mock.timers.tick(9000);
  assert.deepEqual(troubles.all, ["speech-dropped"]);
  mock.timers.tick(1000);
  assert.deepEqual(troubles.all, []);
});

test("each language has a sentence for every name, and an application's own come first", () => {
  for (const words of Object.values(WORDS)) {
    assert.deepEqual(Object.keys(words).sort(), Object.keys(WORDS.en).sort());
    for (const sentence of Object.values(words)) assert.match(sentence, /^[A-ZÄÖÜ].*\.$/);
  }
  assert.equal(wordsIn("de-AT").full, WORDS.de.full);
  assert.equal(wordsIn("xx").full, WORDS.en.full);
  assert.equal(wordsIn("de", { full: "Später!" }).full, "Später!");
});

const CHUNK_MS = 40;
const listen = (ear, ms, chunk, turn = true) => {
  for (let at = 0; at < ms; at += CHUNK_MS) ear.hear({ lengthMs: CHUNK_MS, level: 0, zero: false, ...chunk }, turn);
};

test("P2: five seconds of digital zero in the candidate's turn are a dead microphone, until its first sound", () => {
  const ear = new Ear();
  listen(ear, SILENT_AFTER_MS - CHUNK_MS, { zero: true });
  assert.equal(ear.silent, false);
  listen(ear, CHUNK_MS, { zero: true });
  assert.equal(ear.silent, true);
  listen(ear, CHUNK_MS, { level: 0.01 });
  assert.equal(ear.silent, false);
});

test("P2: never for a quiet room, nor while it is the interviewer's turn", () => {
  const ear = new Ear();
  listen(ear, 60000, { level: 0 });
  assert.equal(ear.silent, false);
  listen(ear, 60000, { zero: true }, false);
  assert.equal(ear.silent, false);
});

test("P1: a device that mutes its microphone is told half a second later, until it unmutes; a flicker is not", () => {
  const track = Object.assign(new EventTarget(), { muted: false, stop() {} });
  const microphone = new Microphone({ getAudioTracks: () => [track], getTracks: () => [track] }, true);
  const told = [];
  microphone.ontrouble = (kind, active) => told.push([kind, active]);
  microphone.watch();
  const mute = (muted) => {
    track.muted = muted;
    track.dispatchEvent(new Event(muted ? "mute" : "unmute"));
  };
  mute(true);
  mock.timers.tick(499);
  assert.deepEqual(told, []);
  mock.timers.tick(1);
  assert.deepEqual(told, [["microphone-muted", true]]);
  mute(false);
  assert.deepEqual(told.at(-1), ["microphone-muted", false]);
  mute(true);
  mock.timers.tick(300);
  mute(false);
  mock.timers.tick(1000);
  assert.deepEqual(told.slice(2), [["microphone-muted", false]]);
  track.muted = true;
  microphone.watch();
  mock.timers.tick(500);
  assert.deepEqual(told.at(-1), ["microphone-muted", true], "also where it was muted from the start");
  microphone.close();
});

test("the ear hears a voice over the room, and neither the room nor a click", () => {
  const ear = new Ear();
  listen(ear, 4000, { level: 0.3 });
  assert.equal(ear.speaking, false, "a fan");
  listen(ear, CHUNK_MS, { level: 0.7 });
  assert.equal(ear.speaking, false, "a click");
  listen(ear, 200, { level: 0.6 });
  assert.equal(ear.speaking, true);
  listen(ear, 400, { level: 0.3 });
  assert.equal(ear.speaking, true, "a breath");
  listen(ear, 400, { level: 0.3 });
  assert.equal(ear.speaking, false);
});

/** A voice's loudness: syllables and pauses, never the same twice. */
const syllables = (seed) => (at) => Math.max(0, 0.5 + 0.3 * Math.sin((at + seed * 911) / 83) + 0.25 * Math.sin((at * (1 + seed / 7)) / 211));

/** Both meters run for `ms`; returns the time at which the interviewer was cut. */
function overheard(watch, microphone, from = 0, ms = 3000) {
  const voice = syllables(1);
  for (let at = from; at < from + ms; at += 10) {
    if (at % 50 === 0) watch.played(at, voice(at));
    if (at % 40 === 0) watch.heard(at, microphone(at, voice));
  }
  return from + ms;
}

test("P12: a loudspeaker in the microphone, half as loud and 100 ms later, is known by the second cut", () => {
  const watch = new EchoWatch();
  const echo = (at, voice) => Math.max(0, voice(at - 100) - 0.1);
  const first = overheard(watch, echo);
  assert.ok(watch.likeness(first) > 0.9, String(watch.likeness(first)));
  assert.equal(watch.cut(first), false);
  assert.equal(watch.cut(overheard(watch, echo, 10000)), true);
});

test("P12: a candidate who speaks over the interviewer is no echo, however often", () => {
  const watch = new EchoWatch();
  for (let i = 0; i < 10; i += 1) {
    const own = syllables(3 + i);
    const until = (i + 1) * 10000 + 3000;
    const cutAt = overheard(watch, (at) => (at > until - 700 ? own(at) : 0.05), (i + 1) * 10000);
    assert.ok(watch.likeness(cutAt) < 0.75, String(watch.likeness(cutAt)));
    assert.equal(watch.cut(cutAt), false);
  }
});

test("P5: a clock that stands while it says that it runs is noticed within three seconds", () => {
  const clock = new SoundClock();
  let now = 0;
  for (; now < 5000; now += LOOK_EVERY_MS) assert.equal(clock.stands(now, now / 1000, true), false);
  const stoodAt = now;
  while (!clock.stands(now, 5, true)) now += LOOK_EVERY_MS;
  assert.ok(now - stoodAt <= 3000, `${now - stoodAt} ms`);
  assert.equal(clock.stands(now + LOOK_EVERY_MS, 5.5, true), false);
});

test("a blocked page, and a paused sound, are no clock that stands", () => {
  const clock = new SoundClock();
  clock.stands(0, 1, true);
  assert.equal(clock.stands(20000, 1, true), false);
  for (let now = 20500; now < 40000; now += LOOK_EVERY_MS) assert.equal(clock.stands(now, 1, false), false);
});

test("a cut turn keeps what was heard of it, in code points", () => {
  const turns = new Turns();
  const fragment = { speaker: "AI", turnComplete: false, seq: 1, turn: 4, beginMs: 1000, endMs: 0 };
  turns.add({ ...fragment, text: "Grüß 🎤 Gott" });
  turns.add({ speaker: "USER", text: "Wait", turnComplete: false, seq: 2, turn: 5, beginMs: 2000, endMs: 0 });
  const cut = turns.cut(true, { turn: 4, heardCodePoints: 6 });
  assert.equal(cut.text.slice(0, cut.heardLength), "Grüß 🎤");
  assert.equal(cut.beginMs, 1000);
  assert.equal(turns.interviewerOpen, false);
});

for (const [text, codePoints, heard] of [
  ["Take your time 👩‍💻 and tell me", 18, "Take your time 👩‍💻"],
  ["🎤🎤🎤 ready?", 2, "🎤🎤"],
  ["เรามาพูดคุยกัน", 7, "เรามาพู"],
  ["我们来谈谈你的𠮷项目。然后呢?", 8, "我们来谈谈你的𠮷"],
  ["نتحدث عن مشروعك", 8, "نتحدث عن"],
  ["Tell me", 0, ""],
  ["Tell me", 99, "Tell me"],
  // Gemini begins its words with a blank, which no page shows and the server counts.
  [" Tell me more", 5, "Tell"],
  ["我们来谈谈", 3, "我们来"],
]) {
  test(`of "${text}" so much was heard: "${heard}"`, () => {
    const turns = new Turns();
    turns.add({ speaker: "AI", text, turnComplete: false, seq: 1, turn: 1 });
    const { text: shown, heardLength } = turns.cut(true, { turn: 1, heardCodePoints: codePoints });
    assert.equal(shown.slice(0, heardLength), heard);
  });
}

test("words that come behind a cut were heard, as far as the server says", () => {
  const turns = new Turns();
  turns.add({ speaker: "AI", text: " Tell", turnComplete: false, seq: 1, turn: 1 });
  turns.cut(true, { turn: 1, heardCodePoints: 5 });
  turns.add({ speaker: "AI", text: "", turnComplete: true, seq: 2, turn: 1, heardCodePoints: 5 });
  const turn = turns.add({ speaker: "AI", text: " me more of it", turnComplete: false, seq: 3, turn: 1, heardCodePoints: 13 });
  assert.equal(turn.text.slice(0, turn.heardLength), "Tell me more");
});

test("a turn's times are null until they are said", () => {
  const turns = new Turns();
  const { beginMs, endMs } = turns.add({ speaker: "AI", text: "Hello", turnComplete: false, seq: 1, turn: 1 });
  assert.deepEqual([beginMs, endMs], [null, null]);
  const turn = turns.add({ speaker: "AI", text: ".", turnComplete: true, seq: 2, turn: 1, beginMs: 500, endMs: 900 });
  assert.deepEqual([turn.beginMs, turn.endMs], [500, 900]);
});

test("a turn that was cut before its first word came has its cut, and what was heard of it, from that word on", () => {
  for (const [told, heard] of [[0, "Tell"], [12, "Tell me more"]]) {
    const turns = new Turns();
    turns.add({ speaker: "AI", text: "Hello.", turnComplete: true, seq: 1, turn: 1 });
    assert.equal(turns.cut(true, { turn: 2, heardCodePoints: 4 }), null);
    const turn = turns.add({ speaker: "AI", text: "Tell me more of it", turnComplete: false, seq: 2, turn: 2, heardCodePoints: told });
    assert.equal(turn.cut, true);
    assert.equal(turn.text.slice(0, turn.heardLength), heard);
    assert.equal(turns.all[0].cut, false);
    assert.equal(turns.interviewerOpen, false);
  }
});

test("after a reload a cut turn is known by its words alone; a reply that broke off by itself is not cut", () => {
  const turns = new Turns();
  turns.add({ speaker: "AI", text: "Tell me 🎤 more", turnComplete: false, seq: 1, turn: 1 });
  turns.add({ speaker: "AI", text: "", turnComplete: true, seq: 2, turn: 1, heardCodePoints: 9 });
  turns.add({ speaker: "AI", text: "Tell", turnComplete: false, seq: 3, turn: 2 });
  turns.add({ speaker: "AI", text: "", turnComplete: true, seq: 4, turn: 2, heardCodePoints: 4 });
  assert.deepEqual(turns.all.map(({ cut }) => cut), [true, false]);
  assert.equal(turns.all[0].text.slice(0, turns.all[0].heardLength), "Tell me 🎤");
});

test("blanks that came before the first word count, too", () => {
  const turns = new Turns();
  assert.equal(turns.add({ speaker: "AI", text: " \n", turnComplete: false, seq: 1, turn: 1 }), null);
  turns.add({ speaker: "AI", text: " 好的。请说", turnComplete: false, seq: 2, turn: 1 });
  const { text, heardLength } = turns.cut(true, { turn: 1, heardCodePoints: 6 });
  assert.equal(text.slice(0, heardLength), "好的。");
});

test("a reply of a new number is a new turn, though the one before was never closed", () => {
  const turns = new Turns();
  turns.add({ speaker: "AI", text: "One", turnComplete: false, seq: 1, turn: 1 });
  turns.add({ speaker: "AI", text: "Two", turnComplete: false, seq: 2, turn: 3 });
  assert.deepEqual(turns.all.map(({ text }) => text), ["One", "Two"]);
});

/** As much of Storage as is used. */
function storage() {
  const items = new Map();
  return {
    get length() {
      return items.size;
    },
    key: (i) => [...items.keys()][i] ?? null,
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => items.set(key, value),
    removeItem: (key) => items.delete(key),
  };
}

test("a kept interview is offered within its grace, gone after it, and forgotten at its end", () => {
  const kept = storage();
  kept.setItem("preppal-interview:broken", "{");
  kept.setItem("unrelated", "1");
  const memory = new Memory(kept);
  memory.keep({ interviewId: "1", url: "/ws/1", token: "a.b.c" }, 60000);
  mock.timers.tick(1000);
  memory.keep({ interviewId: "2", url: "/ws/2", token: undefined }, 60000);
  assert.deepEqual(memory.kept(), [{ interviewId: "2", url: "/ws/2", token: undefined }, { interviewId: "1", url: "/ws/1", token: "a.b.c" }]);
  memory.forget("2");
  mock.timers.tick(63000);
  assert.deepEqual(memory.kept().map(({ interviewId }) => interviewId), ["1"]);
  mock.timers.tick(2000);
  assert.deepEqual(memory.kept(), []);
  assert.equal(kept.length, 1, "only what is not ours is left");
});

test("a trouble's urgency is its place among the words", () => assert.equal(Object.keys(TROUBLES)[0], "audio-paused"));

test("the page has each of its words in each language", () => {
  for (const words of Object.values(PAGE_WORDS)) assert.deepEqual(Object.keys(words).sort(), Object.keys(PAGE_WORDS.en).sort());
  const document = readFileSync(new URL("../../preppald/web/index.html", import.meta.url), "utf8");
  const named = [...document.matchAll(/data-(?:word|label|placeholder)="(\w+)"/g)].map(([, name]) => name);
  assert.ok(named.length > 30);
  for (const name of named) assert.ok(name in PAGE_WORDS.en, name);
  assert.equal(languageOf("", ["fr-FR", "de-AT", "en"]), "de");
  assert.equal(languageOf("?lang=en", ["de"]), "en");
  assert.equal(languageOf("", []), "en");
});

test("a transcript is kept as text and as WebVTT, whatever stands in it", () => {
  const names = { USER: "You", AI: "Interviewer" };
  const turns = [
    { speaker: "AI", text: "Hello <b>&\n\nwelcome --> ", timestampMs: 5000, cut: false },
    { speaker: "USER", text: "Hi.", timestampMs: 3668000, cut: false },
  ];
  assert.equal(asText(turns, names), "Interviewer: Hello <b>&\n\nwelcome -->\n\nYou: Hi.\n");
  assert.equal(
    asVtt(turns, names),
    "WEBVTT\n\n00:00:00.000 --> 00:00:30.000\n<v Interviewer>Hello &lt;b&gt;&amp;\nwelcome --&gt;\n\n01:01:03.000 --> 01:01:33.000\n<v You>Hi.\n",
  );
});
