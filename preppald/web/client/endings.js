/** The endings and refusals of an interview, by close code, and the losses that are worth dialling again. */

import { EndReason } from "./wire.js";
import { ENDINGS, TROUBLES, explain } from "./words.js";

export { ENDINGS, TROUBLES, explain };

/** @typedef {import("./words.js").Ending} Ending */
/** @typedef {import("./words.js").Trouble} Trouble */

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
  DISTINCT_BY_OPERATOR: 4006,
  BAD_REQUEST: 4400,
  UNAUTHORIZED: 4401,
  FORBIDDEN: 4403,
  REPLACED: 4409,
  OVER_MEANWHILE: 4410,
  TOO_MANY: 4429,
  UNAVAILABLE: 4503,
});

/** Texts of preppald's close frames, which say more than the codes: two conventions share those. */
const REASON_TEXTS = /** @type {const} */ ([
  [/ended by user/i, "ended-by-user"],
  [/ended by operator/i, "ended-by-operator"],
  [/timeout/i, "time-is-up"],
  [/ai ended/i, "interviewer-finished"],
  [/failed to connect to ai/i, "ai-unreachable"],
  [/ai service/i, "ai-failed"],
  [/page may not connect/i, "wrong-page"],
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
  [CloseCode.DISTINCT_BY_OPERATOR]: "ended-by-operator",
  [CloseCode.BAD_REQUEST]: "not-understood",
  [CloseCode.UNAUTHORIZED]: "refused",
  [CloseCode.FORBIDDEN]: "another-interview",
  [CloseCode.REPLACED]: "replaced",
  [CloseCode.OVER_MEANWHILE]: "over-meanwhile",
  [CloseCode.TOO_MANY]: "too-many",
  [CloseCode.UNAVAILABLE]: "full",
};

/** @type {Record<number, Ending>} */
const BY_SESSION_ENDED = {
  [EndReason.USER_INITIATED]: "ended-by-user",
  [EndReason.GEMINI_ENDED]: "interviewer-finished",
  [EndReason.TIMEOUT]: "time-is-up",
};

/**
 * Return the ending's name.
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

/** Endings after which the interview was never begun here, or is not over. @type {ReadonlySet<Ending>} */
export const NOT_HELD = new Set(
  /** @type {Ending[]} */ (["refused", "another-interview", "wrong-page", "not-understood", "too-many", "full", "blocked-between", "unreachable", "replaced"]),
);

/** Codes after which the same token may find the interview still held. */
const WORTH_RETRYING = new Set([
  CloseCode.GOING_AWAY,
  CloseCode.NO_CODE,
  CloseCode.CONNECTION_LOST,
  CloseCode.SERVER_ERROR,
  CloseCode.RESTARTING,
  CloseCode.TRY_LATER,
]);

/** Refusals that waiting undoes. */
const PASSING = new Set([CloseCode.TOO_MANY, CloseCode.UNAVAILABLE]);

/**
 * Return whether another try may succeed.
 * @param {number} code
 * @param {{sessionEnded: boolean, endedOnError: boolean}} seen endedOnError: an ErrorResponse was the
 *   last message, so the close is the server's own verdict and not a proxy's accident
 */
export function worthRetrying(code, { sessionEnded, endedOnError }) {
  if (sessionEnded || (endedOnError && code === CloseCode.SERVER_ERROR)) return false;
  return WORTH_RETRYING.has(/** @type {any} */ (code));
}

/**
 * Return whether the server refused the connection for now only.
 * @param {number} code
 */
export function isPassing(code) {
  return PASSING.has(/** @type {any} */ (code));
}

/** The server holds an interview this long for a lost candidate, unless its SessionStarted says otherwise. */
export const RETRY_BUDGET_MS = 60 * 1000;

/** A first connection that the server has no room for: longer than a restart or a minute's limit, shorter than patience. */
export const FIRST_BUDGET_MS = 90 * 1000;

/** Most drops are a change of network, over in a moment; the wait doubles from here … */
const FIRST_WAIT_MS = 300;

/** … to here, so that a minute holds a dozen tries. */
const LONGEST_WAIT_MS = 5000;

/**
 * Return how long to wait before the next try; null: give up.
 * @param {number} attempt 0 for the first
 * @param {number} elapsedMs since the connection was lost
 * @param {number} [luck] 0 … 1: spreads the pages of one restarted server
 * @param {number} [budgetMs]
 */
export function retryWaitMs(attempt, elapsedMs, luck = Math.random(), budgetMs = RETRY_BUDGET_MS) {
  const leftMs = budgetMs - elapsedMs;
  if (leftMs <= 0) return null;
  const wait = Math.min(FIRST_WAIT_MS * 2 ** attempt, LONGEST_WAIT_MS);
  return Math.min(leftMs, wait * (0.5 + luck / 2));
}
