/**
 * How an interview can end or fail, in one name and one sentence each, and which
 * lost connections are worth dialling again.
 */

import { EndReason } from "./wire.js";

/** WebSocket close codes that mean something between preppald and this page. */
export const CloseCode = Object.freeze({
  NORMAL: 1000,
  GOING_AWAY: 1001,
  NO_CODE: 1005,
  CONNECTION_LOST: 1006,
  PROTOCOL: 1008,
  TOO_LARGE: 1009,
  SERVER_ERROR: 1011,
  RESTARTING: 1012,
  TRY_LATER: 1013,
  DISTINCT_BY_USER: 4001,
  AI_FAILED: 4002,
  DISTINCT_AI_ENDED: 4003,
  DISTINCT_AI_FAILED: 4004,
  REPLACED: 4409,
  OVER_MEANWHILE: 4410,
});

/** How an interview ends. */
export const ENDINGS = Object.freeze({
  "ended-by-user": "You ended the interview.",
  "time-is-up": "The time is up. Thank you for your answers.",
  "interviewer-finished": "The interviewer has ended the interview.",
  ended: "The interview has ended.",
  "ai-unreachable": "The AI interviewer could not be reached. Nothing was lost; please try again in a few minutes.",
  "ai-failed": "The AI interviewer failed and could not be brought back. What was said so far has been kept.",
  replaced: "This interview is now open in another tab or on another device, and goes on there.",
  draining: "The server is being restarted. What was said so far has been kept.",
  refused: "The server did not let this page in: the link is not valid for this interview, or has expired. Please open the interview again.",
  "over-meanwhile": "The interview was over before the connection came back. What was said so far has been kept.",
  full: "The server takes no new interviews at the moment. Please try again in a few minutes.",
  unreachable: "The server cannot be reached. Please check your internet connection and try again.",
  "connection-lost": "The connection was lost and did not come back within a minute. What was said so far has been kept.",
  protocol: "The server did not understand this page. Please reload it and try again.",
  "server-error": "Something went wrong on the server. What was said so far has been kept.",
});

/** What may be wrong while it goes on, or before it begins. */
export const TROUBLES = Object.freeze({
  "microphone-denied": "The browser does not let this page use the microphone. Allow it in the address bar, then try again.",
  "microphone-missing": "No microphone was found. Please connect one, then try again.",
  "microphone-busy": "The microphone does not start. Another program may be using it.",
  "microphone-lost": "The microphone was disconnected. Connect it again, then turn it on.",
  "insecure-context": "Browsers allow a microphone only on secure pages. Open this page by https, or on localhost.",
  "audio-unavailable": "The browser could not start its sound. Please reload the page.",
  "audio-paused": "The device has paused the sound. Touch the page or press a key to go on.",
  "audio-dropped": "A part of the interviewer's reply was too long to keep and is missing.",
  "server-complaint": "The server reported a problem.",
});

/** @typedef {keyof typeof ENDINGS} Ending */
/** @typedef {keyof typeof TROUBLES} Trouble */

const WORDS = Object.freeze({ ...ENDINGS, ...TROUBLES });

/** What preppald writes into the close frame; the texts say more than the codes, which two conventions share. */
const REASON_TEXTS = /** @type {const} */ ([
  [/ended by user/i, "ended-by-user"],
  [/timeout/i, "time-is-up"],
  [/ai ended/i, "interviewer-finished"],
  [/failed to connect to ai/i, "ai-unreachable"],
  [/ai service/i, "ai-failed"],
]);

/** @type {Record<number, Ending>} */
const BY_CODE = {
  [CloseCode.NORMAL]: "ended",
  [CloseCode.GOING_AWAY]: "connection-lost",
  [CloseCode.NO_CODE]: "connection-lost",
  [CloseCode.CONNECTION_LOST]: "connection-lost",
  [CloseCode.PROTOCOL]: "protocol",
  [CloseCode.TOO_LARGE]: "protocol",
  [CloseCode.SERVER_ERROR]: "server-error",
  [CloseCode.RESTARTING]: "draining",
  [CloseCode.TRY_LATER]: "full",
  [CloseCode.DISTINCT_BY_USER]: "ended-by-user",
  [CloseCode.AI_FAILED]: "ai-failed",
  [CloseCode.DISTINCT_AI_ENDED]: "interviewer-finished",
  [CloseCode.DISTINCT_AI_FAILED]: "ai-failed",
  [CloseCode.REPLACED]: "replaced",
  [CloseCode.OVER_MEANWHILE]: "over-meanwhile",
};

/** @type {Record<number, Ending>} */
const BY_SESSION_ENDED = {
  [EndReason.USER_INITIATED]: "ended-by-user",
  [EndReason.GEMINI_ENDED]: "interviewer-finished",
  [EndReason.TIMEOUT]: "time-is-up",
};

/**
 * @param {number} code the close frame's
 * @param {string} [reason] the close frame's
 * @param {number | null} [sessionEnded] SessionEnded.reason, if that message came: it knows best
 * @returns {Ending}
 */
export function endingOf(code, reason = "", sessionEnded = null) {
  const told = sessionEnded === null ? undefined : BY_SESSION_ENDED[sessionEnded];
  const written = REASON_TEXTS.find(([pattern]) => pattern.test(reason))?.[1];
  return told ?? written ?? BY_CODE[code] ?? "ended";
}

/**
 * An ending or a trouble in a sentence for the candidate, in English.
 * @param {Ending | Trouble} name
 * @returns {string}
 */
export function explain(name) {
  return WORDS[name];
}

/** Codes after which the same token may find the interview still held. */
const WORTH_RETRYING = new Set([
  CloseCode.GOING_AWAY,
  CloseCode.NO_CODE,
  CloseCode.CONNECTION_LOST,
  CloseCode.SERVER_ERROR,
  CloseCode.RESTARTING,
  CloseCode.TRY_LATER,
]);

/**
 * @param {number} code
 * @param {{sessionEnded: boolean, endedOnError: boolean}} seen endedOnError: an ErrorResponse was the
 *   last message, so the close is the server's own verdict and not a proxy's accident
 */
export function worthRetrying(code, { sessionEnded, endedOnError }) {
  if (sessionEnded || (endedOnError && code === CloseCode.SERVER_ERROR)) return false;
  return WORTH_RETRYING.has(/** @type {any} */ (code));
}

/** The server holds an interview this long for a lost candidate (PREPPALD_RECONNECT_GRACE's default). */
export const RETRY_BUDGET_MS = 60 * 1000;

/** Most drops are a change of network, over in a moment; the wait doubles from here … */
const FIRST_WAIT_MS = 300;

/** … to here, so that a minute holds a dozen tries. */
const LONGEST_WAIT_MS = 5000;

/**
 * How long to wait before the next try; null: give up.
 * @param {number} attempt 0 for the first
 * @param {number} elapsedMs since the connection was lost
 * @param {number} [luck] 0 … 1: spreads the pages of one restarted server
 */
export function retryWaitMs(attempt, elapsedMs, luck = Math.random()) {
  const leftMs = RETRY_BUDGET_MS - elapsedMs;
  if (leftMs <= 0) return null;
  const wait = Math.min(FIRST_WAIT_MS * 2 ** attempt, LONGEST_WAIT_MS);
  return Math.min(leftMs, wait * (0.5 + luck / 2));
}
