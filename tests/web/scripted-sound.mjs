/** A device's sound for tests: contexts, worklets and microphones that do what the test says. Importing it sets them up for each test. */

import { beforeEach } from "node:test";
import { settle } from "./scripted-line.mjs";

export class FakeContext {
  /** @type {FakeContext[]} */
  static all = [];
  state = "running";
  currentTime = 0;
  audioWorklet = { addModule: async () => {} };
  destination = {};

  constructor() {
    FakeContext.all.push(this);
  }
  async resume() {
    this.becomes("running");
  }
  async close() {
    this.becomes("closed");
  }
  becomes(state) {
    this.state = state;
    this.onstatechange?.();
  }
  createMediaStreamSource() {
    return new FakeNode(this, "source");
  }
}

class FakeNode {
  /** @type {FakeNode[]} */
  static all = [];
  orders = [];
  port = { onmessage: null, postMessage: (order) => void this.orders.push(order) };

  constructor(context, name) {
    Object.assign(this, { context, name });
    FakeNode.all.push(this);
  }
  connect() {}
  disconnect() {}
}

/** As browsers have it: a value that is no number is refused. */
class FakeGain {
  gain = {
    set value(value) {
      if (!Number.isFinite(value)) throw new TypeError("The provided float value is non-finite.");
    },
  };
  connect() {}
}

export class FakeTrack extends EventTarget {
  muted = false;
  stopped = false;

  constructor(deviceId, kind = "audio") {
    super();
    Object.assign(this, { deviceId, kind });
  }
  stop() {
    this.stopped = true;
  }
  getSettings() {
    return { deviceId: this.deviceId };
  }
}

export const streamOf = (...tracks) => ({ getTracks: () => tracks, getAudioTracks: () => tracks.filter(({ kind }) => kind === "audio") });

/** The microphones that the browser was asked for; each waits for `opens` or `fails`. */
export const asked = [];

beforeEach(() => {
  FakeContext.all = [];
  FakeNode.all = [];
  asked.length = 0;
  Object.assign(globalThis, { isSecureContext: true, AudioContext: FakeContext, AudioWorkletNode: FakeNode, GainNode: FakeGain });
  const getUserMedia = ({ audio }) =>
    new Promise((resolve, reject) => {
      const track = new FakeTrack(audio.deviceId?.exact);
      const opens = async () => (resolve(streamOf(track)), await settle());
      const fails = async (name) => (reject(new DOMException("", name)), await settle());
      asked.push({ track, opens, fails });
    });
  Object.defineProperty(globalThis, "navigator", { configurable: true, value: { mediaDevices: { getUserMedia } } });
});

const newest = (name) => FakeNode.all.findLast((node) => node.name === name);
export const recorder = () => newest("preppal-recorder");
export const player = () => newest("preppal-player");

/** The player's word on what is heard. */
export const plays = (playing) =>
  player().port.onmessage({ data: { playing, level: playing ? 0.5 : 0, bufferedMs: 0, droppedMs: 0, dried: 0, playedAt: Date.now() } });

/** A piece of the recorder's, of 40 ms. */
export const records = (pcm = new Int16Array(640)) =>
  recorder().port.onmessage({ data: { pcm, level: 0, answering: false, zero: false, saidAt: Date.now() } });
