/**
 * A live interview's key, kept over a reload, a swipe or a crash of the tab.
 *
 * The token that is kept opens this one interview only. It is gone when the interview has ended, and no longer offered
 * once the server's grace is over.
 */
export type KeptInterview = {
    interviewId: string;
    url: string;
    token: string | undefined;
};
export type Entry = {
    url: string;
    token?: string;
    seenAt: number;
    graceMs: number;
};
/** The interval of renewing a live interview's entry. */
export declare const RENEW_EVERY_MS = 5000;
export declare class Memory {
    #private;
    /** @param {Storage} [storage] */
    constructor(storage?: Storage);
    /**
     * @param {KeptInterview} interview
     * @param {number} graceMs how long the server holds it
     */
    keep({ interviewId, url, token }: KeptInterview, graceMs: number): void;
    /** @param {string} interviewId */
    forget(interviewId: string): void;
    /** Return the interviews that the server may still hold, the newest first; forget all others. @returns {KeptInterview[]} */
    kept(): KeptInterview[];
}
