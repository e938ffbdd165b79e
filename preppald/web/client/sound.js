/**
 * The candidate's side of an interview's sound, before it and in it: opened when it is first asked for, with the
 * settings that were made before.
 */

import { AudioDesk, AudioError } from "./audio.js";
import { Recording } from "./recording.js";
import { CAPTURE_RATE_HZ } from "./sound-format.js";

/** @typedef {import("./audio.js").MicrophoneChoice} MicrophoneChoice */
/** @typedef {import("./sound-format.js").Chunk} Chunk */
/** @typedef {import("./sound-format.js").PlayerReport} PlayerReport */
/** @typedef {import("./words.js").Trouble} Trouble */

export class Sound {
  /** True while the interviewer is heard. */
  playing = false;

  #workletUrl;
  #hooks;
  /** @type {Promise<void> | null} the sound, as soon as it was asked for */
  #opening = null;
  /** @type {AudioDesk | null} */
  #desk = null;
  #closed = false;
  /** How often the microphone was closed: one that waits for the sound to open is closed by that, too. */
  #closings = 0;
  #muted = false;
  #takesTurns = false;
  #volume = 1;
  #output = "";
  /** @type {Recording | null} */
  #recording = null;

  /**
   * @param {string} workletUrl
   * @param {{onchunk: (chunk: Chunk) => void, onreport: (report: PlayerReport, changed: boolean) => void, ontrouble: (kind: Trouble, active: boolean) => void}} hooks
   *   changed: the voice began or ended
   */
  constructor(workletUrl, hooks) {
    this.#workletUrl = workletUrl;
    this.#hooks = hooks;
  }

  /** @throws {AudioError} */
  async prepare() {
    if (this.#closed) throw new AudioError("interview-over");
    this.#opening ??= this.#open();
    try {
      await this.#opening;
    } catch (problem) {
      this.#opening = null;
      throw problem;
    }
  }

  async #open() {
    const desk = await AudioDesk.open(this.#workletUrl);
    if (this.#closed) {
      await desk.close();
      throw new AudioError("interview-over");
    }
    desk.onchunk = (chunk) => this.#onChunk(chunk);
    desk.onreport = (report) => this.#onReport(report);
    desk.ontrouble = (kind, active) => this.#onTrouble(kind, active);
    this.#desk = desk;
    this.#mute();
    desk.setVolume(this.#volume);
    if (this.#output !== "") await desk.setOutput(this.#output).catch(() => {});
  }

  /**
   * @param {MicrophoneChoice} [choice]
   * @throws {AudioError}
   */
  async openMicrophone(choice) {
    const closings = this.#closings;
    await this.prepare();
    if (this.#desk === null) throw new AudioError("interview-over");
    if (closings !== this.#closings) return;
    await this.#desk.openMicrophone(choice);
  }

  closeMicrophone() {
    this.#closings += 1;
    this.#desk?.closeMicrophone();
  }

  get hasMicrophone() {
    return this.#desk?.hasMicrophone ?? false;
  }

  get microphoneId() {
    return this.#desk?.microphoneId;
  }

  get muted() {
    return this.#muted;
  }

  set muted(muted) {
    this.#muted = muted;
    this.#mute();
  }

  /** The microphone rests while the interviewer is heard. */
  get takesTurns() {
    return this.#takesTurns;
  }

  set takesTurns(takesTurns) {
    this.#takesTurns = takesTurns;
    this.#mute();
  }

  #mute() {
    this.#desk?.mute(this.#muted || (this.#takesTurns && this.playing));
  }

  get volume() {
    return this.#volume;
  }

  set volume(volume) {
    // A page may set what it has kept, or not kept yet.
    const asked = Number.parseFloat(String(volume));
    if (Number.isNaN(asked)) return;
    this.#volume = Math.min(1, Math.max(0, asked));
    this.#desk?.setVolume(this.#volume);
  }

  get loudspeakerId() {
    return this.#output;
  }

  /** @param {string} deviceId */
  async setLoudspeaker(deviceId) {
    await this.#desk?.setOutput(deviceId);
    this.#output = deviceId;
  }

  /**
   * @param {number} ms
   * @returns {Promise<Int16Array<ArrayBuffer>>} PCM16 mono 16 kHz; shorter where another recording, or the end, cut it
   */
  record(ms) {
    this.#cutRecording();
    const recording = new Recording(ms);
    if (this.#closed) recording.cut();
    else this.#recording = recording;
    return recording.whole;
  }

  #cutRecording() {
    this.#recording?.cut();
    this.#recording = null;
  }

  /** @param {Int16Array<ArrayBuffer>} pcm PCM16 mono 16 kHz; a copy is played */
  playBack(pcm) {
    this.#desk?.setSourceRate(CAPTURE_RATE_HZ);
    this.#desk?.play(pcm.slice());
  }

  /** @param {number} rateHz of what `play` will be given */
  setSourceRate(rateHz) {
    this.#desk?.setSourceRate(rateHz);
  }

  /** @param {Int16Array<ArrayBuffer>} pcm is handed over */
  play(pcm) {
    this.#desk?.play(pcm);
  }

  /** Be silent now. */
  flush() {
    this.#desk?.flush();
  }

  /** @param {Int16Array<ArrayBuffer>} pcm PCM16 mono 16 kHz: spoken in the microphone's place */
  answer(pcm) {
    this.#desk?.answer(pcm);
  }

  async resume() {
    await this.#desk?.resume();
  }

  /**
   * Let the device's sound go; with `hearOut` only when the interviewer's last words were heard, or cannot be.
   * @param {{hearOut?: boolean}} [how]
   */
  async close({ hearOut = false } = {}) {
    this.#closed = true;
    this.#cutRecording();
    this.closeMicrophone();
    if (hearOut && this.playing && this.#desk?.runs) return;
    const desk = this.#desk;
    this.#desk = null;
    await desk?.close();
  }

  /** @param {Chunk} chunk */
  #onChunk(chunk) {
    if (this.#recording?.put(chunk.pcm)) this.#recording = null;
    this.#hooks.onchunk(chunk);
  }

  /** @param {PlayerReport} report */
  #onReport(report) {
    const changed = report.playing !== this.playing;
    this.playing = report.playing;
    if (changed && this.#takesTurns) this.#mute();
    if (this.#closed && !report.playing) void this.close();
    this.#hooks.onreport(report, changed);
  }

  /**
   * @param {Trouble} kind
   * @param {boolean} active
   */
  #onTrouble(kind, active) {
    this.#hooks.ontrouble(kind, active);
    // Words that were to be heard out stand still for ever: nobody is asked for a gesture after the end.
    if (active && this.#closed && this.#desk?.runs === false) void this.close();
  }
}
