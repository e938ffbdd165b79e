/** Holds a spoken mock interview with preppald from a web page; README.md tells how. */
import { AudioError } from "./audio.js";
import { explain } from "./endings.js";
import { NoticeKind } from "./wire.js";
export { AudioError, NoticeKind, explain };
export type Ending = import("./endings.js").Ending;
export type Trouble = import("./endings.js").Trouble;
export type InterviewEvents = import("./events.js").InterviewEvents;
export type InterviewState = import("./events.js").InterviewState;
export type Speaker = import("./turns.js").Speaker;
export type Turn = import("./turns.js").Turn;
export type ServerMessage = import("./wire.js").ServerMessage;
/** @typedef {import("./endings.js").Ending} Ending */
/** @typedef {import("./endings.js").Trouble} Trouble */
/** @typedef {import("./events.js").InterviewEvents} InterviewEvents */
/** @typedef {import("./events.js").InterviewState} InterviewState */
/** @typedef {import("./turns.js").Speaker} Speaker */
/** @typedef {import("./turns.js").Turn} Turn */
/** @typedef {import("./wire.js").ServerMessage} ServerMessage */
/** One interview. Make another for the next one. */
export declare class InterviewClient extends EventTarget {
    #private;
    /** @param {{workletUrl?: string}} [options] workletUrl: where sound-worklet.js is served, if not beside this module */
    constructor({ workletUrl }?: {
        workletUrl?: string;
    });
    /**
     * Like addEventListener, but typed, and without the envelope.
     * @template {keyof InterviewEvents} Name
     * @param {Name} name
     * @param {(detail: InterviewEvents[Name]) => void} listener
     * @returns {() => void} takes the listener off again
     */
    on<Name extends keyof InterviewEvents>(name: Name, listener: (detail: InterviewEvents[Name]) => void): () => void;
    /** @returns {InterviewState} */
    get state(): InterviewState;
    /**
     * What was said, in the order in which the turns began.
     * @returns {readonly Turn[]}
     */
    get turns(): readonly Turn[];
    /** Milliseconds left of the interview; null until the server has said. @returns {number | null} */
    get remainingMs(): number | null;
    get hasMicrophone(): boolean;
    /** Whether a recorded answer is being spoken. */
    get answering(): boolean;
    /** While muted silence is sent; a recorded answer is still heard. */
    get muted(): boolean;
    set muted(muted: boolean);
    /**
     * Open the device's sound. Call from a click or key press.
     * @throws {AudioError}
     */
    prepare(): Promise<void>;
    /**
     * Asks the user if need be. Without a microphone silence is sent, so that `answer` works.
     * @throws {AudioError} its `kind` goes to `explain`
     */
    openMicrophone(): Promise<void>;
    /** The browser's "recording" sign goes out; silence is sent from here on. Muting keeps the microphone. */
    closeMicrophone(): void;
    /** After an `audio-paused` error; call from a click or key press. */
    resume(): Promise<void>;
    /**
     * Begin the interview, or take up one that runs already, with all that was said; everything further comes as events.
     * @param {object} options
     * @param {string} options.url the interview's: `/ws/<id>` on this origin, or `wss://host/ws/<id>`
     * @param {string} [options.token] the interview's token, unless the URL has it
     */
    start({ url, token }: {
        url: string;
        token?: string;
    }): void;
    /**
     * Speak a recording in the microphone's place, in real time.
     * @param {Int16Array<ArrayBuffer>} pcm PCM16 mono 16 kHz
     */
    answer(pcm: Int16Array<ArrayBuffer>): void;
    /** End the interview; `ended` follows within five seconds. */
    end(): void;
    /**
     * Leave without ending the interview: connection, microphone and sound are let go, and no event comes any more. For
     * its grace, a minute, the server holds the interview for another client with the same token.
     */
    close(): Promise<void>;
}
