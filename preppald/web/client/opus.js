/** The page's end of opus-worker.js: orders out, answers in. Where it cannot be had, everything goes on in PCM. */

/** @typedef {{kind: "test"} | {kind: "encode", pcm: Int16Array<ArrayBuffer>} | {kind: "finish"} | {kind: "drop", generation: number} | {kind: "decode", packets: Uint8Array[]} | {kind: "play", pcm: Int16Array<ArrayBuffer>} | {kind: "silence", generation: number}} Order page → worker */
/** @typedef {{kind: "tested", supported: boolean} | {kind: "packets", packets: Uint8Array<ArrayBuffer>[], generation: number} | {kind: "finished", generation: number} | {kind: "voice", pcm: Int16Array<ArrayBuffer>, generation: number} | {kind: "failed", words: string}} Answer worker → page */

/** A worker of 8 KiB that is not there by then, or does not answer, does not come. */
const TEST_TIMEOUT_MS = 10 * 1000;

export class Opus {
  /** @type {(answer: Answer) => void} */
  onanswer = () => {};

  #worker;

  /** True where the browser has what a worker may turn out not to support. */
  static get thinkable() {
    return "Worker" in globalThis && "AudioData" in globalThis;
  }

  /**
   * Return this browser's Opus; null where it has none, or the worker cannot be loaded.
   * @param {string} workerUrl where opus-worker.js is served
   * @returns {Promise<Opus | null>}
   */
  static async open(workerUrl) {
    let worker;
    try {
      worker = new Worker(workerUrl);
    } catch {
      return null;
    }
    const opus = new Opus(worker);
    if (await opus.#tested()) return opus;
    opus.close();
    return null;
  }

  /** @param {Worker} worker */
  constructor(worker) {
    this.#worker = worker;
    worker.onmessage = (/** @type {MessageEvent<Answer>} */ { data }) => this.onanswer(data);
    worker.onerror = (problem) => this.onanswer({ kind: "failed", words: problem.message });
  }

  /** @returns {Promise<boolean>} */
  #tested() {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), TEST_TIMEOUT_MS);
      this.onanswer = (answer) => {
        clearTimeout(timer);
        this.onanswer = () => {};
        resolve(answer.kind === "tested" && answer.supported);
      };
      this.order({ kind: "test" });
    });
  }

  /**
   * @param {Order} order
   * @param {Transferable[]} [transfer]
   */
  order(order, transfer = []) {
    this.#worker.postMessage(order, transfer);
  }

  close() {
    this.#worker.onmessage = this.#worker.onerror = null;
    this.#worker.terminate();
  }
}
