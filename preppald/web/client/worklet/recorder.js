/** The recorder's audio thread: microphone quanta in, Capture's chunks out. */

import { Capture } from "./capture.js";

/** @typedef {import("../sound-format.js").RecorderOrder} RecorderOrder */

/** The Web Audio render quantum; what an input without a microphone stands for. */
const QUANTUM_FRAMES = 128;

class RecorderProcessor extends AudioWorkletProcessor {
  #silence = new Float32Array(QUANTUM_FRAMES);
  #capture = new Capture(sampleRate, (chunk) => this.port.postMessage(chunk, [chunk.pcm.buffer]));

  constructor() {
    super();
    this.port.onmessage = (/** @type {MessageEvent<RecorderOrder>} */ { data: order }) => {
      if (order.kind === "mute") this.#capture.muted = order.muted;
      else this.#capture.answer(order.pcm);
    };
  }

  /** @param {Float32Array[][]} inputs */
  process(inputs) {
    this.#capture.process(inputs[0]?.[0] ?? this.#silence);
    return true;
  }
}

registerProcessor("preppal-recorder", RecorderProcessor);
