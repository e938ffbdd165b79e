/** One AudioContext with the recorder and the player on its audio thread. It never changes: a broken one is replaced. */

import { AudioError } from "./audio-error.js";

/** @typedef {import("./sound-format.js").Chunk} Chunk */
/** @typedef {import("./sound-format.js").PlayerReport} PlayerReport */
/** @typedef {import("./sound-format.js").PlayerOrder} PlayerOrder */
/** @typedef {import("./sound-format.js").RecorderOrder} RecorderOrder */

/** A browser that may not play sound yet waits for a click without end; we say so instead. */
const START_TIMEOUT_MS = 3000;

/** The worklet is one file of 12 KiB: later than this it will not come. */
const LOAD_TIMEOUT_MS = 10 * 1000;

export class Engine {
  /** @type {(chunk: Chunk) => void} */
  onchunk = () => {};
  /** @type {(report: PlayerReport) => void} */
  onreport = () => {};
  /** The context's state changed, or its audio thread failed. @type {(crashed: boolean) => void} */
  onstate = () => {};

  #recorder;
  #player;
  #volume;

  /**
   * Call from a click or key press: browsers allow no sound before one.
   * @param {string} workletUrl where sound-worklet.js is served
   * @returns {Promise<Engine>}
   * @throws {AudioError}
   */
  static async open(workletUrl) {
    if (!globalThis.isSecureContext || !("AudioWorkletNode" in globalThis)) throw new AudioError("insecure-context");
    let context;
    try {
      context = new AudioContext({ latencyHint: "interactive" });
      await within(START_TIMEOUT_MS, context.resume());
    } catch (problem) {
      await closed(context);
      throw new AudioError("audio-unavailable", problem);
    }
    try {
      await within(LOAD_TIMEOUT_MS, context.audioWorklet.addModule(workletUrl));
      return new Engine(context);
    } catch (problem) {
      await closed(context);
      throw new AudioError("sound-not-loaded", problem);
    }
  }

  /** @param {AudioContext} context with the worklet loaded */
  constructor(context) {
    this.context = context;
    context.onstatechange = () => this.onstate(false);
    this.#volume = new GainNode(context);
    this.#volume.connect(context.destination);
    this.#player = new AudioWorkletNode(context, "preppal-player", { numberOfInputs: 0, outputChannelCount: [1] });
    this.#player.port.onmessage = (/** @type {MessageEvent<PlayerReport>} */ { data }) => this.onreport(data);
    this.#player.connect(this.#volume);
    this.#recorder = new AudioWorkletNode(context, "preppal-recorder", { outputChannelCount: [1], channelCount: 1, channelCountMode: "explicit" });
    this.#recorder.port.onmessage = (/** @type {MessageEvent<Chunk>} */ { data }) => this.onchunk(data);
    for (const node of [this.#player, this.#recorder]) node.onprocessorerror = () => this.onstate(true);
    // Its output is silence; the connection is what makes the browser run it with no microphone there.
    this.#recorder.connect(context.destination);
  }

  /**
   * Let the recorder hear a stream.
   * @param {MediaStream} stream
   * @returns {MediaStreamAudioSourceNode} to be disconnected
   */
  hear(stream) {
    const source = this.context.createMediaStreamSource(stream);
    source.connect(this.#recorder);
    return source;
  }

  /** @param {RecorderOrder} order */
  record(order) {
    this.#recorder.port.postMessage(order);
  }

  /**
   * @param {PlayerOrder} order
   * @param {Transferable[]} [transfer]
   */
  play(order, transfer = []) {
    this.#player.port.postMessage(order, transfer);
  }

  /** @param {number} volume 0 … 1 */
  setVolume(volume) {
    this.#volume.gain.value = volume;
  }

  /**
   * Let another device speak; browsers without that choice keep theirs.
   * @param {string} deviceId "" is the system's own choice
   */
  async setOutput(deviceId) {
    const context = /** @type {AudioContext & {setSinkId?: (id: string) => Promise<void>}} */ (this.context);
    if (context.setSinkId === undefined) return;
    await context.setSinkId(deviceId);
  }

  async close() {
    this.onchunk = this.onreport = this.onstate = () => {};
    await closed(this.context);
  }
}

/** @param {AudioContext | undefined} context */
async function closed(context) {
  if (context !== undefined && context.state !== "closed") await context.close().catch(() => {});
}

/**
 * @template T
 * @param {number} ms
 * @param {Promise<T>} work
 * @returns {Promise<T>}
 */
function within(ms, work) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not done within ${ms} ms`)), ms);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
