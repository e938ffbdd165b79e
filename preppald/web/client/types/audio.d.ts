/** The browser's sound: one AudioContext with a recorder and a player, each on the audio thread. */
export type Chunk = import("./sound-format.js").Chunk;
export type PlayerReport = import("./sound-format.js").PlayerReport;
export type PlayerOrder = import("./sound-format.js").PlayerOrder;
export type RecorderOrder = import("./sound-format.js").RecorderOrder;
export type Trouble = import("./endings.js").Trouble;
/** @typedef {import("./sound-format.js").Chunk} Chunk */
/** @typedef {import("./sound-format.js").PlayerReport} PlayerReport */
/** @typedef {import("./sound-format.js").PlayerOrder} PlayerOrder */
/** @typedef {import("./sound-format.js").RecorderOrder} RecorderOrder */
/** @typedef {import("./endings.js").Trouble} Trouble */
/** Why there is no sound: `kind` is a name that `explain` has words for. */
export declare class AudioError extends Error {
    kind: "audio-dropped" | "audio-paused" | "audio-unavailable" | "insecure-context" | "microphone-busy" | "microphone-denied" | "microphone-lost" | "microphone-missing" | "server-complaint";
    name: string;
    /**
     * @param {Trouble} kind
     * @param {unknown} [cause]
     */
    constructor(kind: Trouble, cause?: unknown);
}
export declare class AudioDesk {
    #private;
    /** @type {(chunk: Chunk) => void} */
    onchunk: (chunk: Chunk) => void;
    /** @type {(report: PlayerReport) => void} */
    onreport: (report: PlayerReport) => void;
    /** @type {(kind: Trouble) => void} the microphone was unplugged, or the device took the sound away */
    ontrouble: (kind: Trouble) => void;
    /**
     * Call from a click or key press: browsers allow no sound before one.
     * @param {string} workletUrl where sound-worklet.js is served
     * @returns {Promise<AudioDesk>}
     * @throws {AudioError}
     */
    static open(workletUrl: string): Promise<AudioDesk>;
    /** @param {AudioContext} context with the worklet loaded */
    constructor(context: AudioContext);
    /** @throws {AudioError} */
    openMicrophone(): Promise<void>;
    /** The browser's "recording" sign goes out; silence is sent from here on. */
    closeMicrophone(): void;
    get hasMicrophone(): boolean;
    /** @param {boolean} muted */
    mute(muted: boolean): void;
    /** @param {Int16Array<ArrayBuffer>} pcm 16 kHz; a copy is spoken */
    answer(pcm: Int16Array<ArrayBuffer>): void;
    /** @param {Int16Array<ArrayBuffer>} pcm is handed over */
    play(pcm: Int16Array<ArrayBuffer>): void;
    /** Be silent now. */
    flush(): void;
    /** @param {number} sourceRateHz of what `play` will be given */
    setSourceRate(sourceRateHz: number): void;
    /** After the device took the sound away (a phone call); call from a click or key press. */
    resume(): Promise<void>;
    close(): Promise<void>;
}
