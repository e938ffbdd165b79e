/**
 * Finds out if a line is dead: sound goes out, and nothing comes back.
 *
 * Rule 1: only where something must come back, or a socket takes nothing, is silence a sign: an interviewer may be silent.
 * Rule 2: it counts only this page's own attention: while the page is blocked, nothing can be heard.
 *
 * No clock and no socket in here: times are arguments, in milliseconds of one monotonic clock.
 */
export declare class LineWatch {
    #private;
    /** For how long nothing has come that must have come. */
    quietMs: number;
    /** Something came: the line is alive. */
    heard(): void;
    /**
     * Look at the line, every WATCH_MS.
     * @param {number} now
     * @param {object} line
     * @param {boolean} line.awaited whether the server must say something
     * @param {number} line.sentBytes that this socket was given
     * @param {number} line.bufferedBytes the socket's bufferedAmount
     */
    look(now: number, { awaited, sentBytes, bufferedBytes }: {
        awaited: boolean;
        sentBytes: number;
        bufferedBytes: number;
    }): void;
}
