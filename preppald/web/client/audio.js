/** The browser's sound: one AudioContext with a recorder and a player, each on the audio thread. */

/** @typedef {import("./sound-format.js").Chunk} Chunk */
/** @typedef {import("./sound-format.js").PlayerReport} PlayerReport */
/** @typedef {import("./sound-format.js").PlayerOrder} PlayerOrder */
/** @typedef {import("./sound-format.js").RecorderOrder} RecorderOrder */
/** @typedef {import("./endings.js").Trouble} Trouble */

/** Why there is no sound: `kind` is a name that `explain` has words for. */
export class AudioError extends Error {
  name = "AudioError";

  /**
   * @param {Trouble} kind
   * @param {unknown} [cause]
   */
  constructor(kind, cause) {
    super(kind, { cause });
    this.kind = kind;
  }
}

/**
 * The browser's own remedies for an interview at a laptop: the interviewer's voice must not come
 * back through the microphone, or it would interrupt itself.
 */
const MICROPHONE = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };

/** A browser that may not play sound yet waits for a click without end; we say so instead. */
const START_TIMEOUT_MS = 3000;

export class AudioDesk {
  /** @type {(chunk: Chunk) => void} */
  onchunk = () => {};
  /** @type {(report: PlayerReport) => void} */
  onreport = () => {};
  /** @type {(kind: Trouble) => void} the microphone was unplugged, or the device took the sound away */
  ontrouble = () => {};

  #context;
  #recorder;
  #player;
  /** @type {MediaStreamAudioSourceNode | null} */
  #microphone = null;

  /**
   * Call from a click or key press: browsers allow no sound before one.
   * @param {string} workletUrl where sound-worklet.js is served
   * @returns {Promise<AudioDesk>}
   * @throws {AudioError}
   */
  static async open(workletUrl) {
    if (!globalThis.isSecureContext || !("AudioWorkletNode" in globalThis)) throw new AudioError("insecure-context");
    const context = new AudioContext({ latencyHint: "interactive" });
    try {
      await within(START_TIMEOUT_MS, context.resume());
      await context.audioWorklet.addModule(workletUrl);
      return new AudioDesk(context);
    } catch (problem) {
      await context.close();
      throw new AudioError("audio-unavailable", problem);
    }
  }

  /** @param {AudioContext} context with the worklet loaded */
  constructor(context) {
    this.#context = context;
    context.onstatechange = () => {
      if (context.state !== "running" && context.state !== "closed") this.ontrouble("audio-paused");
    };
    this.#player = new AudioWorkletNode(context, "preppal-player", { numberOfInputs: 0, outputChannelCount: [1] });
    this.#player.port.onmessage = (/** @type {MessageEvent<PlayerReport>} */ { data }) => this.onreport(data);
    this.#player.connect(context.destination);
    this.#recorder = new AudioWorkletNode(context, "preppal-recorder", { outputChannelCount: [1], channelCount: 1, channelCountMode: "explicit" });
    this.#recorder.port.onmessage = (/** @type {MessageEvent<Chunk>} */ { data }) => this.onchunk(data);
    for (const node of [this.#player, this.#recorder]) node.onprocessorerror = () => this.ontrouble("audio-unavailable");
    // Its output is silence; the connection is what makes the browser run it with no microphone there.
    this.#recorder.connect(context.destination);
  }

  /** @throws {AudioError} */
  async openMicrophone() {
    if (navigator.mediaDevices === undefined) throw new AudioError("insecure-context");
    const stream = await navigator.mediaDevices.getUserMedia({ audio: MICROPHONE }).catch((problem) => {
      throw new AudioError(microphoneTrouble(problem), problem);
    });
    // The user may take a minute to answer; by then the page may have closed us, or have asked twice.
    this.closeMicrophone();
    if (this.#context.state === "closed") {
      stopTracks(stream);
      throw new AudioError("audio-unavailable");
    }
    const microphone = this.#context.createMediaStreamSource(stream);
    microphone.connect(this.#recorder);
    this.#microphone = microphone;
    for (const track of stream.getTracks()) {
      track.onended = () => {
        if (this.#microphone !== microphone) return;
        this.closeMicrophone();
        this.ontrouble("microphone-lost");
      };
    }
  }

  /** The browser's "recording" sign goes out; silence is sent from here on. */
  closeMicrophone() {
    if (this.#microphone !== null) stopTracks(this.#microphone.mediaStream);
    this.#microphone?.disconnect();
    this.#microphone = null;
  }

  get hasMicrophone() {
    return this.#microphone !== null;
  }

  /** @param {boolean} muted */
  mute(muted) {
    this.#order(this.#recorder, { kind: "mute", muted });
  }

  /** @param {Int16Array<ArrayBuffer>} pcm 16 kHz; a copy is spoken */
  answer(pcm) {
    this.#order(this.#recorder, { kind: "answer", pcm });
  }

  /** @param {Int16Array<ArrayBuffer>} pcm is handed over */
  play(pcm) {
    this.#order(this.#player, { kind: "play", pcm }, [pcm.buffer]);
  }

  /** Be silent now. */
  flush() {
    this.#order(this.#player, { kind: "flush" });
  }

  /** @param {number} sourceRateHz of what `play` will be given */
  setSourceRate(sourceRateHz) {
    this.#order(this.#player, { kind: "rate", sourceRateHz });
  }

  /** After the device took the sound away (a phone call); call from a click or key press. */
  async resume() {
    if (this.#context.state !== "closed") await this.#context.resume();
  }

  async close() {
    this.closeMicrophone();
    if (this.#context.state !== "closed") await this.#context.close();
  }

  /**
   * @param {AudioWorkletNode} node
   * @param {RecorderOrder | PlayerOrder} order
   * @param {Transferable[]} [transfer]
   */
  #order(node, order, transfer = []) {
    node.port.postMessage(order, transfer);
  }
}

/** @param {MediaStream} stream */
function stopTracks(stream) {
  for (const track of stream.getTracks()) track.stop();
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

/**
 * @param {unknown} problem what getUserMedia rejected with
 * @returns {Trouble}
 */
function microphoneTrouble(problem) {
  const name = problem instanceof DOMException ? problem.name : "";
  if (name === "NotAllowedError" || name === "SecurityError") return "microphone-denied";
  if (name === "NotFoundError" || name === "OverconstrainedError") return "microphone-missing";
  return "microphone-busy";
}
