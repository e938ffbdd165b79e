/** What an interview tells its page: names and shapes only. */
export type Ending = import("./endings.js").Ending;
export type Trouble = import("./endings.js").Trouble;
export type Speaker = import("./turns.js").Speaker;
export type Turn = import("./turns.js").Turn;
export type InterviewState = "idle" | "connecting" | "ready" | "listening" | "speaking" | "reconnecting" | "ended";
export type InterviewEvents = {
    state: {
        state: InterviewState;
    };
    /**
     * a fragment, and the turn it belongs to
     */
    transcript: {
        speaker: Speaker;
        text: string;
        turnComplete: boolean;
        seq: number;
        turn: Turn;
    };
    /**
     * the candidate spoke over the interviewer
     */
    interrupted: {
        turn: Turn | null;
    };
    /**
     * kind: one of NoticeKind; message: for the candidate, in English
     */
    notice: {
        kind: number;
        message: string;
        remainingMs: number;
    };
    /**
     * 0 … 1, twenty times a second
     */
    level: {
        microphone: number;
        interviewer: number;
    };
    /**
     * a recorded answer began or is over
     */
    answer: {
        speaking: boolean;
    };
    /**
     * the interview goes on
     */
    error: {
        kind: Trouble;
        words: string;
    };
    /**
     * the last event; code: the close frame's, for a log
     */
    ended: {
        reason: Ending;
        code: number;
        words: string;
    };
};
/** @typedef {import("./endings.js").Ending} Ending */
/** @typedef {import("./endings.js").Trouble} Trouble */
/** @typedef {import("./turns.js").Speaker} Speaker */
/** @typedef {import("./turns.js").Turn} Turn */
/**
 * `ready`: connected, nothing said yet. `listening`: the candidate's turn. `speaking`: the interviewer is heard.
 * @typedef {"idle" | "connecting" | "ready" | "listening" | "speaking" | "reconnecting" | "ended"} InterviewState
 */
/**
 * What `on` can tell.
 * @typedef {object} InterviewEvents
 * @property {{state: InterviewState}} state
 * @property {{speaker: Speaker, text: string, turnComplete: boolean, seq: number, turn: Turn}} transcript a fragment, and the turn it belongs to
 * @property {{turn: Turn | null}} interrupted the candidate spoke over the interviewer
 * @property {{kind: number, message: string, remainingMs: number}} notice kind: one of NoticeKind; message: for the candidate, in English
 * @property {{microphone: number, interviewer: number}} level 0 … 1, twenty times a second
 * @property {{speaking: boolean}} answer a recorded answer began or is over
 * @property {{kind: Trouble, words: string}} error the interview goes on
 * @property {{reason: Ending, code: number, words: string}} ended the last event; code: the close frame's, for a log
 */
export {};
