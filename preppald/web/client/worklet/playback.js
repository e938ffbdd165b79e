/**
 * The interviewer's voice, waiting to be played.
 *
 * Rule 1: nothing of a reply is dropped because it came faster than real time (Gemini sends four
 *         times as fast); only `flush` drops, and only past MAX_BUFFERED_MS is sound refused.
 * Rule 2: play starts after a short cushion, so that an uneven network is not heard as stutter.
 * Rule 3: the voice never starts or stops with a step, which would be heard as a click: it fades.
 *
 * The queue is a chain of the received pieces themselves: a ring of samples would have to be copied
 * when it grows, on the one thread that must never be late.
 */

import { Resampler } from "./resampler.js";

/** Sound gathered before play starts: Gemini's pieces hold ~40 ms, so three of them. */
export const CUSHION_MS = 120;

/** The cushion doubles whenever the queue ran dry within a reply, up to here: more would feel like a slow interviewer. */
export const MAX_CUSHION_MS = 480;

/** A piece that comes this soon after the queue ran dry belongs to the same reply: it was late. */
const LATE_MS = 400;

/** Five minutes: longer than any reply, 14 MB of PCM16 at 24 kHz. */
export const MAX_BUFFERED_MS = 5 * 60 * 1000;

/** The fade of a cut voice: at once to the ear, but without the click of a step. */
const FADE_MS = 5;

/** The fade of a voice that ran dry, both ways: each step is smaller than a voice's own, and no sample is missed. */
const EDGE_MS = 1;

const PCM16_SCALE = 32768;

/** @typedef {{samples: Int16Array, next: Piece | null}} Piece */

export class Playback {
  /** Milliseconds refused because MAX_BUFFERED_MS was waiting already. */
  droppedMs = 0;
  /** How often the voice ran dry within a reply. */
  dried = 0;

  #sourceRateHz;
  #contextRateHz;
  #resampler;
  /** @type {Piece | null} */
  #head = null;
  /** @type {Piece | null} */
  #tail = null;
  /** Samples of the head already played. */
  #offset = 0;
  #buffered = 0;
  /** Samples played since the voice last started, up to the length of a fade. */
  #faded = 0;
  /** The last sample played and how much of its fade is left, for a voice that ran dry. */
  #last = 0;
  #dying = 0;
  /** @type {"idle" | "gathering" | "playing"} */
  #state = "idle";
  #cushionMs = CUSHION_MS;
  /** Time in the present state, measured in samples rendered. */
  #stateMs = Infinity;

  /**
   * @param {number} sourceRateHz
   * @param {number} contextRateHz
   */
  constructor(sourceRateHz, contextRateHz) {
    this.#sourceRateHz = sourceRateHz;
    this.#contextRateHz = contextRateHz;
    this.#resampler = new Resampler(sourceRateHz, contextRateHz);
  }

  /** True while the interviewer is heard, or about to be. */
  get playing() {
    return this.#state !== "idle";
  }

  get bufferedMs() {
    return (this.#buffered * 1000) / this.#sourceRateHz;
  }

  /** @param {Int16Array} samples at the source's rate */
  push(samples) {
    if (samples.length === 0) return;
    const lengthMs = (samples.length * 1000) / this.#sourceRateHz;
    if (this.bufferedMs + lengthMs > MAX_BUFFERED_MS) {
      this.droppedMs += lengthMs;
      return;
    }
    const piece = { samples, next: null };
    if (this.#tail === null) this.#head = piece;
    else this.#tail.next = piece;
    this.#tail = piece;
    this.#buffered += samples.length;
    if (this.#state === "idle") {
      const late = this.#stateMs < LATE_MS;
      if (late) this.dried += 1;
      this.#cushionMs = late ? Math.min(2 * this.#cushionMs, MAX_CUSHION_MS) : CUSHION_MS;
      this.#enter("gathering");
    }
  }

  /** The candidate spoke over the interviewer: be silent now. */
  flush() {
    const fade = this.#take(this.#state === "playing" ? Math.round((FADE_MS * this.#sourceRateHz) / 1000) : 0);
    this.#head = this.#tail = null;
    this.#offset = this.#buffered = 0;
    if (fade.length > 0) {
      const faded = Int16Array.from(fade, (sample, i) => sample * PCM16_SCALE * (1 - (i + 1) / fade.length));
      this.#head = this.#tail = { samples: faded, next: null };
      this.#buffered = faded.length;
    } else this.#enter("idle");
    this.#cushionMs = CUSHION_MS;
  }

  /**
   * Fill one quantum: the voice, or silence.
   * @param {Float32Array} output at the context's rate
   */
  render(output) {
    this.#stateMs += (output.length * 1000) / this.#contextRateHz;
    // A reply shorter than the cushion must be heard too: the cushion is a length of sound or of time.
    const gathered = Math.max(this.bufferedMs, this.#stateMs) >= this.#cushionMs;
    if (this.#state === "gathering" && gathered) this.#enter("playing");

    const needed = this.#resampler.inputsFor(output.length);
    const input = new Float32Array(needed);
    if (this.#state === "playing") {
      const voice = this.#take(needed);
      this.#fadeIn(voice);
      input.set(voice);
      if (this.#buffered === 0) this.#enter("idle");
      if (voice.length > 0) {
        this.#last = /** @type {number} */ (voice.at(-1));
        this.#dying = this.#edgeSamples;
      }
      this.#fadeOut(input, voice.length);
    } else this.#fadeOut(input, 0);
    output.set(this.#resampler.process(input, output.length));
  }

  get #edgeSamples() {
    return Math.round((EDGE_MS * this.#sourceRateHz) / 1000);
  }

  /** @param {Float32Array} voice */
  #fadeIn(voice) {
    for (let i = 0; i < voice.length && this.#faded < this.#edgeSamples; i += 1) {
      this.#faded += 1;
      voice[i] = (/** @type {number} */ (voice[i]) * this.#faded) / this.#edgeSamples;
    }
  }

  /**
   * Let the last sample die away where the voice has ended.
   * @param {Float32Array} input
   * @param {number} from
   */
  #fadeOut(input, from) {
    for (let i = from; i < input.length && this.#dying > 0; i += 1) {
      this.#dying -= 1;
      input[i] = (this.#last * this.#dying) / this.#edgeSamples;
    }
  }

  /**
   * The next `count` samples, or as many as there are.
   * @param {number} count
   */
  #take(count) {
    const taken = new Float32Array(Math.min(count, this.#buffered));
    let filled = 0;
    while (filled < taken.length && this.#head !== null) {
      const { samples, next } = this.#head;
      const end = Math.min(samples.length, this.#offset + taken.length - filled);
      while (this.#offset < end) {
        taken[filled] = /** @type {number} */ (samples[this.#offset]) / PCM16_SCALE;
        filled += 1;
        this.#offset += 1;
      }
      if (this.#offset < samples.length) break;
      this.#offset = 0;
      this.#head = next;
      if (next === null) this.#tail = null;
    }
    this.#buffered -= taken.length;
    return taken;
  }

  /** @param {"idle" | "gathering" | "playing"} state */
  #enter(state) {
    this.#state = state;
    this.#stateMs = 0;
    if (state === "playing") this.#faded = 0;
  }
}
