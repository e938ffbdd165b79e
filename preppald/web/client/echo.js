/**
 * Finds out if the interviewer was cut by its own voice, come back through the loudspeaker and the microphone.
 *
 * An echo follows the voice: the microphone's loudness rises and falls as the voice's did a moment before. A candidate's
 * does not. Pure: it is told levels and times, in milliseconds of one monotonic clock.
 */

/** Levels are compared on a grid as fine as the coarser of the two meters. */
const STEP_MS = 50;

/** The past to compare … */
const WINDOW_MS = 2000;

/** … with at least so much of the voice; less than a word proves nothing. */
const LEAST_MS = 300;

/** The newest chunks of the microphone may still be on their way. */
const LEAST_COMPARED = 0.8;

/** From loudspeaker to microphone, through the device's buffers. */
const MAX_DELAY_MS = 400;

/** Correlation of the two curves: 1 for an echo without any other sound, about 0 for two people; between, a guess. */
const ECHO_CORRELATION = 0.75;

/** One cut may be chance; two within some questions are the loudspeaker. */
const CUTS_BELIEVED = 2;
const BELIEVED_WITHIN_MS = 3 * 60 * 1000;

/** @typedef {{at: number, level: number}} Sample */

export class EchoWatch {
  /** When the interviewer was cut by an echo. @type {number[]} */
  #cuts = [];
  /** @type {Sample[]} */
  #microphone = [];
  /** @type {Sample[]} */
  #voice = [];

  /**
   * @param {number} at
   * @param {number} level of the microphone, 0 … 1
   */
  heard(at, level) {
    keep(this.#microphone, { at, level });
  }

  /**
   * @param {number} at
   * @param {number} level of the interviewer's voice, 0 … 1
   */
  played(at, level) {
    keep(this.#voice, { at, level });
  }

  /**
   * The interviewer was cut.
   * @param {number} at
   * @returns {boolean} whether it is clear by now that its own voice does it
   */
  cut(at) {
    if (this.likeness(at) < ECHO_CORRELATION) return false;
    this.#cuts = [...this.#cuts.filter((before) => at - before < BELIEVED_WITHIN_MS), at];
    return this.#cuts.length >= CUTS_BELIEVED;
  }

  /** A remedy was taken: count anew. */
  restart() {
    this.#cuts = [];
  }

  /**
   * Return the best correlation of the two curves over all delays, −1 … 1; 0 where there is too little of them.
   * @param {number} at
   */
  likeness(at) {
    const steps = WINDOW_MS / STEP_MS;
    const delays = MAX_DELAY_MS / STEP_MS;
    const microphone = grid(this.#microphone, at, steps);
    if (voiced(this.#voice, at) * STEP_MS < LEAST_MS) return 0;
    // Its meter reports while it is heard; without a report there is silence, and an echo's beginning is its best sign.
    const voice = grid(this.#voice, at, steps + delays).map((level) => level ?? 0);
    let best = 0;
    for (let delay = 0; delay <= delays; delay += 1) {
      /** @type {[number, number][]} */
      const pairs = [];
      for (let i = 0; i < steps; i += 1) {
        const [m, v] = [microphone[i], voice[i + delay]];
        if (m !== undefined && v !== undefined) pairs.push([m, v]);
      }
      if (pairs.length >= LEAST_COMPARED * steps) best = Math.max(best, correlation(pairs));
    }
    return best;
  }
}

/**
 * @param {Sample[]} samples
 * @param {Sample} sample
 */
function keep(samples, sample) {
  samples.push(sample);
  while (/** @type {Sample} */ (samples[0]).at < sample.at - WINDOW_MS - MAX_DELAY_MS) samples.shift();
}

/**
 * Return the newest level of each step, counted back from `at`.
 * @param {Sample[]} samples
 * @param {number} at
 * @param {number} steps
 */
function grid(samples, at, steps) {
  const levels = Array.from({ length: steps }, () => /** @type {number | undefined} */ (undefined));
  for (const sample of samples) {
    const step = Math.floor((at - sample.at) / STEP_MS);
    if (step >= 0 && step < steps) levels[step] = sample.level;
  }
  // The meters' own steps are not quite this grid's: a single hole takes its neighbour's level.
  return levels.map((level, i) => level ?? levels[i - 1]);
}

/**
 * Return how many reports of a voice there are in the window.
 * @param {Sample[]} samples
 * @param {number} at
 */
function voiced(samples, at) {
  return samples.filter((sample) => sample.at > at - WINDOW_MS && sample.level > 0).length;
}

/** Pearson's. @param {[number, number][]} pairs */
function correlation(pairs) {
  const n = pairs.length;
  let [sumX, sumY, sumXX, sumYY, sumXY] = [0, 0, 0, 0, 0];
  for (const [x, y] of pairs) {
    sumX += x;
    sumY += y;
    sumXX += x * x;
    sumYY += y * y;
    sumXY += x * y;
  }
  const spread = (sumXX - (sumX * sumX) / n) * (sumYY - (sumY * sumY) / n);
  return spread < 1e-9 ? 0 : (sumXY - (sumX * sumY) / n) / Math.sqrt(spread);
}
