/**
 * The candidate's side of an interview's sound, before it and in it: opened when it is first asked for, with the
 * settings that were made before.
 */
export type MicrophoneChoice = import("./audio.js").MicrophoneChoice;
export type Chunk = import("./sound-format.js").Chunk;
export type PlayerReport = import("./sound-format.js").PlayerReport;
export type Trouble = import("./words.js").Trouble;
/** @typedef {import("./audio.js").MicrophoneChoice} MicrophoneChoice */
/** @typedef {import("./sound-format.js").Chunk} Chunk */
/** @typedef {import("./sound-format.js").PlayerReport} PlayerReport */
/** @typedef {import("./words.js").Trouble} Trouble */
export declare class Sound {
    #private;
    /** True while the interviewer is heard. */
    playing: boolean;
    /**
     * @param {string} workletUrl
     * @param {{onchunk: (chunk: Chunk) => void, onreport: (report: PlayerReport, changed: boolean) => void, ontrouble: (kind: Trouble, active: boolean) => void}} hooks
     *   changed: the voice began or ended
     */
    constructor(workletUrl: string, hooks: {
        onchunk: (chunk: Chunk) => void;
        onreport: (report: PlayerReport, changed: boolean) => void;
        ontrouble: (kind: Trouble, active: boolean) => void;
    });
    /** @throws {AudioError} */
    prepare(): Promise<void>;
    /**
     * @param {MicrophoneChoice} [choice]
     * @throws {AudioError}
     */
    openMicrophone(choice?: MicrophoneChoice): Promise<void>;
    closeMicrophone(): void;
    get hasMicrophone(): boolean;
    get microphoneId(): string | undefined;
    get muted(): boolean;
    set muted(muted: boolean);
    /** The microphone rests while the interviewer is heard. */
    get takesTurns(): boolean;
    set takesTurns(takesTurns: boolean);
    get volume(): number;
    set volume(volume: number);
    get loudspeakerId(): string;
    /** @param {string} deviceId */
    setLoudspeaker(deviceId: string): Promise<void>;
    /**
     * @param {number} ms
     * @returns {Promise<Int16Array<ArrayBuffer>>} PCM16 mono 16 kHz; shorter where another recording, or the end, cut it
     */
    record(ms: number): Promise<Int16Array<ArrayBuffer>>;
    /** @param {Int16Array<ArrayBuffer>} pcm PCM16 mono 16 kHz; a copy is played */
    playBack(pcm: Int16Array<ArrayBuffer>): void;
    /** @param {number} rateHz of what `play` will be given */
    setSourceRate(rateHz: number): void;
    /** @param {Int16Array<ArrayBuffer>} pcm is handed over */
    play(pcm: Int16Array<ArrayBuffer>): void;
    /** Be silent now. */
    flush(): void;
    /** @param {Int16Array<ArrayBuffer>} pcm PCM16 mono 16 kHz: spoken in the microphone's place */
    answer(pcm: Int16Array<ArrayBuffer>): void;
    resume(): Promise<void>;
    /**
     * Let the device's sound go; with `hearOut` only when the interviewer's last words were heard, or cannot be.
     * @param {{hearOut?: boolean}} [how]
     */
    close({ hearOut }?: {
        hearOut?: boolean;
    }): Promise<void>;
}
