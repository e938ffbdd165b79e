/** Answers that the candidate types: numbered, and sent again where a lost connection may have swallowed them. */
/** The server takes no longer ones: code points. */
export declare const TEXT_ANSWER_CHARS = 2000;
export type TextProblem = import("./words.js").TextProblem;
export type TypedAnswer = {
    text: string;
    number: number;
    sentAt: number;
    shownAt: number | null;
};
/** @typedef {import("./words.js").TextProblem} TextProblem */
/** @typedef {{text: string, number: number, sentAt: number, shownAt: number | null}} TypedAnswer */
export declare class TypedAnswers {
    #private;
    /**
     * Return why this text cannot be an answer; null where it can.
     * @param {string} text
     * @returns {TextProblem | null}
     */
    static problem(text: string): TextProblem | null;
    /**
     * Take an answer; it has a number that no earlier one of this interview had, also before a reload.
     * @param {string} text
     * @param {number} now performance.now()
     */
    add(text: string, now: number): {
        text: string;
        number: number;
        sentAt: number;
        shownAt: null;
    };
    /**
     * The transcript has grown by these words of the candidate's.
     * @param {string} text
     * @param {number} now
     */
    shown(text: string, now: number): void;
    /**
     * Return the answer that an ErrorResponse is about, and why it was not taken; null where it is about none.
     * @param {number} code
     */
    refused(code: number): {
        text: string;
        problem: "text-not-available" | "text-not-taken" | "text-too-long" | "text-too-often";
    } | null;
    /**
     * Return those that a new connection has to send once more: the server takes each number once.
     * @param {number} now
     */
    due(now: number): TypedAnswer[];
    /** @param {number} now */
    mayHaveCut(now: number): boolean;
}
