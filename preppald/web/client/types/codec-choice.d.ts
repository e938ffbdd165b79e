/**
 * Which codec the line has room for. PCM sounds best, and takes ten times as much; Opus is taken up as soon as PCM does not
 * fit, and given up when the line has had room for a minute. Where that proves wrong, the next try waits twice as long.
 *
 * No clock in here: times are arguments, in milliseconds of one monotonic clock.
 */
export type Codec = "pcm" | "opus";
/** How long a line must have had room before PCM is tried again, and the longest wait after tries that failed. */
export declare const ROOM_FOR_MS: number;
export declare class CodecChoice {
    #private;
    /** @type {Codec} */
    codec: Codec;
    /**
     * The interviewer's voice ran dry in the middle of a reply.
     * @param {number} now
     */
    ranDry(now: number): void;
    /**
     * @param {number} now
     * @param {number} lagMs how late the candidate's sound arrives
     * @returns {Codec}
     */
    judge(now: number, lagMs: number): Codec;
    /**
     * True while the voice runs dry again and again, and no codec that takes less is left to be taken up.
     * @param {number} now
     */
    stutters(now: number): boolean;
}
