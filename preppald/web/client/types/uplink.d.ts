/**
 * The candidate's sound on its way to the server: queued, sent while the line takes it, measured end to end.
 *
 * Rule 1: sound that would arrive later than MAX_LAG_MS is dropped, the oldest first, and counted: an interviewer that
 *         answers a sentence of half a minute ago is worse than a missing word.
 * Rule 2: the lag is measured by what the server has received. A browser's bufferedAmount is blind to what the kernel
 *         and the network hold; it serves only where the server is too old to say Received.
 * Rule 3: sound spoken while there is no line is kept, up to HELD_MS, and sent on the next.
 *
 * No clock and no socket in here: times are arguments, in milliseconds of one monotonic clock.
 */
/** The most that the interviewer may hear the candidate late. */
export declare const MAX_LAG_MS = 3000;
/** Sound kept while there is no line: a sentence; older speech would only delay the interview. */
export declare const HELD_MS = 5000;
export type Piece = {
    pcm: Uint8Array;
    capturedAt: number;
    speech: boolean;
};
/** @typedef {{pcm: Uint8Array, capturedAt: number, speech: boolean}} Piece */
export declare class Uplink {
    #private;
    /** Milliseconds of sound that were dropped, in all, and how many of them were speech. */
    droppedMs: number;
    droppedSpeechMs: number;
    /** Milliseconds between the newest sound known to have arrived and its being said. */
    lagMs: number;
    slow: boolean;
    /**
     * Return whether sound is sent and not yet received, as far as the server says.
     * @param {boolean} [promised] it will say so, although it has not yet
     */
    unconfirmed(promised?: boolean): boolean;
    /**
     * Take in a piece of the microphone's sound.
     * @param {Uint8Array} pcm PCM16 LE 16 kHz; taken over
     * @param {number} capturedAt when it was said
     * @param {boolean} [speech] whether there is a voice in it
     */
    put(pcm: Uint8Array, capturedAt: number, speech?: boolean): void;
    /** A new connection is open; return all that was held over the gap. @param {number} now @returns {Uint8Array[]} */
    opened(now: number): Uint8Array[];
    /** The connection is gone. */
    closed(): void;
    /**
     * Return what is to be sent now; drop what would come too late.
     * @param {number} now
     * @param {number} bufferedBytes the socket's bufferedAmount
     * @param {boolean} [packed] whether it goes as Opus
     * @returns {Uint8Array[]}
     */
    take(now: number, bufferedBytes: number, packed?: boolean): Uint8Array[];
    /**
     * The server said how much it has received on this connection.
     * @param {number} audioMs
     * @param {number} now
     */
    received(audioMs: number, now: number): void;
}
