/**
 * Finds out if the interviewer was cut by its own voice, come back through the loudspeaker and the microphone.
 *
 * An echo follows the voice: the microphone's loudness rises and falls as the voice's did a moment before. A candidate's
 * does not. Pure: it is told levels and times, in milliseconds of one monotonic clock.
 */
export type Sample = {
    at: number;
    level: number;
};
/** @typedef {{at: number, level: number}} Sample */
export declare class EchoWatch {
    #private;
    /**
     * @param {number} at
     * @param {number} level of the microphone, 0 … 1
     */
    heard(at: number, level: number): void;
    /**
     * @param {number} at
     * @param {number} level of the interviewer's voice, 0 … 1
     */
    played(at: number, level: number): void;
    /**
     * The interviewer was cut.
     * @param {number} at
     * @returns {boolean} whether it is clear by now that its own voice does it
     */
    cut(at: number): boolean;
    /** A remedy was taken: count anew. */
    restart(): void;
    /**
     * Return the best correlation of the two curves over all delays, −1 … 1; 0 where there is too little of them.
     * @param {number} at
     */
    likeness(at: number): number;
}
