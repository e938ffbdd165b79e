/** One interview in the client: what the server says and what the sound does become states, turns and events. */
import { Hearing } from "./hearing.js";
import { Troubles } from "./troubles.js";
import { Turns } from "./turns.js";
export type Quality = import("./connection.js").Quality;
export type InterviewEvents = import("./events.js").InterviewEvents;
export type InterviewState = import("./events.js").InterviewState;
export type KeptInterview = import("./memory.js").KeptInterview;
export type ServerMessage = import("./wire.js").ServerMessage;
export type Trouble = import("./words.js").Trouble;
export type Surroundings = {
    sound: import("./sound.js").Sound;
    words: import("./words.js").Words;
    memory: import("./memory.js").Memory | null;
    wakeLock: import("./wake-lock.js").WakeLock | null;
    carrying: {
        audio: import("./carrier.js").AudioChoice;
        opusWorkerUrl: string;
    };
    emit: <Name extends keyof InterviewEvents>(name: Name, detail: InterviewEvents[Name]) => void;
};
export declare class Interview {
    #private;
    /** @type {InterviewState} */
    state: InterviewState;
    turns: Turns;
    troubles: Troubles;
    hearing: Hearing;
    /** True while a recorded answer is being spoken. */
    answering: boolean;
    /** True while the interview pauses at the candidate's wish. */
    holding: boolean;
    closed: boolean;
    /** @param {Surroundings} surroundings */
    constructor({ sound, words, memory, wakeLock, carrying, emit }: Surroundings);
    /** @returns {number | null} */
    get remainingMs(): number | null;
    get quality(): {
        quality: import("./connection.js").Quality;
        lagMs: number;
        droppedMs: number;
        codec: import("./connection.js").CodecName;
    };
    /** Servers that say their grace take `hold`, too. */
    get canHold(): boolean;
    /** … and typed answers. */
    get canSendText(): boolean;
    /** @param {{url: string, token?: string | (() => string | Promise<string>) | undefined}} options */
    start({ url, token }: {
        url: string;
        token?: string | (() => string | Promise<string>) | undefined;
    }): void;
    /** @param {boolean} on */
    hold(on: boolean): void;
    /**
     * @param {string} text
     * @returns {boolean}
     */
    sendText(text: string): boolean;
    end(): void;
    close(): void;
    /** @param {import("./sound-format.js").Chunk} chunk */
    onChunk(chunk: import("./sound-format.js").Chunk): void;
    /**
     * @param {import("./sound-format.js").PlayerReport} report
     * @param {boolean} changed
     */
    onReport({ playing, level, droppedMs, dried, playedAt }: import("./sound-format.js").PlayerReport, changed: boolean): void;
    /**
     * @param {Trouble} kind
     * @param {boolean} active
     */
    trouble(kind: Trouble, active: boolean): void;
}
