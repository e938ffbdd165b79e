/** What a browser makes of Opus: scenes for any engine, each given the page by `goto`, `evaluate` and `until`. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

const VOICE_RATE_HZ = 24000;
const WAV_HEAD_BYTES = 44;

/** What the simulated interviewer says first, as PCM16 at 24 kHz. */
const GREETING = new URL("../../preppald/simulator/replies/greeting.wav", import.meta.url);

/** After so many messages in one codec the page asks for the other: half a second of the sentence each. */
const MESSAGES = 12;

/** The end of a stream of packets: what the coder holds back, 6.5 ms, filled up with silence to a whole packet of 20 ms. */
const FILLED_UP_SAMPLES = 0.0265 * VOICE_RATE_HZ;

/** A millisecond: the coder's own delay of 6.5 is dropped, and no waveform comes out as it went in. */
const MOVED_SAMPLES = 24;
const LIKE = 0.85;
const SEARCHED_SAMPLES = 48;

/**
 * In the page, before an interview in Opus: keep what the player is given, in `played`, and how each message came, in
 * `ways`, with its sound where it is PCM; and ask for PCM, and for Opus again, in the middle of the first sentence.
 */
const SWITCH_DOWNLINK = `(async () => {
  const { Codec, decodeServerMessage, encodePrefer } = await import("/client/wire.js");
  globalThis.played = [];
  globalThis.ways = [];
  const post = MessagePort.prototype.postMessage;
  MessagePort.prototype.postMessage = function (order, ...given) {
    if (order?.kind === "play") played.push(order.pcm.slice());
    return post.call(this, order, ...given);
  };
  globalThis.WebSocket = class extends WebSocket {
    constructor(...given) {
      super(...given);
      const asked = new Set();
      this.addEventListener("message", ({ data }) => {
        const message = decodeServerMessage(data);
        if (message?.kind !== "audioResponse") return;
        const way = message.packets.length > 0 ? "opus" : "pcm";
        if (ways.at(-1)?.way !== way) ways.push({ way, messages: 0, pcm: [] });
        ways.at(-1).messages += 1;
        if (way === "pcm") ways.at(-1).pcm.push(...new Int16Array(message.audioContent.slice().buffer));
        const other = way === "opus" ? "PCM" : "OPUS";
        if (ways.at(-1).messages < ${MESSAGES} || asked.has(other) || (other === "OPUS" && !asked.has("PCM"))) return;
        asked.add(other);
        this.send(encodePrefer(Codec[other]));
      });
    }
  };
})()`;

/** How like two sounds are: 1 where they are the same, whatever their loudness. */
function likeness(one, other) {
  let product = 0, a = 0, b = 0;
  for (let i = 0; i < one.length; i += 1) {
    product += one[i] * (other[i] ?? 0);
    a += one[i] * one[i];
    b += (other[i] ?? 0) * (other[i] ?? 0);
  }
  return product / Math.sqrt(a * b);
}

/** Where a sound is found in another, sample by sample. */
function find(run, sound, from) {
  for (let at = from; at <= sound.length - run.length; at += 1) {
    let i = 0;
    while (i < run.length && sound[at + i] === run[i]) i += 1;
    if (i === run.length) return at;
  }
  throw new Error(`${run.length} samples of PCM are nowhere behind ${from}`);
}

/**
 * Find each run of PCM where it was said and where it was heard, sample by sample, and compare what is between them.
 * @param {Int16Array} original
 * @param {Int16Array} heard
 * @param {Int16Array[]} runs
 * @returns {{samples: number, more: number, moved: number, like: number}[]} of each run of packets; more: samples that were
 *   heard and not said
 */
function compare(original, heard, runs) {
  const found = [];
  let said = 0, at = 0;
  const between = (saidEnd, heardEnd) => {
    const part = original.subarray(said, saidEnd);
    if (part.length > 0 || heardEnd > at) {
      let best = { moved: 0, like: -1 };
      for (let moved = -SEARCHED_SAMPLES; moved <= SEARCHED_SAMPLES; moved += 1) {
        const like = likeness(part, heard.subarray(Math.max(0, at + moved), at + moved + part.length));
        if (like > best.like) best = { moved, like };
      }
      found.push({ samples: part.length, more: heardEnd - at - part.length, ...best });
    }
  };
  for (const run of runs) {
    const saidAt = find(run, original, said);
    const heardAt = find(run, heard, at);
    between(saidAt, heardAt);
    said = saidAt + run.length;
    at = heardAt + run.length;
  }
  between(original.length, heard.length);
  return found;
}

/**
 * In the page: two streams of the worker with PCM between them, 2.5 s of a voice-like sweep at 16 kHz in chunks of 40 ms,
 * encoded and decoded; how long the sound is at the end, and how like it is to what went in.
 */
const ROUND_TRIP = `(async () => {
  const worker = new Worker("client/opus-worker.js");
  const orders = [];
  const answers = [];
  let news = () => {};
  worker.onmessage = ({ data }) => { answers.push(data); news(); };
  const until = async (done) => { while (!done()) await new Promise((resolve) => { news = resolve; }); };
  worker.postMessage({ kind: "test" });
  await until(() => answers.length > 0);
  if (!answers[0].supported) return { supported: false };
  const rate = 16000;
  const original = Float32Array.from({ length: rate * 2.5 }, (_, i) => {
    const t = i / rate;
    return 0.3 * Math.sin(2 * Math.PI * (200 * t + 60 * t * t)) * (0.6 + 0.4 * Math.sin(2 * Math.PI * 3 * t));
  });
  const pcm = Int16Array.from(original, (sample) => Math.round(sample * 32767));
  const streams = [];
  for (const [from, to] of [[0, 1], [1, 2.5]]) {
    const before = answers.length;
    for (let at = from * rate; at < to * rate; at += 640) worker.postMessage({ kind: "encode", pcm: pcm.slice(at, at + 640) });
    worker.postMessage({ kind: "finish" });
    await until(() => answers.slice(before).some(({ kind }) => kind === "finished" || kind === "failed"));
    streams.push(answers.slice(before).flatMap((answer) => answer.packets ?? []));
  }
  const before = answers.length;
  for (const packets of streams) {
    worker.postMessage({ kind: "decode", packets });
    worker.postMessage({ kind: "play", pcm: new Int16Array(0) });
  }
  await until(() => answers.slice(before).filter(({ kind, pcm }) => kind === "failed" || (kind === "voice" && pcm.length === 0)).length >= 2);
  const heard = answers.slice(before).flatMap(({ pcm }) => [...pcm ?? []]);
  const failed = answers.filter(({ kind }) => kind === "failed").map(({ words }) => words);
  const at24 = Array.from({ length: 24000 * 2.5 }, (_, i) => original[Math.floor((i * 2) / 3)] * 32767);
  // The second stream may lie a packet's rest later.
  const likeness = (shift, from, to) => {
    let product = 0, a = 0, b = 0;
    for (let i = from; i < to; i += 1) { const x = heard[i + shift] ?? 0, y = at24[i]; product += x * y; a += x * x; b += y * y; }
    return product / Math.sqrt(a * b);
  };
  const best = (from, to, most) => {
    let found = [0, -1];
    for (let shift = -48; shift <= most; shift += 1) { const like = likeness(shift, from, to); if (like > found[1]) found = [shift, like]; }
    return found;
  };
  worker.terminate();
  return {
    supported: true, failed, seconds: heard.length / 24000, bytes: streams.flat().reduce((sum, { length }) => sum + length, 0),
    first: best(100, 23900, 48), second: best(24100, 59900, 2000),
  };
})()`;

export const OPUS_SCENES = {
  async "Opus: through this browser's coders, a new stream after PCM, and nothing is lost"(page, origin) {
    await page.goto(`${origin}/`);
    const found = await page.evaluate(ROUND_TRIP);
    assert.equal(found.supported, true);
    assert.deepEqual(found.failed, []);
    console.log(`     ${JSON.stringify(found)}`);
    assert.ok(found.seconds >= 2.5 && found.seconds < 2.5 + 2 * 0.07, `${found.seconds} s`);
    assert.ok(Math.abs(found.first[0]) <= 24, `it is ${found.first[0]} samples late`);
    assert.ok(found.first[1] > 0.9 && found.second[1] > 0.9, `likeness ${found.first[1]}, ${found.second[1]}`);
    assert.ok(found.bytes < 2.5 * 4500, `${found.bytes} bytes`);
  },
  async "Opus: the interviewer's voice changes to it and back in mid-sentence, and nothing is lost"(page, _origin, calmOrigin) {
    const wav = readFileSync(GREETING);
    const original = new Int16Array(wav.buffer.slice(wav.byteOffset + WAV_HEAD_BYTES, wav.byteOffset + wav.length));
    await page.goto(`${calmOrigin}/?audio=opus`);
    await page.evaluate(SWITCH_DOWNLINK);
    await page.evaluate("document.getElementById('start-silent').click()");
    await page.until("preppalDemo.transcript[0]?.complete && preppalDemo.state === 'listening'");
    const ways = await page.evaluate("ways");
    // The first of it is PCM where the browser's coders are not loaded yet.
    const names = ways.map(({ way }) => way).join();
    assert.match(names, /^(pcm,)?opus,pcm,opus$/);
    const heard = Int16Array.from(await page.evaluate("played.flatMap((pcm) => [...pcm])"));
    const found = compare(original, heard, ways.filter(({ way }) => way === "pcm").map(({ pcm }) => Int16Array.from(pcm)));
    console.log(`     ${names}; ${JSON.stringify(found)}`);
    assert.equal(found.length, 2, "packets before PCM and behind it");
    for (const { samples, more, moved, like } of found) {
      assert.ok(samples > VOICE_RATE_HZ / 5, `${samples} samples: the change was in mid-sentence`);
      assert.ok(more >= 0 && more <= FILLED_UP_SAMPLES, `${more} samples more than were said`);
      assert.ok(Math.abs(moved) <= MOVED_SAMPLES, `it is ${moved} samples late`);
      assert.ok(like > LIKE, `likeness ${like}`);
    }
    await page.evaluate("preppalDemo.client.end()");
    await page.until("preppalDemo.results !== null");
  },
  async "Opus: a whole interview by the sample answer"(page, origin) {
    await page.goto(`${origin}/?auto=sample&audio=opus`);
    await page.until("preppalDemo.client?.quality.codec === 'opus'");
    await page.until("preppalDemo.results !== null");
    const speakers = await page.evaluate("preppalDemo.results.turns.map(({ speaker }) => speaker)");
    assert.ok(speakers.includes("USER") && speakers.filter((one) => one === "AI").length >= 2, speakers.join());
    const { codec, droppedMs } = await page.evaluate("preppalDemo.client.quality");
    assert.deepEqual([codec, droppedMs], ["pcm", 0], "the connection is gone, and nothing was dropped");
  },
};
