/** The endings and refusals of an interview, by close code, and the losses that are worth dialling again. */
import { ENDINGS, TROUBLES, explain } from "./words.js";
export { ENDINGS, TROUBLES, explain };
export type Ending = import("./words.js").Ending;
export type Trouble = import("./words.js").Trouble;
/** @typedef {import("./words.js").Ending} Ending */
/** @typedef {import("./words.js").Trouble} Trouble */
/** WebSocket close codes that mean something between preppald and this page. */
export declare const CloseCode: Readonly<{
    NORMAL: 1000;
    GOING_AWAY: 1001;
    NO_CODE: 1005;
    CONNECTION_LOST: 1006;
    PROTOCOL: 1008;
    TOO_LARGE: 1009;
    SERVER_ERROR: 1011;
    RESTARTING: 1012;
    TRY_LATER: 1013;
    DISTINCT_BY_USER: 4001;
    AI_FAILED: 4002;
    DISTINCT_AI_ENDED: 4003;
    DISTINCT_AI_FAILED: 4004;
    DISTINCT_BY_OPERATOR: 4006;
    BAD_REQUEST: 4400;
    UNAUTHORIZED: 4401;
    FORBIDDEN: 4403;
    REPLACED: 4409;
    OVER_MEANWHILE: 4410;
    TOO_MANY: 4429;
    UNAVAILABLE: 4503;
}>;
/**
 * Return the ending's name.
 * @param {number} code the close frame's
 * @param {string} [reason] the close frame's
 * @param {number | null} [sessionEnded] SessionEnded.reason, if that message came: it knows best
 * @returns {Ending}
 */
export declare function endingOf(code: number, reason?: string, sessionEnded?: number | null): Ending;
/** Endings after which the interview was never begun here, or is not over. @type {ReadonlySet<Ending>} */
export declare const NOT_HELD: ReadonlySet<Ending>;
/**
 * Return whether another try may succeed.
 * @param {number} code
 * @param {{sessionEnded: boolean, endedOnError: boolean}} seen endedOnError: an ErrorResponse was the
 *   last message, so the close is the server's own verdict and not a proxy's accident
 */
export declare function worthRetrying(code: number, { sessionEnded, endedOnError }: {
    sessionEnded: boolean;
    endedOnError: boolean;
}): boolean;
/**
 * Return whether the server refused the connection for now only.
 * @param {number} code
 */
export declare function isPassing(code: number): boolean;
/** The server holds an interview this long for a lost candidate, unless its SessionStarted says otherwise. */
export declare const RETRY_BUDGET_MS: number;
/** A first connection that the server has no room for: longer than a restart or a minute's limit, shorter than patience. */
export declare const FIRST_BUDGET_MS: number;
/**
 * Return how long to wait before the next try; null: give up.
 * @param {number} attempt 0 for the first
 * @param {number} elapsedMs since the connection was lost
 * @param {number} [luck] 0 … 1: spreads the pages of one restarted server
 * @param {number} [budgetMs]
 */
export declare function retryWaitMs(attempt: number, elapsedMs: number, luck?: number, budgetMs?: number): number | null;
