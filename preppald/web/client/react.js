/**
 * Hooks for React 18 and later.
 *
 * Rule 1: the client outlives a component that React unmounts and mounts again at once, as StrictMode does: there is no
 *         second connection, and no second question for the microphone.
 * Rule 2: a component that is gone for good lets go of its interview, which the server holds for its grace.
 */

import { useEffect, useState, useSyncExternalStore } from "react";
import { AudioError, InterviewClient } from "./preppal-client.js";

/** @typedef {import("./preppal-client.js").ClientOptions} ClientOptions */
/** @typedef {import("./preppal-client.js").InterviewEvents} InterviewEvents */
/** @typedef {import("./preppal-client.js").InterviewState} InterviewState */
/** @typedef {import("./preppal-client.js").MicrophoneChoice} MicrophoneChoice */
/** @typedef {import("./preppal-client.js").Quality} Quality */
/** @typedef {import("./preppal-client.js").Trouble} Trouble */
/** @typedef {import("./preppal-client.js").Turn} Turn */

/**
 * As for InterviewClient's `start`.
 * @typedef {{url: string, token?: string | (() => string | Promise<string>) | undefined}} StartOptions
 */

/**
 * An interview at one moment; a new object at each change but those of levels.
 * @typedef {object} InterviewSnapshot
 * @property {InterviewClient} client for all that is not here; another one after `renew`
 * @property {InterviewState} state
 * @property {readonly Turn[]} turns
 * @property {readonly Trouble[]} troubles
 * @property {InterviewEvents["notice"] | null} notice the newest
 * @property {InterviewEvents["textRefused"] | null} textRefused the newest
 * @property {InterviewEvents["ended"] | null} ended
 * @property {Quality} quality
 * @property {boolean} hearsCandidate
 * @property {boolean} holding
 * @property {boolean} muted
 * @property {boolean} hasMicrophone
 * @property {boolean} canHold
 * @property {boolean} canSendText
 */

/**
 * @typedef {object} InterviewActions
 * @property {(interview: StartOptions | (() => StartOptions | Promise<StartOptions>), microphone?: boolean | MicrophoneChoice) => Promise<void>} start
 *   opens sound and microphone (false: none), asks for the interview and begins it. A second call is the first one's, and
 *   asks for nothing. Rejects with an AudioError, or with what the function threw, and may then be called again
 * @property {() => void} end
 * @property {(on?: boolean) => void} hold
 * @property {(text: string) => boolean} sendText
 * @property {(muted: boolean) => void} setMuted
 * @property {() => Promise<void>} resume
 * @property {() => void} renew lets go of this interview, for another one
 */

/** Every event after which a snapshot may be another one; levels have a hook of their own. */
const CHANGING = /** @type {const} */ (["state", "transcript", "interrupted", "notice", "speaking", "hold", "quality", "trouble", "textRefused", "ended", "answer"]);

class Held {
  #options;
  #client;
  /** @type {Set<() => void>} */
  #listeners = new Set();
  /** @type {InterviewSnapshot | null} */
  #snapshot = null;
  /** @type {Pick<InterviewSnapshot, "notice" | "textRefused" | "ended">} */
  #newest = { notice: null, textRefused: null, ended: null };
  /** @type {Promise<void> | null} */
  #starting = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #leaving;
  /** @type {InterviewActions} */
  actions;

  /** @param {ClientOptions} options */
  constructor(options) {
    this.#options = options;
    this.#client = this.#newClient();
    this.actions = {
      start: (interview, microphone = true) => this.#start(interview, microphone),
      end: () => this.#client.end(),
      hold: (on) => this.#client.hold(on),
      sendText: (text) => this.#client.sendText(text),
      setMuted: (muted) => {
        this.#client.muted = muted;
        this.#change();
      },
      resume: () => this.#client.resume(),
      renew: () => this.#renew(),
    };
  }

  #newClient() {
    const client = new InterviewClient(this.#options);
    for (const name of CHANGING) client.on(name, () => client === this.#client && this.#change());
    for (const name of /** @type {const} */ (["notice", "textRefused", "ended"])) {
      client.addEventListener(name, (event) => {
        this.#newest = { ...this.#newest, [name]: /** @type {CustomEvent} */ (event).detail };
        this.#change();
      });
    }
    return client;
  }

  /** Rule 1: mounted again at once, nothing has happened. */
  mount = () => {
    clearTimeout(this.#leaving);
    return () => {
      this.#leaving = setTimeout(() => this.#renew(), 0);
    };
  };

  #renew() {
    void this.#client.close();
    this.#newest = { notice: null, textRefused: null, ended: null };
    this.#starting = null;
    this.#client = this.#newClient();
    this.#change();
  }

  /**
   * @param {StartOptions | (() => StartOptions | Promise<StartOptions>)} interview
   * @param {boolean | MicrophoneChoice} microphone
   */
  #start(interview, microphone) {
    this.#starting ??= this.#begin(this.#client, interview, microphone).catch((problem) => {
      this.#starting = null;
      throw problem;
    });
    return this.#starting;
  }

  /**
   * @param {InterviewClient} client
   * @param {StartOptions | (() => StartOptions | Promise<StartOptions>)} interview
   * @param {boolean | MicrophoneChoice} microphone
   */
  async #begin(client, interview, microphone) {
    // In the click, and before the interview's time runs.
    if (microphone === false) await client.prepare();
    else await client.openMicrophone(microphone === true ? undefined : microphone);
    try {
      const options = typeof interview === "function" ? await interview() : interview;
      if (client === this.#client) client.start(options);
    } catch (problem) {
      client.closeMicrophone();
      throw problem;
    }
    this.#change();
  }

  #change() {
    this.#snapshot = null;
    for (const listener of this.#listeners) listener();
  }

  /** @param {() => void} listener */
  subscribe = (listener) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** @returns {InterviewSnapshot} */
  snapshot = () => {
    const client = this.#client;
    this.#snapshot ??= {
      client,
      state: client.state,
      turns: client.turns.map((turn) => ({ ...turn })),
      troubles: client.troubles,
      ...this.#newest,
      quality: client.quality.quality,
      hearsCandidate: client.hearsCandidate,
      holding: client.holding,
      muted: client.muted,
      hasMicrophone: client.hasMicrophone,
      canHold: client.canHold,
      canSendText: client.canSendText,
    };
    return this.#snapshot;
  };
}

/**
 * Hold an interview for as long as the component is there. Nothing begins before `start`.
 * @param {ClientOptions} [options] those of the first rendering count
 * @returns {InterviewSnapshot & InterviewActions}
 */
export function useInterview(options = {}) {
  const [held] = useState(() => new Held(options));
  useEffect(held.mount, [held]);
  const snapshot = useSyncExternalStore(held.subscribe, held.snapshot, held.snapshot);
  return { ...snapshot, ...held.actions };
}

/**
 * Return the loudness of both voices, 0 … 1, twenty times a second: for a small component of its own.
 * @param {InterviewClient} client
 * @returns {InterviewEvents["level"]}
 */
export function useLevels(client) {
  const [levels, setLevels] = useState({ microphone: 0, interviewer: 0 });
  useEffect(() => client.on("level", setLevels), [client]);
  return levels;
}

/** The clock shows seconds; asking four times in one never skips any. */
const CLOCK_EVERY_MS = 250;

/**
 * Return the whole seconds left of the interview; null until the server has said.
 * @param {InterviewClient} client
 * @returns {number | null}
 */
export function useSecondsLeft(client) {
  const [seconds, setSeconds] = useState(/** @type {number | null} */ (null));
  useEffect(() => {
    const look = () => setSeconds(client.remainingMs === null ? null : Math.ceil(client.remainingMs / 1000));
    look();
    const clock = setInterval(look, CLOCK_EVERY_MS);
    return () => clearInterval(clock);
  }, [client]);
  return seconds;
}

export { AudioError };
