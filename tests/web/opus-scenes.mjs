/** What a browser makes of Opus: scenes for any engine, each given the page by `goto`, `evaluate` and `until`. */

import assert from "node:assert/strict";

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
