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
export { AudioError };
export type Chunk = import("./sound-format.js").Chunk;
export type PlayerReport = import("./sound-format.js").PlayerReport;
export type Trouble = import("./words.js").Trouble;
export type MicrophoneChoice = {
    deviceId?: string | undefined;
    constraints?: MediaTrackConstraints | undefined;
    stream?: MediaStream | undefined;
};
export declare class AudioDesk {
    #private;
    /** @type {(chunk: Chunk) => void} */
    onchunk: (chunk: Chunk) => void;
    /** @type {(report: PlayerReport) => void} */
    onreport: (report: PlayerReport) => void;
    /** @type {(kind: Trouble, active: boolean) => void} */
    ontrouble: (kind: Trouble, active: boolean) => void;
    /**
     * Call from a click or key press: browsers allow no sound before one.
     * @param {string} workletUrl where sound-worklet.js is served
     * @returns {Promise<AudioDesk>}
     * @throws {AudioError}
     */
    static open(workletUrl: string): Promise<AudioDesk>;
    /**
     * @param {string} workletUrl
     * @param {Engine} engine
     */
    constructor(workletUrl: string, engine: Engine);
    /** True where what is played is heard. */
    get runs(): boolean;
    /**
     * Open a microphone, or change to another. The one before is closed only when the new one is heard; a later choice,
     * or a close, makes this one void, and what becomes of it is nobody's trouble.
     * @param {MicrophoneChoice} [choice]
     * @throws {AudioError}
     */
    openMicrophone({ stream, ...choice }?: MicrophoneChoice): Promise<void>;
    /** The browser's "recording" sign goes out; silence is sent from here on, also in the place of one that is opening. */
    closeMicrophone(): void;
    get hasMicrophone(): boolean;
    /** @returns {string | undefined} the microphone's, where the browser says */
    get microphoneId(): string | undefined;
    /** @param {boolean} muted */
    mute(muted: boolean): void;
    /** @param {number} volume 0 … 1 */
    setVolume(volume: number): void;
    /** @param {string} deviceId "" is the system's own choice */
    setOutput(deviceId: string): Promise<void>;
    /** @param {Int16Array<ArrayBuffer>} pcm 16 kHz; a copy is spoken */
    answer(pcm: Int16Array<ArrayBuffer>): void;
    /** @param {Int16Array<ArrayBuffer>} pcm is handed over */
    play(pcm: Int16Array<ArrayBuffer>): void;
    /** Be silent now. */
    flush(): void;
    /** @param {number} sourceRateHz of what `play` will be given */
    setSourceRate(sourceRateHz: number): void;
    /**
     * Bring the sound back after the device took it away; call from a click or key press. During a telephone call the
     * device refuses: then the next call tries again.
     */
    resume(): Promise<void>;
    close(): Promise<void>;
}
