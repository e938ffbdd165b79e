/**
 * The browser's sound for an interview: an engine, and at most one microphone that it hears.
 *
 * Rule 1: whatever fails after the user's permission leaves no microphone open.
 * Rule 2: a sound that stands still is made anew by the next gesture; the interview knows nothing of it.
 * Rule 3: in the place of a microphone that was pulled out the system's choice is heard, where nobody need be asked.
 * Rule 4: of several microphones that are opening the one that was asked for last is heard, and none behind a close.
 */

import { AudioError } from "./audio-error.js";
import { Engine } from "./engine.js";
import { Microphone } from "./microphone.js";
import { LOOK_EVERY_MS, SoundClock } from "./sound-clock.js";
import { VOICE_RATE_HZ } from "./sound-format.js";

export { AudioError };

/** @typedef {import("./sound-format.js").Chunk} Chunk */
/** @typedef {import("./sound-format.js").PlayerReport} PlayerReport */
/** @typedef {import("./words.js").Trouble} Trouble */

/** @typedef {{deviceId?: string | undefined, constraints?: MediaTrackConstraints | undefined, stream?: MediaStream | undefined}} MicrophoneChoice stream: an application's own; its tracks stay the application's to stop */

/** Longer than a device takes to open: after that the candidate must know. */
const REPLACED_WITHIN_MS = 1000;

/** Troubles of a microphone, which end with it. */
const MICROPHONE_TROUBLES = /** @type {const} */ (["microphone-muted", "microphone-lost", "microphone-withdrawn", "microphone-silent"]);

export class AudioDesk {
  /** @type {(chunk: Chunk) => void} */
  onchunk = () => {};
  /** @type {(report: PlayerReport) => void} */
  onreport = () => {};
  /** @type {(kind: Trouble, active: boolean) => void} */
  ontrouble = () => {};

  #workletUrl;
  #engine;
  #clock = new SoundClock();
  #looking;
  #standing = false;
  /** True once the audio thread failed: its clock may run on. */
  #crashed = false;
  #closed = false;
  /** @type {Microphone | null} */
  #microphone = null;
  /** @type {MediaStreamAudioSourceNode | null} */
  #source = null;
  /** Counts the choices of a microphone, or of none … */
  #choices = 0;
  /** … of which this one is in force. */
  #inForce = 0;
  /** @type {MediaTrackConstraints | undefined} of the application, for any microphone */
  #constraints;
  /** @type {AbortController | null} the search for another microphone */
  #replacing = null;
  /** @type {Promise<void> | null} */
  #renewal = null;
  #muted = false;
  #volume = 1;
  #output = "";
  #sourceRateHz = VOICE_RATE_HZ;

  /**
   * Call from a click or key press: browsers allow no sound before one.
   * @param {string} workletUrl where sound-worklet.js is served
   * @returns {Promise<AudioDesk>}
   * @throws {AudioError}
   */
  static async open(workletUrl) {
    return new AudioDesk(workletUrl, await Engine.open(workletUrl));
  }

  /**
   * @param {string} workletUrl
   * @param {Engine} engine
   */
  constructor(workletUrl, engine) {
    this.#workletUrl = workletUrl;
    this.#engine = engine;
    this.#adopt(engine);
    this.#looking = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  /** @param {Engine} engine */
  #adopt(engine) {
    engine.onchunk = (chunk) => this.onchunk(chunk);
    engine.onreport = (report) => this.onreport(report);
    engine.onstate = (crashed) => {
      if (crashed) this.#crashed = true;
      if (crashed) this.#stand(true);
      this.#paused();
    };
  }

  #paused() {
    const { state } = this.#engine.context;
    this.ontrouble("audio-paused", !this.#closed && state !== "running" && state !== "closed");
  }

  #look() {
    const { currentTime, state } = this.#engine.context;
    const stands = this.#clock.stands(performance.now(), currentTime, state === "running");
    if (stands || this.#crashed) this.#stand(true);
    else if (state === "running") this.#stand(false);
  }

  /** @param {boolean} standing */
  #stand(standing) {
    this.#standing = standing;
    this.ontrouble("sound-stopped", standing && !this.#closed);
  }

  /** True where what is played is heard. */
  get runs() {
    return !this.#standing && this.#engine.context.state === "running";
  }

  /**
   * Open a microphone, or change to another. The one before is closed only when the new one is heard; a later choice,
   * or a close, makes this one void, and what becomes of it is nobody's trouble.
   * @param {MicrophoneChoice} [choice]
   * @throws {AudioError}
   */
  async openMicrophone({ stream, ...choice } = {}) {
    this.#choices += 1;
    const number = this.#choices;
    let microphone;
    try {
      microphone = stream === undefined ? await Microphone.open(choice) : new Microphone(stream, false);
    } catch (problem) {
      if (this.#isVoid(number)) return;
      throw problem;
    }
    if (this.#isVoid(number)) return microphone.close();
    this.#hear(microphone);
    this.#inForce = number;
    this.#constraints = choice.constraints;
  }

  /** @param {number} number a choice's; behind the interview's end it is told so */
  #isVoid(number) {
    return number < this.#inForce && !this.#closed;
  }

  /** @param {Microphone} microphone from here on in the place of the one before */
  #hear(microphone) {
    let source;
    try {
      // The user may take a minute to answer; by then the page may have closed us.
      if (this.#closed) throw new AudioError("interview-over");
      source = this.#engine.hear(microphone.stream);
    } catch (problem) {
      microphone.close();
      throw problem instanceof AudioError ? problem : new AudioError("audio-unavailable", problem);
    }
    this.#drop();
    this.#microphone = microphone;
    this.#source = source;
    microphone.ontrouble = (kind, active) => {
      if (kind !== "microphone-muted") this.#drop();
      if (kind === "microphone-lost" && microphone.replaceable) void this.#replace();
      else this.ontrouble(kind, active);
    };
    microphone.watch();
  }

  /** Rule 3. */
  async #replace() {
    const { signal } = (this.#replacing = new AbortController());
    const tell = () => signal.aborted || this.ontrouble("microphone-lost", true);
    const late = setTimeout(tell, REPLACED_WITHIN_MS);
    try {
      const microphone = await Microphone.open({ constraints: this.#constraints });
      // Meanwhile the candidate may have chosen one, or the interview may be over.
      if (signal.aborted) return void microphone.close();
      this.#hear(microphone);
      this.ontrouble("microphone-changed", true);
    } catch {
      tell();
    } finally {
      clearTimeout(late);
    }
  }

  /** The browser's "recording" sign goes out; silence is sent from here on, also in the place of one that is opening. */
  closeMicrophone() {
    this.#choices += 1;
    this.#inForce = this.#choices;
    this.#drop();
  }

  #drop() {
    this.#replacing?.abort();
    this.#microphone?.close();
    this.#source?.disconnect();
    this.#microphone = this.#source = null;
    for (const kind of MICROPHONE_TROUBLES) this.ontrouble(kind, false);
  }

  get hasMicrophone() {
    return this.#microphone !== null;
  }

  /** @returns {string | undefined} the microphone's, where the browser says */
  get microphoneId() {
    return this.#microphone?.deviceId;
  }

  /** @param {boolean} muted */
  mute(muted) {
    this.#muted = muted;
    this.#engine.record({ kind: "mute", muted });
  }

  /** @param {number} volume 0 … 1 */
  setVolume(volume) {
    this.#volume = volume;
    this.#engine.setVolume(volume);
  }

  /** @param {string} deviceId "" is the system's own choice */
  async setOutput(deviceId) {
    await this.#engine.setOutput(deviceId);
    this.#output = deviceId;
  }

  /** @param {Int16Array<ArrayBuffer>} pcm 16 kHz; a copy is spoken */
  answer(pcm) {
    this.#engine.record({ kind: "answer", pcm });
  }

  /** @param {Int16Array<ArrayBuffer>} pcm is handed over */
  play(pcm) {
    this.#engine.play({ kind: "play", pcm }, [pcm.buffer]);
  }

  /** Be silent now. */
  flush() {
    this.#engine.play({ kind: "flush" });
  }

  /** @param {number} sourceRateHz of what `play` will be given */
  setSourceRate(sourceRateHz) {
    this.#sourceRateHz = sourceRateHz;
    this.#engine.play({ kind: "rate", sourceRateHz });
  }

  /**
   * Bring the sound back after the device took it away; call from a click or key press. During a telephone call the
   * device refuses: then the next call tries again.
   */
  async resume() {
    const { context } = this.#engine;
    if (this.#closed) return;
    if (this.#standing) await (this.#renewal ??= this.#renew().finally(() => (this.#renewal = null)));
    else if (context.state !== "running") await context.resume().catch(() => {});
  }

  /** Rule 2. */
  async #renew() {
    let engine;
    try {
      engine = await Engine.open(this.#workletUrl);
      if (this.#closed) throw new AudioError("interview-over");
      const source = this.#microphone === null ? null : engine.hear(this.#microphone.stream);
      const old = this.#engine;
      this.#engine = engine;
      this.#source?.disconnect();
      this.#source = source;
      this.#clock = new SoundClock();
      this.#crashed = false;
      this.#adopt(engine);
      void old.close();
      // A new player has nothing to play, and tells changes only.
      this.onreport({ playing: false, level: 0, bufferedMs: 0, droppedMs: 0, dried: 0, playedAt: Date.now() });
      this.mute(this.#muted);
      this.setVolume(this.#volume);
      this.setSourceRate(this.#sourceRateHz);
      if (this.#output !== "") await engine.setOutput(this.#output).catch(() => {});
      this.#stand(false);
      this.#paused();
    } catch {
      // The trouble stays, and the next gesture tries again.
      if (engine !== this.#engine) await engine?.close();
    }
  }

  async close() {
    this.#closed = true;
    clearInterval(this.#looking);
    this.closeMicrophone();
    this.ontrouble("audio-paused", false);
    this.ontrouble("sound-stopped", false);
    await this.#engine.close();
  }
}
