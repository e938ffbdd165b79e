/**
 * One open microphone: its stream, and what the device does to it.
 *
 * Rule: whoever opens one closes it; what fails in between leaves none open.
 */

import { AudioError, microphoneTrouble } from "./audio-error.js";

/** @typedef {import("./words.js").Trouble} Trouble */

/**
 * The browser's own remedies for an interview at a laptop: the interviewer's voice must not come
 * back through the microphone, or it would interrupt itself.
 */
const CONSTRAINTS = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };

/** A device that changes its sample rate or its route mutes its track for a moment; that is no news. */
const MUTE_BELIEVED_MS = 500;

export class Microphone {
  /** @type {(kind: Trouble, active: boolean) => void} `microphone-muted` with its end, or what closed it */
  ontrouble = () => {};
  /** True where it was lost, and another may be opened without asking the user. */
  replaceable = false;

  #stream;
  #own;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #muteTimer;
  #watching = new AbortController();

  /**
   * Open a microphone; the browser asks the user if need be.
   * @param {{deviceId?: string | undefined, constraints?: MediaTrackConstraints | undefined}} [choice]
   * @throws {AudioError}
   */
  static async open({ deviceId, constraints } = {}) {
    if (globalThis.navigator?.mediaDevices === undefined) throw new AudioError("insecure-context");
    // A list that was made before the permission names none.
    const chosen = !deviceId ? {} : { deviceId: { exact: deviceId } };
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: { ...CONSTRAINTS, ...constraints, ...chosen } });
      return new Microphone(stream, true);
    } catch (problem) {
      throw new AudioError(microphoneTrouble(problem), problem);
    }
  }

  /**
   * @param {MediaStream} stream with a sound track
   * @param {boolean} own whether its tracks are ours to stop
   */
  constructor(stream, own) {
    this.#stream = stream;
    this.#own = own;
  }

  get stream() {
    return this.#stream;
  }

  /** The device in use, where the browser says. @returns {string | undefined} */
  get deviceId() {
    return this.#stream.getAudioTracks()[0]?.getSettings().deviceId;
  }

  /** Report from here on what the device does. */
  watch() {
    this.#watching.abort();
    this.#watching = new AbortController();
    const { signal } = this.#watching;
    // Listeners beside any others: `onended` and its like are the application's, where the stream is.
    for (const track of this.#stream.getAudioTracks()) {
      track.addEventListener("mute", () => this.#mutedSoon(track), { signal });
      track.addEventListener("unmute", () => this.#unmuted(), { signal });
      track.addEventListener("ended", () => void this.#ended(), { signal });
      if (track.muted) this.#mutedSoon(track);
    }
  }

  #unmuted() {
    clearTimeout(this.#muteTimer);
    this.ontrouble("microphone-muted", false);
  }

  /** @param {MediaStreamTrack} track */
  #mutedSoon(track) {
    clearTimeout(this.#muteTimer);
    this.#muteTimer = setTimeout(() => track.muted && this.ontrouble("microphone-muted", true), MUTE_BELIEVED_MS);
  }

  async #ended() {
    const permission = await microphonePermission();
    this.replaceable = this.#own && permission === "granted";
    this.ontrouble(permission === "denied" || permission === "prompt" ? "microphone-withdrawn" : "microphone-lost", true);
  }

  close() {
    clearTimeout(this.#muteTimer);
    this.#watching.abort();
    this.ontrouble = () => {};
    if (this.#own) for (const track of this.#stream.getTracks()) track.stop();
  }
}

/**
 * Return what the browser would do if the microphone was asked for now; "unknown" where it does not say.
 * @returns {Promise<PermissionState | "unknown">}
 */
export async function microphonePermission() {
  try {
    return (await navigator.permissions.query({ name: /** @type {PermissionName} */ ("microphone") })).state;
  } catch {
    return "unknown";
  }
}
