/**
 * Answers in writing, for candidates who cannot or may not speak.
 *
 * Rule: the server takes each number once, so all that may not have arrived is sent again on each new connection.
 */
/** The server's limits; kept here too, so that a candidate hears of them before the answer is gone. */
export declare const MAX_CHARACTERS = 2000;
/** A written answer was not taken. */
export declare class TextError extends Error {
    kind: "text-empty" | "text-not-supported" | "text-too-long" | "text-too-often";
    name: string;
    /** @param {"text-empty" | "text-too-long" | "text-too-often" | "text-not-supported"} kind */
    constructor(kind: "text-empty" | "text-too-long" | "text-too-often" | "text-not-supported");
}
export declare class WrittenAnswers {
    #private;
    /**
     * Return the message for an answer, and keep it.
     * @param {string} text
     * @param {number} now monotonic, in milliseconds
     * @throws {TextError}
     */
    take(text: string, now: number): Uint8Array<ArrayBuffer>;
    /** Return what a new connection is to be sent. @param {number} now @returns {Uint8Array<ArrayBuffer>[]} */
    again(now: number): Uint8Array<ArrayBuffer>[];
}
