/**
 * Changes the sample rate of a stream of sound, one piece after another, without a seam.
 *
 * A polyphase windowed-sinc filter: at the ratio up/down in lowest terms each output sample
 * falls on one of `up` positions between two input samples, and each position has its own
 * row of coefficients. The same filter removes what the slower of the two rates cannot carry,
 * so nothing folds back into speech as hiss.
 */

/** Zero crossings of the sinc each side of its centre: more is steeper and slower; 16 puts aliases below −70 dB. */
const ZERO_CROSSINGS = 16;

/** Pass band as a part of the slower rate's half: leaves the filter 10 % to fall off in (7.2–8 kHz at 16 kHz). */
const PASS_BAND = 0.9;

/** Kaiser window shape: 8 trades transition width for about 80 dB of stop band. */
const KAISER_BETA = 8;

/** Rates no sound card leaves; a table for such a ratio would be absurd. */
const MIN_RATE_HZ = 3000;
const MAX_RATE_HZ = 768000;

export class Resampler {
  #up;
  #down;
  #taps;
  /** @type {Float32Array[]} */
  #rows;
  /** The newest input samples: what the next output's filter still reaches. @type {Float32Array} */
  #history;
  /** Where the next output falls, in 1/up input samples after the first sample not yet in history; at least −up. */
  #phase = 0;

  /**
   * @param {number} fromHz
   * @param {number} toHz
   */
  constructor(fromHz, toHz) {
    for (const rate of [fromHz, toHz]) {
      if (!(rate >= MIN_RATE_HZ && rate <= MAX_RATE_HZ)) throw new RangeError(`${rate} Hz is not a sample rate`);
    }
    const common = gcd(Math.round(fromHz), Math.round(toHz));
    this.#up = Math.round(toHz) / common;
    this.#down = Math.round(fromHz) / common;
    const slowdown = Math.max(1, fromHz / toHz);
    const reach = Math.ceil(ZERO_CROSSINGS * slowdown);
    this.#taps = 2 * reach;
    this.#rows = coefficients(this.#up, reach, PASS_BAND / slowdown);
    this.#history = new Float32Array(this.#taps);
  }

  /**
   * The input samples that `process` needs now to be able to give `outputs` samples.
   * @param {number} outputs at least 1
   */
  inputsFor(outputs) {
    return Math.max(0, Math.floor((this.#phase + (outputs - 1) * this.#down) / this.#up) + 1);
  }

  /**
   * @param {Float32Array} input
   * @param {number} [atMost] what `inputsFor` was asked for; the rest comes with the next call
   * @returns {Float32Array} as many samples as this input completes
   */
  process(input, atMost = Infinity) {
    const work = new Float32Array(this.#history.length + input.length);
    work.set(this.#history, 0);
    work.set(input, this.#history.length);

    const end = input.length * this.#up;
    const output = new Float32Array(Math.min(atMost, Math.max(0, Math.ceil((end - this.#phase) / this.#down))));
    let phase = this.#phase;
    for (let i = 0; i < output.length; i += 1, phase += this.#down) {
      const newest = Math.floor(phase / this.#up);
      const row = /** @type {Float32Array} */ (this.#rows[phase - newest * this.#up]);
      const first = newest + 1;
      let sum = 0;
      for (let tap = 0; tap < row.length; tap += 1) sum += /** @type {number} */ (row[tap]) * /** @type {number} */ (work[first + tap]);
      output[i] = sum;
    }
    this.#phase = phase - end;
    this.#history = work.slice(work.length - this.#history.length);
    return output;
  }
}

/**
 * @param {number} a
 * @param {number} b
 * @returns {number}
 */
function gcd(a, b) {
  return b === 0 ? a : gcd(b, a % b);
}

/**
 * Row `p` holds the filter for an output p/up of the way from one input sample to the next.
 * @param {number} up
 * @param {number} reach taps each side
 * @param {number} cutoff part of the input's half rate
 */
function coefficients(up, reach, cutoff) {
  return Array.from({ length: up }, (_, p) => {
    const row = new Float32Array(2 * reach);
    let sum = 0;
    for (let tap = 0; tap < row.length; tap += 1) {
      const x = tap - (reach - 1) - p / up;
      const value = sinc(cutoff * x) * kaiser(x / reach);
      row[tap] = value;
      sum += value;
    }
    // Unit gain for every row: otherwise the rows' small differences are heard as a tone at the ratio's beat.
    return row.map((value) => value / sum);
  });
}

/** @param {number} x */
function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** @param {number} x −1 … 1 */
function kaiser(x) {
  return Math.abs(x) >= 1 ? 0 : bessel(KAISER_BETA * Math.sqrt(1 - x * x)) / bessel(KAISER_BETA);
}

/**
 * Modified Bessel function of the first kind, order zero, by its series.
 * @param {number} x
 */
function bessel(x) {
  let term = 1;
  let sum = 1;
  for (let k = 1; term > sum * 1e-9; k += 1) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}
