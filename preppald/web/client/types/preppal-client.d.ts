/** Holds a spoken mock interview with preppald from a web page; README.md says how. */
import { AudioError } from "./audio-error.js";
import { loudspeakers, microphones, onDevicesChanged, preflight } from "./devices.js";
import { NOT_HELD } from "./endings.js";
import { Reporter } from "./events.js";
import { TEXT_ANSWER_CHARS } from "./typed-answers.js";
import { NoticeKind } from "./wire.js";
import { WORDS, explain } from "./words.js";
export { AudioError, NOT_HELD, NoticeKind, TEXT_ANSWER_CHARS, WORDS, explain };
export { loudspeakers, microphones, onDevicesChanged, preflight };
export type MicrophoneChoice = import("./audio.js").MicrophoneChoice;
export type Quality = import("./connection.js").Quality;
export type Device = import("./devices.js").Device;
export type Ending = import("./words.js").Ending;
export type TextProblem = import("./words.js").TextProblem;
export type Trouble = import("./words.js").Trouble;
export type Words = import("./words.js").Words;
export type InterviewEvents = import("./events.js").InterviewEvents;
export type InterviewState = import("./events.js").InterviewState;
export type KeptInterview = import("./memory.js").KeptInterview;
export type Speaker = import("./turns.js").Speaker;
export type Turn = import("./turns.js").Turn;
export type ClientOptions = {
    /**
     * where sound-worklet.js is served, if not beside this module
     */
    workletUrl?: string;
    /**
     * of the words in events: "en" (default) or "de"
     */
    language?: string;
    /**
     * the application's own, in front of the language's
     */
    words?: Partial<Words>;
    /**
     * keep the interview's token in localStorage while the interview lives, so that
     * `InterviewClient.kept()` finds the interview after a reload; off unless asked for
     */
    remember?: boolean;
    /**
     * how sound travels: PCM, which takes 256 kbit/s up and 384 down; Opus, which
     * takes a tenth, where browser and server have it; or, unless told otherwise, PCM until the line has no room for it
     */
    audio?: "auto" | "opus" | "pcm";
    /**
     * where opus-worker.js is served, if not beside this module
     */
    opusWorkerUrl?: string;
    /**
     * keep the screen on while the interview is live; on unless told otherwise
     */
    wakeLock?: boolean;
};
/** @typedef {import("./audio.js").MicrophoneChoice} MicrophoneChoice */
/** @typedef {import("./connection.js").Quality} Quality */
/** @typedef {import("./devices.js").Device} Device */
/** @typedef {import("./words.js").Ending} Ending */
/** @typedef {import("./words.js").TextProblem} TextProblem */
/** @typedef {import("./words.js").Trouble} Trouble */
/** @typedef {import("./words.js").Words} Words */
/** @typedef {import("./events.js").InterviewEvents} InterviewEvents */
/** @typedef {import("./events.js").InterviewState} InterviewState */
/** @typedef {import("./memory.js").KeptInterview} KeptInterview */
/** @typedef {import("./turns.js").Speaker} Speaker */
/** @typedef {import("./turns.js").Turn} Turn */
/**
 * @typedef {object} ClientOptions
 * @property {string} [workletUrl] where sound-worklet.js is served, if not beside this module
 * @property {string} [language] of the words in events: "en" (default) or "de"
 * @property {Partial<Words>} [words] the application's own, in front of the language's
 * @property {boolean} [remember] keep the interview's token in localStorage while the interview lives, so that
 *   `InterviewClient.kept()` finds the interview after a reload; off unless asked for
 * @property {"auto" | "opus" | "pcm"} [audio] how sound travels: PCM, which takes 256 kbit/s up and 384 down; Opus, which
 *   takes a tenth, where browser and server have it; or, unless told otherwise, PCM until the line has no room for it
 * @property {string} [opusWorkerUrl] where opus-worker.js is served, if not beside this module
 * @property {boolean} [wakeLock] keep the screen on while the interview is live; on unless told otherwise
 */
/** One interview. Make another for the next one. */
export declare class InterviewClient extends Reporter {
    #private;
    /** @param {ClientOptions} [options] */
    constructor({ workletUrl, language, words, remember, wakeLock, audio, opusWorkerUrl }?: ClientOptions);
    /** Return the interviews of this page that the server may still hold, the newest first: for `start`. @returns {KeptInterview[]} */
    static kept(): KeptInterview[];
    /** @param {string} interviewId that shall not be offered again */
    static forget(interviewId: string): void;
    /** @returns {InterviewState} */
    get state(): InterviewState;
    /**
     * The transcript, in the order in which the turns began.
     * @returns {readonly Turn[]}
     */
    get turns(): readonly Turn[];
    /** The present troubles, the most urgent first. @returns {readonly Trouble[]} */
    get troubles(): readonly Trouble[];
    /** Milliseconds left of the interview; null until the server has said. @returns {number | null} */
    get remainingMs(): number | null;
    /** The quality of the candidate's line. @returns {{quality: Quality, lagMs: number, droppedMs: number, codec: "pcm" | "opus"}} */
    get quality(): {
        quality: Quality;
        lagMs: number;
        droppedMs: number;
        codec: "pcm" | "opus";
    };
    /** True while the candidate speaks, by the client's own ear. */
    get hearsCandidate(): boolean;
    /** True while a recorded answer is being spoken. */
    get answering(): boolean;
    /** True while the interview pauses at the candidate's wish. */
    get holding(): boolean;
    /** True where the server takes `hold`: an older one does not. */
    get canHold(): boolean;
    /** True where the server takes `sendText`, once it has said so. */
    get canSendText(): boolean;
    get hasMicrophone(): boolean;
    /** The microphone in use, where the browser says. @returns {string | undefined} */
    get microphoneId(): string | undefined;
    /** While muted silence is sent; a recorded answer is still heard. */
    get muted(): boolean;
    set muted(muted: boolean);
    /** The way to go on after `echo`, without headphones: the microphone rests while the interviewer speaks. */
    get takesTurns(): boolean;
    set takesTurns(takesTurns: boolean);
    /** Of the interviewer's voice, 0 … 1. What is no number changes nothing. */
    get volume(): number;
    set volume(volume: number);
    /**
     * Open the device's sound. Call from a click or key press.
     * @throws {AudioError}
     */
    prepare(): Promise<void>;
    /**
     * Open a microphone, or change to another; the browser asks the user if need be. Without a microphone silence is
     * sent, so that `answer` works.
     * @param {MicrophoneChoice} [choice] a device, constraints beside the client's own, or the application's own stream
     * @throws {AudioError} its `kind` goes to `explain`
     */
    openMicrophone(choice?: MicrophoneChoice): Promise<void>;
    /** The browser's "recording" sign goes out; silence is sent from here on. Muting keeps the microphone. */
    closeMicrophone(): void;
    /**
     * Let another loudspeaker speak, now or later; "" is the system's own choice. Browsers without that choice keep theirs.
     * @param {string} deviceId
     */
    setLoudspeaker(deviceId: string): Promise<void>;
    /** The loudspeaker that was chosen; "" is the system's own choice. */
    get loudspeakerId(): string;
    /**
     * Record the microphone for a while, before the interview: for a test.
     * @param {number} ms
     * @returns {Promise<Int16Array<ArrayBuffer>>} PCM16 mono 16 kHz, for `playBack`; shorter where another recording, or
     *   the end, cut it
     */
    record(ms: number): Promise<Int16Array<ArrayBuffer>>;
    /**
     * Play a recording, before the interview.
     * @param {Int16Array<ArrayBuffer>} pcm PCM16 mono 16 kHz; a copy is played
     */
    playBack(pcm: Int16Array<ArrayBuffer>): void;
    /** After `audio-paused` or `sound-stopped`; call from a click or key press. */
    resume(): Promise<void>;
    /**
     * Begin the interview, or take up one that runs already, with all that was said; everything further comes as events.
     * @param {object} options
     * @param {string} options.url the interview's: `/ws/<id>` on this origin, or `wss://host/ws/<id>`
     * @param {string | (() => string | Promise<string>) | undefined} [options.token] the interview's token, unless the
     *   URL has it; a function is asked before each connection, also for later ones
     */
    start(options: {
        url: string;
        token?: string | (() => string | Promise<string>) | undefined;
    }): void;
    /**
     * Speak a recording in the microphone's place, in real time.
     * @param {Int16Array<ArrayBuffer>} pcm PCM16 mono 16 kHz
     */
    answer(pcm: Int16Array<ArrayBuffer>): void;
    /**
     * Ask for a pause, or end one; a `hold` event says whether the interview pauses.
     * @param {boolean} [on]
     */
    hold(on?: boolean): void;
    /**
     * Answer in writing, also while the interviewer speaks, who stops then. The words come back as a turn of the
     * candidate's; over a lost connection they are sent again, and taken once.
     * @param {string} text at most TEXT_ANSWER_CHARS code points
     * @returns {boolean} false: not taken, and a `textRefused` event says why
     */
    sendText(text: string): boolean;
    /** End the interview; `ended` follows within five seconds. */
    end(): void;
    /**
     * Leave without ending the interview: connection, microphone and sound are let go, and no event comes any more. For
     * its grace the server holds the interview for another client with the same token.
     */
    close(): Promise<void>;
}
