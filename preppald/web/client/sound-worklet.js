// Made of worklet/ by npm run generate in tests/web; never edited.

// sound-format.js
var CAPTURE_RATE_HZ = 16e3;
var VOICE_RATE_HZ = 24e3;

// worklet/resampler.js
var ZERO_CROSSINGS = 16;
var PASS_BAND = 0.9;
var KAISER_BETA = 8;
var MIN_RATE_HZ = 3e3;
var MAX_RATE_HZ = 768e3;
var Resampler = class {
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
      const row = (
        /** @type {Float32Array} */
        this.#rows[phase - newest * this.#up]
      );
      const first = newest + 1;
      let sum = 0;
      for (let tap = 0; tap < row.length; tap += 1) sum += /** @type {number} */
      row[tap] * /** @type {number} */
      work[first + tap];
      output[i] = sum;
    }
    this.#phase = phase - end;
    this.#history = work.slice(work.length - this.#history.length);
    return output;
  }
};
function gcd(a, b) {
  return b === 0 ? a : gcd(b, a % b);
}
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
    return row.map((value) => value / sum);
  });
}
function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}
function kaiser(x) {
  return Math.abs(x) >= 1 ? 0 : bessel(KAISER_BETA * Math.sqrt(1 - x * x)) / bessel(KAISER_BETA);
}
function bessel(x) {
  let term = 1;
  let sum = 1;
  for (let k = 1; term > sum * 1e-9; k += 1) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

// worklet/capture.js
var CHUNK_MS = 40;
var CHUNK_SAMPLES = CAPTURE_RATE_HZ * CHUNK_MS / 1e3;
var PCM16_PEAK = 32767;
var Capture = class {
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
};
function toPcm16(sample) {
  return Math.round(Math.max(-1, Math.min(1, sample)) * PCM16_PEAK);
}
var METER_FLOOR_DB = -60;
function meterLevel(samples, peak) {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  const rms = Math.sqrt(sum / Math.max(1, samples.length)) / peak;
  return rms === 0 ? 0 : Math.max(0, 1 - 20 * Math.log10(rms) / METER_FLOOR_DB);
}

// worklet/playback.js
var CUSHION_MS = 120;
var MAX_CUSHION_MS = 480;
var LATE_MS = 400;
var MAX_BUFFERED_MS = 5 * 60 * 1e3;
var FADE_MS = 5;
var EDGE_MS = 1;
var PCM16_SCALE = 32768;
var Playback = class {
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
    return this.#buffered * 1e3 / this.#sourceRateHz;
  }
  /** @param {Int16Array} samples at the source's rate */
  push(samples) {
    if (samples.length === 0) return;
    const lengthMs = samples.length * 1e3 / this.#sourceRateHz;
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
    const fade = this.#take(this.#state === "playing" ? Math.round(FADE_MS * this.#sourceRateHz / 1e3) : 0);
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
    this.#stateMs += output.length * 1e3 / this.#contextRateHz;
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
        this.#last = /** @type {number} */
        voice.at(-1);
        this.#dying = this.#edgeSamples;
      }
      this.#fadeOut(input, voice.length);
    } else this.#fadeOut(input, 0);
    output.set(this.#resampler.process(input, output.length));
  }
  get #edgeSamples() {
    return Math.round(EDGE_MS * this.#sourceRateHz / 1e3);
  }
  /** @param {Float32Array} voice */
  #fadeIn(voice) {
    for (let i = 0; i < voice.length && this.#faded < this.#edgeSamples; i += 1) {
      this.#faded += 1;
      voice[i] = /** @type {number} */
      voice[i] * this.#faded / this.#edgeSamples;
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
      input[i] = this.#last * this.#dying / this.#edgeSamples;
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
        taken[filled] = /** @type {number} */
        samples[this.#offset] / PCM16_SCALE;
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
};

// worklet/player.js
var REPORT_EVERY_MS = 50;
var PlayerProcessor = class extends AudioWorkletProcessor {
  #sourceRateHz = VOICE_RATE_HZ;
  #playback = new Playback(VOICE_RATE_HZ, sampleRate);
  #reportedPlaying = false;
  #sinceReportMs = 0;
  /** The loudest quantum since the last report: one quantum alone may fall between two periods of a voice. */
  #level = 0;
  constructor() {
    super();
    this.port.onmessage = ({ data: order }) => {
      if (order.kind === "play") this.#playback.push(order.pcm);
      else if (order.kind === "flush") this.#playback.flush();
      else if (order.sourceRateHz !== this.#sourceRateHz) {
        this.#sourceRateHz = order.sourceRateHz;
        this.#playback = new Playback(order.sourceRateHz, sampleRate);
      }
    };
  }
  /**
   * @param {Float32Array[][]} _inputs
   * @param {Float32Array[][]} outputs
   */
  process(_inputs, outputs) {
    const output = outputs[0]?.[0];
    if (output === void 0) return true;
    this.#playback.render(output);
    this.#report(output);
    return true;
  }
  /** @param {Float32Array} heard */
  #report(heard) {
    const { playing, bufferedMs, droppedMs, dried } = this.#playback;
    this.#level = playing ? Math.max(this.#level, meterLevel(heard, 1)) : 0;
    this.#sinceReportMs += heard.length * 1e3 / sampleRate;
    const due = playing && this.#sinceReportMs >= REPORT_EVERY_MS;
    if (!due && playing === this.#reportedPlaying) return;
    this.#sinceReportMs = 0;
    this.#reportedPlaying = playing;
    const report = { playing, level: this.#level, bufferedMs, droppedMs, dried, playedAt: Date.now() };
    this.port.postMessage(report);
    this.#level = 0;
  }
};
registerProcessor("preppal-player", PlayerProcessor);

// worklet/recorder.js
var QUANTUM_FRAMES = 128;
var RecorderProcessor = class extends AudioWorkletProcessor {
  #silence = new Float32Array(QUANTUM_FRAMES);
  #capture = new Capture(sampleRate, (chunk) => this.port.postMessage(chunk, [chunk.pcm.buffer]));
  constructor() {
    super();
    this.port.onmessage = ({ data: order }) => {
      if (order.kind === "mute") this.#capture.muted = order.muted;
      else this.#capture.answer(order.pcm);
    };
  }
  /** @param {Float32Array[][]} inputs */
  process(inputs) {
    this.#capture.process(inputs[0]?.[0] ?? this.#silence);
    return true;
  }
};
registerProcessor("preppal-recorder", RecorderProcessor);
