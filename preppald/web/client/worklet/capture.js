/**
 * The sound for the interviewer: the microphone, a recorded answer, or silence,
 * as an unbroken stream of 16 kHz PCM16 chunks.
 *
 * Rule 1: the stream never pauses. The far end tells by silence that a turn is over,
 *         so with no microphone, or a muted one, zeros are sent.
 * Rule 2: the audio clock is the only clock: every sample in gives its share of samples out,
 *         so a recorded answer is spoken in real time.
 */

import { CAPTURE_RATE_HZ } from "../sound-format.js";
import { Resampler } from "./resampler.js";

/** 25 messages a second: half the server's wakes of 20 ms chunks, and still far below what an ear notices. */
export const CHUNK_MS = 40;

const CHUNK_SAMPLES = (CAPTURE_RATE_HZ * CHUNK_MS) / 1000;

/** Full scale of PCM16. */
const PCM16_PEAK = 32767;

/** @typedef {import("../sound-format.js").Chunk} Chunk */

export class Capture {
  muted = false;

  #resampler;
  #chunk = new Int16Array(CHUNK_SAMPLES);
  #filled = 0;
  /** True where the microphone gave nothing but digital zero since the last chunk. */
  #zero = true;
  #onChunk;
  /** The recorded answer being spoken, and how much of it was. */
  #answer = new Int16Array(0);
  #spoken = 0;

  /**
   * @param {number} contextRateHz
   * @param {(chunk: Chunk) => void} onChunk takes the array over
   */
  constructor(contextRateHz, onChunk) {
    this.#resampler = new Resampler(contextRateHz, CAPTURE_RATE_HZ);
    this.#onChunk = onChunk;
  }

  /**
   * Speak a recording in the microphone's place; one still being spoken gives way.
   * @param {Int16Array<ArrayBuffer>} pcm at CAPTURE_RATE_HZ
   */
  answer(pcm) {
    this.#answer = pcm;
    this.#spoken = 0;
  }

  get answering() {
    return this.#spoken < this.#answer.length;
  }

  /** @param {Float32Array} heard one quantum at the context's rate */
  process(heard) {
    this.#zero &&= heard.every((sample) => sample === 0);
    const input = this.muted ? new Float32Array(heard.length) : heard;
    for (const sample of this.#resampler.process(input)) this.#put(this.answering ? this.#nextOfAnswer() : toPcm16(sample));
  }

  #nextOfAnswer() {
    const sample = this.#answer[this.#spoken] ?? 0;
    this.#spoken += 1;
    if (!this.answering) this.answer(new Int16Array(0));
    return sample;
  }

  /** @param {number} sample */
  #put(sample) {
    this.#chunk[this.#filled] = sample;
    this.#filled += 1;
    if (this.#filled < CHUNK_SAMPLES) return;
    const pcm = this.#chunk;
    this.#chunk = new Int16Array(CHUNK_SAMPLES);
    this.#filled = 0;
    const zero = this.#zero;
    this.#zero = true;
    this.#onChunk({ pcm, level: meterLevel(pcm, PCM16_PEAK), answering: this.answering, zero, saidAt: Date.now() });
  }
}

/** @param {number} sample −1 … 1, or beyond: clipped, never wrapped */
function toPcm16(sample) {
  return Math.round(Math.max(-1, Math.min(1, sample)) * PCM16_PEAK);
}

/** Quieter than this is an empty meter: a quiet room is about −60 dBFS. */
const METER_FLOOR_DB = -60;

/**
 * Loudness as the ear has it: decibels, from the floor (0) to full scale (1).
 * @param {Int16Array | Float32Array} samples
 * @param {number} peak the samples' full scale
 */
export function meterLevel(samples, peak) {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  const rms = Math.sqrt(sum / Math.max(1, samples.length)) / peak;
  return rms === 0 ? 0 : Math.max(0, 1 - (20 * Math.log10(rms)) / METER_FLOOR_DB);
}
