/** The audio thread's classes, outside the audio thread. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Samples } from "../../preppald/web/client/samples.js";
import { CAPTURE_RATE_HZ } from "../../preppald/web/client/sound-format.js";
import { CHUNK_MS, Capture, meterLevel } from "../../preppald/web/client/worklet/capture.js";
import { CUSHION_MS, MAX_BUFFERED_MS, Playback } from "../../preppald/web/client/worklet/playback.js";
import { Resampler } from "../../preppald/web/client/worklet/resampler.js";

const QUANTUM = 128;
const tone = (hz, rate, samples, from = 0) => Float32Array.from({ length: samples }, (_, i) => Math.sin((2 * Math.PI * hz * (from + i)) / rate));

/** Resampled in quanta, as the audio thread does it. */
function resampled(input, fromHz, toHz) {
  const resampler = new Resampler(fromHz, toHz);
  const output = [];
  for (let at = 0; at < input.length; at += QUANTUM) output.push(...resampler.process(input.subarray(at, at + QUANTUM)));
  return Float32Array.from(output);
}

/** Power of what `hz` explains of the middle of a signal, and of the rest, in dB. */
function signalAndRest(signal, hz, rate) {
  const middle = signal.subarray(signal.length >> 2, (signal.length >> 2) + (rate >> 1));
  let [cos, sin] = [0, 0];
  middle.forEach((value, i) => {
    cos += (2 * value * Math.cos((2 * Math.PI * hz * i) / rate)) / middle.length;
    sin += (2 * value * Math.sin((2 * Math.PI * hz * i) / rate)) / middle.length;
  });
  let rest = 0;
  middle.forEach((value, i) => {
    rest += (value - cos * Math.cos((2 * Math.PI * hz * i) / rate) - sin * Math.sin((2 * Math.PI * hz * i) / rate)) ** 2 / middle.length;
  });
  return { signalDb: 10 * Math.log10((cos * cos + sin * sin) / 1), restDb: 10 * Math.log10(rest + 1e-20) };
}

for (const [fromHz, toHz] of [[48000, 16000], [44100, 16000], [96000, 16000], [16000, 16000], [8000, 16000], [24000, 48000], [24000, 44100]]) {
  test(`a tone from ${fromHz} to ${toHz} Hz keeps its loudness and gains no noise above −70 dB`, () => {
    const out = resampled(tone(1000, fromHz, 2 * fromHz), fromHz, toHz);
    const { signalDb, restDb } = signalAndRest(out, 1000, toHz);
    assert.ok(Math.abs(signalDb) < 0.1, `${signalDb} dB`);
    assert.ok(restDb < -70, `${restDb} dB`);
    assert.ok(Math.abs(out.length - 2 * toHz) <= 1, "no sample lost at the seams");
  });
}

test("what 16 kHz cannot carry does not fold back into speech", () => {
  for (const hz of [9000, 12000, 20000]) {
    const out = resampled(tone(hz, 48000, 96000), 48000, 16000);
    assert.ok(meterPowerDb(out.subarray(2000)) < -65, `${hz} Hz: ${meterPowerDb(out.subarray(2000))} dB`);
  }
});

function meterPowerDb(samples) {
  return 10 * Math.log10(samples.reduce((sum, s) => sum + s * s, 0) / samples.length + 1e-20);
}

test("inputsFor tells exactly what one quantum needs", () => {
  for (const rate of [44100, 48000, 16000, 192000]) {
    const resampler = new Resampler(24000, rate);
    let used = 0;
    for (let i = 0; i < 3000; i += 1) {
      const needed = resampler.inputsFor(QUANTUM);
      used += needed;
      assert.equal(resampler.process(new Float32Array(needed), QUANTUM).length, QUANTUM);
    }
    assert.ok(Math.abs(used - (3000 * QUANTUM * 24000) / rate) <= 2, "in step with the clock");
  }
});

test("a rate that is none is refused", () => assert.throws(() => new Resampler(0, 16000), RangeError));

/** Runs a Capture over `seconds` of quanta at 48 kHz and returns its chunks. */
function captured(capture, chunks, seconds, quantum = new Float32Array(QUANTUM)) {
  for (let i = 0; i < (seconds * 48000) / QUANTUM; i += 1) capture.process(quantum);
  return chunks;
}

function newCapture() {
  const chunks = [];
  return { chunks, capture: new Capture(48000, (chunk) => chunks.push(chunk)) };
}

test("without a microphone silence is sent, in real time, in chunks of one length", () => {
  const { capture, chunks } = newCapture();
  captured(capture, chunks, 2);
  assert.equal(chunks.length, 2000 / CHUNK_MS);
  assert.ok(chunks.every(({ pcm, level }) => pcm.length === (CAPTURE_RATE_HZ * CHUNK_MS) / 1000 && level === 0));
});

test("a recorded answer is spoken byte for byte, then silence follows, and again when asked again", () => {
  const { capture, chunks } = newCapture();
  const answer = Int16Array.from({ length: 1000 }, (_, i) => i + 1);
  for (let turn = 0; turn < 2; turn += 1) {
    capture.answer(answer);
    assert.ok(capture.answering);
    chunks.length = 0;
    const sent = captured(capture, chunks, 0.2).flatMap(({ pcm }) => [...pcm]);
    const start = sent.indexOf(1);
    assert.deepEqual(sent.slice(start, start + 1000), [...answer]);
    assert.ok(sent.slice(start + 1000).every((sample) => sample === 0));
    assert.ok(!capture.answering);
  }
});

test("muted means zeros; too loud means clipped, not wrapped", () => {
  const { capture, chunks } = newCapture();
  const loud = new Float32Array(QUANTUM).fill(1.5);
  captured(capture, chunks, 0.2, loud);
  assert.ok(chunks.at(-1).pcm.every((sample) => sample === 32767));
  capture.muted = true;
  captured(capture, chunks, 0.2, loud);
  assert.ok(chunks.at(-1).pcm.every((sample) => sample === 0));
});

test("the meter is empty at −60 dBFS and full at full scale", () => {
  assert.equal(meterLevel(new Float32Array(64), 1), 0);
  assert.equal(meterLevel(new Float32Array(64).fill(0.0005), 1), 0);
  assert.equal(meterLevel(new Float32Array(64).fill(1), 1), 1);
});

/** Renders `ms` of sound and returns it. */
function rendered(playback, ms, rate = 48000) {
  const out = [];
  for (let i = 0; i < (ms * rate) / 1000 / QUANTUM; i += 1) {
    const quantum = new Float32Array(QUANTUM);
    playback.render(quantum);
    out.push(...quantum);
  }
  return out;
}

const piece = (ms, value = 8192) => new Int16Array((24 * ms) | 0).fill(value);
const heardMs = (out, rate = 48000) => (out.filter((sample) => sample > 0.2).length * 1000) / rate;

test("play waits for the cushion, not longer", () => {
  const playback = new Playback(24000, 48000);
  playback.push(piece(CUSHION_MS - 40));
  assert.equal(heardMs(rendered(playback, 40)), 0);
  playback.push(piece(40));
  assert.ok(heardMs(rendered(playback, 40)) > 30);
});

test("a reply shorter than the cushion is heard too", () => {
  const playback = new Playback(24000, 48000);
  playback.push(piece(40));
  assert.ok(Math.abs(heardMs(rendered(playback, 400)) - 40) < 2);
  assert.ok(!playback.playing);
});

test("three minutes sent at once are played to the last sample", () => {
  const playback = new Playback(24000, 48000);
  for (let i = 0; i < 180; i += 1) playback.push(piece(1000));
  assert.equal(playback.bufferedMs, 180000);
  assert.ok(Math.abs(heardMs(rendered(playback, 181000)) - 180000) < 2);
  assert.equal(playback.droppedMs, 0);
});

test("the buffer has a bound, and says what it refused", () => {
  const playback = new Playback(24000, 48000);
  for (let ms = 0; ms < MAX_BUFFERED_MS + 5000; ms += 1000) playback.push(piece(1000));
  assert.equal(playback.bufferedMs, MAX_BUFFERED_MS);
  assert.equal(playback.droppedMs, 5000);
});

test("barge-in: silence within ten milliseconds, and without a click", () => {
  const playback = new Playback(24000, 48000);
  playback.push(piece(10000));
  rendered(playback, 500);
  playback.flush();
  const out = rendered(playback, 100);
  assert.ok(heardMs(out) < 10);
  assert.ok(out.every((sample, i) => i === 0 || Math.abs(sample - out[i - 1]) < 0.01), "no step");
  assert.ok(!playback.playing);
  assert.equal(playback.bufferedMs, 0);
});

test("barge-in before play began leaves nothing behind", () => {
  const playback = new Playback(24000, 48000);
  playback.push(piece(40));
  playback.flush();
  assert.ok(!playback.playing);
  assert.equal(heardMs(rendered(playback, 500)), 0);
});

test("after running dry within a reply the next cushion is longer", () => {
  const playback = new Playback(24000, 48000);
  playback.push(piece(CUSHION_MS));
  rendered(playback, CUSHION_MS + 100);
  assert.ok(!playback.playing);
  playback.push(piece(CUSHION_MS));
  assert.equal(heardMs(rendered(playback, CUSHION_MS - 10)), 0);
  assert.ok(heardMs(rendered(playback, 2 * CUSHION_MS + 100)) > CUSHION_MS - 5);
});

test("a sample that lies across messages is put together, wherever they are cut", () => {
  const expected = Int16Array.of(1, -2, 300, -400, 32767);
  const bytes = new Uint8Array(expected.buffer);
  for (let first = 0; first <= bytes.length; first += 1) {
    for (let second = first; second <= bytes.length; second += 1) {
      const samples = new Samples();
      const parts = [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)];
      assert.deepEqual(parts.flatMap((part) => [...samples.join(part)]), [...expected]);
    }
  }
});

test("after a restart half a sample is forgotten", () => {
  const samples = new Samples();
  samples.join(Uint8Array.of(9));
  samples.restart();
  assert.deepEqual([...samples.join(Uint8Array.of(1, 0))], [1]);
});

test("a line that stalls within a tone is heard as a pause, not as a click", () => {
  const playback = new Playback(24000, 48000);
  const tonePcm = Int16Array.from(tone(440, 24000, 24000), (sample) => sample * 16384);
  playback.push(tonePcm.slice(0, 9007));
  const out = rendered(playback, 900);
  playback.push(tonePcm.slice(9007));
  out.push(...rendered(playback, 900));
  const ownStep = (2 * Math.PI * 440 * 0.5) / 48000;
  const steps = out.map((sample, i) => Math.abs(sample - (out[i - 1] ?? 0)));
  assert.ok(Math.max(...steps) < 3 * ownStep, `${Math.max(...steps) / ownStep} of the tone's own step`);
  assert.ok(out.slice(30000, 36000).every((sample) => Math.abs(sample) < 1e-3), "there was a pause");
});

test("digital zero is told from a quiet room, also while muted", () => {
  const { capture, chunks } = newCapture();
  captured(capture, chunks, 0.2);
  assert.ok(chunks.length > 0 && chunks.every(({ zero }) => zero));
  chunks.length = 0;
  capture.muted = true;
  captured(capture, chunks, 0.2, new Float32Array(QUANTUM).fill(1e-7));
  assert.ok(chunks.length > 0 && chunks.every(({ zero, pcm }) => !zero && pcm.every((sample) => sample === 0)));
});
