/**
 * The sound on the wire, both ways: PCM, or Opus where this browser has it, the server grants it and the line needs it.
 *
 * Rule 1: sound leaves, and is heard, in its order, through every change of codec; nothing is lost at one.
 * Rule 2: whatever fails in a coder ends Opus for this interview, and not the interview.
 */

import { CodecChoice } from "./codec-choice.js";
import { Opus } from "./opus.js";
import { Codec, encodeAudioChunk, encodeAudioPackets, encodePrefer } from "./wire.js";

/** @typedef {import("./codec-choice.js").Codec} CodecName */
/** @typedef {"auto" | "opus" | "pcm"} AudioChoice */
/** @typedef {import("./wire.js").ServerMessage} ServerMessage */
/** @typedef {Extract<ServerMessage, {kind: "audioResponse"}>} AudioResponse */

/**
 * @typedef {object} CarrierOptions
 * @property {AudioChoice} audio
 * @property {string} workerUrl where opus-worker.js is served
 * @property {(message: Uint8Array<ArrayBuffer>) => void} send on the present connection, or nowhere
 * @property {(voice: AudioResponse) => void} onvoice the interviewer's, in PCM
 */

export class Carrier {
  #options;
  #choice = new CodecChoice();
  /** @type {Opus | null} */
  #opus = null;
  /** True where the present connection may carry Opus. */
  #granted = false;
  /** The codec of both ways, as it was last ordered. @type {CodecName} */
  #codec = "pcm";
  /** Ends of streams of which the last packets have not come back yet. */
  #finishing = 0;
  /** PCM that waits for the last packets before it. @type {Uint8Array[]} */
  #behind = [];
  /** True while the interviewer's voice goes by way of the worker. */
  #decoding = false;
  /** Counts interruptions and connections: the voice from before the last of them is stale … */
  #generation = 0;
  /** … and so are packets from before the last connection. */
  #connection = 0;
  #closed = false;

  /** @param {CarrierOptions} options */
  constructor(options) {
    this.#options = options;
  }

  /** Find out what this browser can do; until that is known, sound is PCM. */
  async prepare() {
    if (!this.#asks) return;
    const opus = await Opus.open(this.#options.workerUrl);
    if (opus === null) return;
    if (this.#closed) opus.close();
    else {
      opus.onanswer = (answer) => this.#onAnswer(answer);
      this.#opus = opus;
      this.#follow();
    }
  }

  get #asks() {
    return this.#options.audio !== "pcm" && Opus.thinkable;
  }

  /** @returns {CodecName} */
  get codec() {
    return this.#codec;
  }

  /** True where held sound is better sent after SessionStarted, for it may go as Opus then. */
  get waits() {
    return this.#opus !== null && this.#wanted === "opus";
  }

  get #wanted() {
    return this.#options.audio === "auto" ? this.#choice.codec : this.#options.audio;
  }

  /** @param {URL} address of the next connection: ask for Opus there */
  ask(address) {
    if (this.#asks) address.searchParams.set("codec", "opus");
  }

  /**
   * The server said what this connection may carry.
   * @param {number} codec
   */
  started(codec) {
    this.#granted = codec === Codec.OPUS;
    this.#follow();
  }

  /** The connection is gone; the next one begins with PCM. */
  lost() {
    this.#granted = false;
    this.#codec = "pcm";
    this.#finishing = 0;
    this.#behind = [];
    this.#decoding = false;
    this.#generation += 1;
    this.#connection = this.#generation;
    this.#opus?.order({ kind: "drop", generation: this.#generation });
  }

  /** @param {number} now */
  ranDry(now) {
    this.#choice.ranDry(now);
  }

  /**
   * @param {number} now
   * @param {number} lagMs
   */
  judge(now, lagMs) {
    this.#choice.judge(now, lagMs);
    this.#follow();
  }

  /**
   * True while the interviewer's voice breaks up, whatever carries it.
   * @param {number} now
   */
  stutters(now) {
    return this.#choice.stutters(now);
  }

  #follow() {
    const wanted = this.#granted && this.#opus !== null ? this.#wanted : "pcm";
    if (wanted === this.#codec) return;
    this.#codec = wanted;
    this.#options.send(encodePrefer(wanted === "opus" ? Codec.OPUS : Codec.PCM));
    if (wanted === "opus") return;
    this.#finishing += 1;
    this.#opus?.order({ kind: "finish" });
  }

  /** @param {Uint8Array[]} pieces PCM16 LE 16 kHz; taken over */
  send(pieces) {
    for (const pcm of pieces) {
      if (this.#codec === "opus") {
        const samples = new Int16Array(pcm.slice().buffer);
        this.#opus?.order({ kind: "encode", pcm: samples }, [samples.buffer]);
      } else if (this.#finishing > 0) this.#behind.push(pcm);
      else this.#options.send(encodeAudioChunk(pcm));
    }
  }

  /** @param {AudioResponse} message */
  receive(message) {
    if (message.packets.length > 0 && this.#opus !== null) {
      this.#decoding = true;
      this.#opus.order({ kind: "decode", packets: message.packets.map((packet) => packet.slice()) });
    } else if (this.#decoding && this.#opus !== null) {
      // Whole samples only: the server sends no others on a connection that may carry Opus.
      const pcm = new Int16Array(message.audioContent.slice(0, message.audioContent.length & ~1).buffer);
      this.#opus.order({ kind: "play", pcm }, [pcm.buffer]);
    } else this.#options.onvoice(message);
  }

  /** The candidate spoke over the interviewer: what is being decoded is stale. */
  interrupted() {
    if (!this.#decoding) return;
    this.#decoding = false;
    this.#generation += 1;
    this.#opus?.order({ kind: "silence", generation: this.#generation });
  }

  close() {
    this.#closed = true;
    this.#granted = false;
    this.#opus?.close();
    this.#opus = null;
  }

  /** @param {import("./opus.js").Answer} answer */
  #onAnswer(answer) {
    if (answer.kind === "packets") {
      if (answer.generation === this.#connection) this.#options.send(encodeAudioPackets(answer.packets));
    } else if (answer.kind === "finished") {
      if (answer.generation !== this.#connection) return;
      this.#finishing = Math.max(0, this.#finishing - 1);
      if (this.#finishing === 0) for (const pcm of this.#behind.splice(0)) this.#options.send(encodeAudioChunk(pcm));
    } else if (answer.kind === "voice") {
      if (answer.generation !== this.#generation) return;
      this.#options.onvoice({ kind: "audioResponse", audioContent: new Uint8Array(answer.pcm.buffer), packets: [] });
    } else if (answer.kind === "failed") this.#giveUp();
  }

  /** Rule 2. */
  #giveUp() {
    this.#opus?.close();
    this.#opus = null;
    this.#granted = this.#decoding = false;
    this.#finishing = 0;
    if (this.#codec === "opus") this.#options.send(encodePrefer(Codec.PCM));
    this.#codec = "pcm";
    for (const pcm of this.#behind.splice(0)) this.#options.send(encodeAudioChunk(pcm));
  }
}
