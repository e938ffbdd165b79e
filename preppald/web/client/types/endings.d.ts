/**
 * How an interview can end or fail, in one name and one sentence each, and which
 * lost connections are worth dialling again.
 */
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
    REPLACED: 4409;
    OVER_MEANWHILE: 4410;
}>;
/** How an interview ends. */
export declare const ENDINGS: Readonly<{
    "ended-by-user": "You ended the interview.";
    "time-is-up": "The time is up. Thank you for your answers.";
    "interviewer-finished": "The interviewer has ended the interview.";
    ended: "The interview has ended.";
    "ai-unreachable": "The AI interviewer could not be reached. Nothing was lost; please try again in a few minutes.";
    "ai-failed": "The AI interviewer failed and could not be brought back. What was said so far has been kept.";
    replaced: "This interview is now open in another tab or on another device, and goes on there.";
    draining: "The server is being restarted. What was said so far has been kept.";
    refused: "The server did not let this page in: the link is not valid for this interview, or has expired. Please open the interview again.";
    "over-meanwhile": "The interview was over before the connection came back. What was said so far has been kept.";
    full: "The server takes no new interviews at the moment. Please try again in a few minutes.";
    unreachable: "The server cannot be reached. Please check your internet connection and try again.";
    "connection-lost": "The connection was lost and did not come back within a minute. What was said so far has been kept.";
    protocol: "The server did not understand this page. Please reload it and try again.";
    "server-error": "Something went wrong on the server. What was said so far has been kept.";
}>;
/** What may be wrong while it goes on, or before it begins. */
export declare const TROUBLES: Readonly<{
    "microphone-denied": "The browser does not let this page use the microphone. Allow it in the address bar, then try again.";
    "microphone-missing": "No microphone was found. Please connect one, then try again.";
    "microphone-busy": "The microphone does not start. Another program may be using it.";
    "microphone-lost": "The microphone was disconnected. Connect it again, then turn it on.";
    "insecure-context": "Browsers allow a microphone only on secure pages. Open this page by https, or on localhost.";
    "audio-unavailable": "The browser could not start its sound. Please reload the page.";
    "audio-paused": "The device has paused the sound. Touch the page or press a key to go on.";
    "audio-dropped": "A part of the interviewer's reply was too long to keep and is missing.";
    "server-complaint": "The server reported a problem.";
}>;
export type Ending = keyof typeof ENDINGS;
export type Trouble = keyof typeof TROUBLES;
/**
 * @param {number} code the close frame's
 * @param {string} [reason] the close frame's
 * @param {number | null} [sessionEnded] SessionEnded.reason, if that message came: it knows best
 * @returns {Ending}
 */
export declare function endingOf(code: number, reason?: string, sessionEnded?: number | null): Ending;
/**
 * An ending or a trouble in a sentence for the candidate, in English.
 * @param {Ending | Trouble} name
 * @returns {string}
 */
export declare function explain(name: Ending | Trouble): string;
/**
 * @param {number} code
 * @param {{sessionEnded: boolean, endedOnError: boolean}} seen endedOnError: an ErrorResponse was the
 *   last message, so the close is the server's own verdict and not a proxy's accident
 */
export declare function worthRetrying(code: number, { sessionEnded, endedOnError }: {
    sessionEnded: boolean;
    endedOnError: boolean;
}): boolean;
/** The server holds an interview this long for a lost candidate (PREPPALD_RECONNECT_GRACE's default). */
export declare const RETRY_BUDGET_MS: number;
/**
 * How long to wait before the next try; null: give up.
 * @param {number} attempt 0 for the first
 * @param {number} elapsedMs since the connection was lost
 * @param {number} [luck] 0 … 1: spreads the pages of one restarted server
 */
export declare function retryWaitMs(attempt: number, elapsedMs: number, luck?: number): number | null;
