/**
 * The sound on the wire, both ways: PCM, or Opus where this browser has it, the server grants it and the line needs it.
 *
 * Rule 1: sound leaves, and is heard, in its order, through every change of codec; nothing is lost at one.
 * Rule 2: whatever fails in a coder ends Opus for this interview, and not the interview.
 */
export type CodecName = import("./codec-choice.js").Codec;
export type AudioChoice = "auto" | "opus" | "pcm";
export type ServerMessage = import("./wire.js").ServerMessage;
export type AudioResponse = Extract<ServerMessage, {
    kind: "audioResponse";
}>;
export type CarrierOptions = {
    audio: AudioChoice;
    /**
     * where opus-worker.js is served
     */
    workerUrl: string;
    /**
     * on the present connection, or nowhere
     */
    send: (message: Uint8Array<ArrayBuffer>) => void;
    /**
     * the interviewer's, in PCM
     */
    onvoice: (voice: AudioResponse) => void;
};
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
export declare class Carrier {
    #private;
    /** @param {CarrierOptions} options */
    constructor(options: CarrierOptions);
    /** Find out what this browser can do; until that is known, sound is PCM. */
    prepare(): Promise<void>;
    /** @returns {CodecName} */
    get codec(): CodecName;
    /** True where held sound is better sent after SessionStarted, for it may go as Opus then. */
    get waits(): boolean;
    /** @param {URL} address of the next connection: ask for Opus there */
    ask(address: URL): void;
    /**
     * The server said what this connection may carry.
     * @param {number} codec
     */
    started(codec: number): void;
    /** The connection is gone; the next one begins with PCM. */
    lost(): void;
    /** @param {number} now */
    ranDry(now: number): void;
    /**
     * @param {number} now
     * @param {number} lagMs
     */
    judge(now: number, lagMs: number): void;
    /**
     * True while the interviewer's voice breaks up, whatever carries it.
     * @param {number} now
     */
    stutters(now: number): boolean;
    /** @param {Uint8Array[]} pieces PCM16 LE 16 kHz; taken over */
    send(pieces: Uint8Array[]): void;
    /** @param {AudioResponse} message */
    receive(message: AudioResponse): void;
    /** The candidate spoke over the interviewer: what is being decoded is stale. */
    interrupted(): void;
    close(): void;
}
