// Which codec the line has room for, and what carries the sound: by the clock of the test, with a worker that is none.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Carrier } from "../../preppald/web/client/carrier.js";
import { CodecChoice, ROOM_FOR_MS } from "../../preppald/web/client/codec-choice.js";
import { encodeAudioChunk, encodeAudioPackets, encodePrefer } from "../../preppald/web/client/wire.js";

/** Judge twice a second for so long; the codec after it. */
function pass(choice, from, ms, lagMs) {
  for (let now = from; now <= from + ms; now += 500) choice.judge(now, lagMs);
  return choice.codec;
}

test("a line with room keeps PCM", () => {
  assert.equal(pass(new CodecChoice(), 0, 3600_000, 300), "pcm");
});

test("sound that arrives a second late takes Opus up, and a minute with room gives it up", () => {
  const choice = new CodecChoice();
  assert.equal(choice.judge(0, 1001), "opus");
  assert.equal(pass(choice, 500, ROOM_FOR_MS - 1000, 100), "opus");
  assert.equal(pass(choice, ROOM_FOR_MS, 500, 100), "pcm");
});

test("a lag in that minute begins it anew", () => {
  const choice = new CodecChoice();
  choice.judge(0, 1001);
  choice.judge(ROOM_FOR_MS - 1000, 700);
  assert.equal(pass(choice, ROOM_FOR_MS, 20_000, 100), "opus");
});

test("a voice that runs dry twice takes Opus up, once does not", () => {
  const choice = new CodecChoice();
  choice.ranDry(0);
  assert.equal(choice.judge(500, 0), "pcm");
  choice.ranDry(20_000);
  assert.equal(choice.judge(20_500, 0), "pcm");
  choice.ranDry(21_000);
  assert.equal(choice.judge(21_500, 0), "opus");
});

test("a voice that goes on running dry when Opus was taken up is told, until ten seconds have passed", () => {
  const choice = new CodecChoice();
  for (const now of [1000, 2000]) choice.ranDry(now);
  assert.equal(choice.judge(2500, 0), "opus");
  assert.equal(choice.stutters(2500), false, "Opus may help");
  choice.ranDry(4000);
  assert.equal(choice.stutters(4500), false, "once is an accident");
  choice.ranDry(6000);
  assert.equal(choice.stutters(6500), true);
  assert.equal(choice.stutters(13_900), true);
  assert.equal(choice.stutters(14_100), false);
});

test("PCM that proves too early is tried again later and later, and one that lasts begins anew", () => {
  const choice = new CodecChoice();
  let now = 0;
  const waits = [];
  for (let round = 0; round < 7; round += 1) {
    choice.judge((now += 500), 2000);
    const since = now;
    while (choice.codec === "opus") choice.judge((now += 500), 100);
    waits.push(Math.round((now - since) / 60_000));
  }
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 16, 16]);
  pass(choice, now, 40_000, 100);
  choice.judge((now += 41_000), 2000);
  assert.equal(pass(choice, now, ROOM_FOR_MS + 500, 100), "pcm");
});

// ------------------------------------------------------------------ the carrier

/** What a browser has, for as long as the test; its worker answers when the test says so. */
function browser(context, supported = true) {
  const orders = [];
  let worker;
  class FakeWorker {
    constructor() {
      worker = this;
    }
    postMessage(order) {
      if (order.kind === "test") queueMicrotask(() => this.onmessage({ data: { kind: "tested", supported } }));
      else orders.push(order);
    }
    terminate() {
      orders.push({ kind: "terminated" });
    }
  }
  const before = { Worker: globalThis.Worker, AudioData: globalThis.AudioData };
  Object.assign(globalThis, { Worker: FakeWorker, AudioData: class {} });
  context.after(() => Object.assign(globalThis, before));
  return { orders, answer: (data) => worker.onmessage({ data }) };
}

function carrier(audio = "opus") {
  const sent = [];
  const heard = [];
  const made = new Carrier({ audio, workerUrl: "x", send: (message) => sent.push(message), onvoice: (voice) => heard.push([...voice.audioContent]) });
  return { made, sent, heard };
}

const PCM = Uint8Array.of(1, 2, 3, 4);
const voice = (packets, audioContent = new Uint8Array(0)) => ({ kind: "audioResponse", packets, audioContent });

test("sound is PCM until the server grants Opus and the browser has it", async (t) => {
  const { orders } = browser(t);
  const { made, sent } = carrier();
  made.send([PCM]);
  made.started(1);
  made.send([PCM]);
  assert.equal(made.codec, "pcm");
  await made.prepare();
  assert.equal(made.codec, "opus");
  made.send([PCM]);
  assert.deepEqual(sent, [encodeAudioChunk(PCM), encodeAudioChunk(PCM), encodePrefer(1)]);
  assert.deepEqual([...orders[0].pcm], [0x0201, 0x0403]);
});

test("where either has none, everything stays PCM", async (t) => {
  browser(t, false);
  const without = carrier();
  await without.made.prepare();
  without.made.started(1);
  without.made.send([PCM]);
  assert.deepEqual(without.sent, [encodeAudioChunk(PCM)]);
  browser(t);
  const refused = carrier();
  await refused.made.prepare();
  refused.made.started(0);
  refused.made.send([PCM]);
  assert.deepEqual(refused.sent, [encodeAudioChunk(PCM)]);
});

test("a page that wants PCM does not even ask", async (t) => {
  const { orders } = browser(t);
  const { made } = carrier("pcm");
  await made.prepare();
  const address = new URL("wss://a.example/ws/x");
  made.ask(address);
  assert.equal(address.search, "");
  assert.deepEqual(orders, []);
});

test("PCM after Opus waits for the last packets", async (t) => {
  const { orders, answer } = browser(t);
  const { made, sent } = carrier("auto");
  await made.prepare();
  made.started(1);
  made.judge(0, 2000);
  made.send([PCM]);
  for (let now = 0; now <= ROOM_FOR_MS + 1000; now += 500) made.judge(now, 0);
  assert.equal(made.codec, "pcm");
  made.send([PCM]);
  assert.deepEqual(orders.map(({ kind }) => kind), ["encode", "finish"]);
  const packet = Uint8Array.of(9, 9);
  answer({ kind: "packets", packets: [packet], generation: 0 });
  answer({ kind: "finished", generation: 0 });
  made.send([PCM]);
  assert.deepEqual(sent, [encodePrefer(1), encodePrefer(0), encodeAudioPackets([packet]), encodeAudioChunk(PCM), encodeAudioChunk(PCM)]);
});

test("the interviewer's voice keeps its order through a change, and stale sound is not heard", async (t) => {
  const { orders, answer } = browser(t);
  const { made, heard } = carrier();
  await made.prepare();
  made.started(1);
  made.receive(voice([], Uint8Array.of(7, 0)));
  made.receive(voice([Uint8Array.of(1)]));
  made.receive(voice([], Uint8Array.of(5, 0)));
  assert.deepEqual(orders.map(({ kind }) => kind), ["decode", "play"]);
  answer({ kind: "voice", pcm: Int16Array.of(1), generation: 0 });
  answer({ kind: "voice", pcm: Int16Array.of(5), generation: 0 });
  made.receive(voice([Uint8Array.of(1)]));
  made.interrupted();
  answer({ kind: "voice", pcm: Int16Array.of(6), generation: 0 });
  answer({ kind: "voice", pcm: Int16Array.of(8), generation: 1 });
  assert.deepEqual(heard, [[7, 0], [1, 0], [5, 0], [8, 0]]);
});

test("a new connection begins with PCM, and nothing of the old one is sent on it", async (t) => {
  const { answer } = browser(t);
  const { made, sent } = carrier();
  await made.prepare();
  made.started(1);
  assert.ok(made.waits);
  made.lost();
  answer({ kind: "packets", packets: [Uint8Array.of(1)], generation: 0 });
  made.send([PCM]);
  made.started(1);
  assert.deepEqual(sent, [encodePrefer(1), encodeAudioChunk(PCM), encodePrefer(1)]);
});

test("a coder that fails ends Opus, and not the interview", async (t) => {
  const { orders, answer } = browser(t);
  const { made, sent } = carrier();
  await made.prepare();
  made.started(1);
  answer({ kind: "failed", words: "no" });
  made.send([PCM]);
  made.started(1);
  assert.equal(made.codec, "pcm");
  assert.deepEqual(sent, [encodePrefer(1), encodePrefer(0), encodeAudioChunk(PCM)]);
  assert.deepEqual(orders.at(-1), { kind: "terminated" });
});
