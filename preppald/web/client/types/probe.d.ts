/** Asks the server by plain HTTP how it is: browsers hide the reason of a failed WebSocket handshake. */
export type Ending = import("./words.js").Ending;
export type Readiness = "ready" | "full" | "unreachable" | "foreign";
/**
 * Ask /ready on the interview's host.
 *
 * Only the server's own answers count: a proxy or a host's landing page answers 200 with something else.
 * @param {string} url the interview's
 * @returns {Promise<{readiness: Readiness, saysWhy: boolean}>} saysWhy: it refuses within the WebSocket, in words
 */
export declare function askReady(url: string): Promise<{
    readiness: Readiness;
    saysWhy: boolean;
}>;
/**
 * Return why a handshake may have failed. The link is blamed only where a server that cannot say so itself is ready.
 * @param {string} url the interview's
 * @returns {Promise<Extract<Ending, "unreachable" | "full" | "refused" | "blocked-between">>}
 */
export declare function probe(url: string): Promise<Extract<Ending, "unreachable" | "full" | "refused" | "blocked-between">>;
