/** The player's audio thread: PCM16 in, the context's output filled from Playback. */

import { VOICE_RATE_HZ } from "../sound-format.js";
import { meterLevel } from "./capture.js";
import { Playback } from "./playback.js";

/** @typedef {import("../sound-format.js").PlayerOrder} PlayerOrder */
/** @typedef {import("../sound-format.js").PlayerReport} PlayerReport */

/** Twenty reports a second: a meter that moves smoothly, and no more. */
const REPORT_EVERY_MS = 50;

class PlayerProcessor extends AudioWorkletProcessor {
  #sourceRateHz = VOICE_RATE_HZ;
  #playback = new Playback(VOICE_RATE_HZ, sampleRate);
  #reportedPlaying = false;
  #sinceReportMs = 0;
  /** The loudest quantum since the last report: one quantum alone may fall between two periods of a voice. */
  #level = 0;

  constructor() {
    super();
    this.port.onmessage = (/** @type {MessageEvent<PlayerOrder>} */ { data: order }) => {
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
    if (output === undefined) return true;
    this.#playback.render(output);
    this.#report(output);
    return true;
  }

  /** @param {Float32Array} heard */
  #report(heard) {
    const { playing, bufferedMs, droppedMs, dried } = this.#playback;
    this.#level = playing ? Math.max(this.#level, meterLevel(heard, 1)) : 0;
    this.#sinceReportMs += (heard.length * 1000) / sampleRate;
    const due = playing && this.#sinceReportMs >= REPORT_EVERY_MS;
    if (!due && playing === this.#reportedPlaying) return;
    this.#sinceReportMs = 0;
    this.#reportedPlaying = playing;
    /** @type {PlayerReport} */
    const report = { playing, level: this.#level, bufferedMs, droppedMs, dried, playedAt: Date.now() };
    this.port.postMessage(report);
    this.#level = 0;
  }
}

registerProcessor("preppal-player", PlayerProcessor);
