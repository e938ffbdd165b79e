/** Asks the server by plain HTTP how it is: browsers hide the reason of a failed WebSocket handshake. */

/** @typedef {import("./words.js").Ending} Ending */
/** @typedef {"ready" | "full" | "unreachable" | "foreign"} Readiness foreign: something else answers in the server's place */

/** The bound of the question. */
const PROBE_TIMEOUT_MS = 5 * 1000;

/** Of /ready's body; the server's own has fewer than a hundred bytes. */
const BODY_CHARS = 1000;

/**
 * Ask /ready on the interview's host.
 *
 * Only the server's own answers count: a proxy or a host's landing page answers 200 with something else.
 * @param {string} url the interview's
 * @returns {Promise<{readiness: Readiness, saysWhy: boolean}>} saysWhy: it refuses within the WebSocket, in words
 */
export async function askReady(url) {
  const ready = new URL("/ready", url);
  ready.protocol = ready.protocol.replace("ws", "http");
  try {
    const answer = await fetch(ready, { cache: "no-store", signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
    if (answer.status === 503) return { readiness: "full", saysWhy: false };
    // Any other status is a proxy's, with no server behind it: the server may be between two lives.
    if (answer.status !== 200) return { readiness: "unreachable", saysWhy: false };
    const spoken = answer.headers.get("preppal-protocols") ?? "";
    return read((await answer.text()).slice(0, BODY_CHARS), spoken.includes("preppal.v2"));
  } catch {
    return { readiness: "unreachable", saysWhy: false };
  }
}

/**
 * @param {string} body of a 200
 * @param {boolean} saysWhy
 * @returns {{readiness: Readiness, saysWhy: boolean}}
 */
function read(body, saysWhy) {
  try {
    const { status } = JSON.parse(body);
    return { readiness: status === "ready" ? "ready" : "foreign", saysWhy };
  } catch {
    return { readiness: "foreign", saysWhy: false };
  }
}

/**
 * Return why a handshake may have failed. The link is blamed only where a server that cannot say so itself is ready.
 * @param {string} url the interview's
 * @returns {Promise<Extract<Ending, "unreachable" | "full" | "refused" | "blocked-between">>}
 */
export async function probe(url) {
  const { readiness, saysWhy } = await askReady(url);
  if (readiness === "full" || readiness === "unreachable") return readiness;
  // A server that would have said why was not reached: something between has removed a header of the handshake.
  return readiness === "foreign" || saysWhy ? "blocked-between" : "refused";
}
