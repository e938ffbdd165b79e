/**
 * Judges a microphone by the loudness of its chunks: whether the candidate speaks, and whether anything comes
 * from the microphone at all. Pure: counted in the chunks' own milliseconds.
 */
/** Digital zero for so long, during the candidate's turn, comes from no room, however quiet. */
export declare const SILENT_AFTER_MS = 5000;
export declare class Ear {
    #private;
    speaking: boolean;
    /** True where nothing but digital zero has come for SILENT_AFTER_MS of turns. */
    silent: boolean;
    /**
     * @param {object} chunk
     * @param {number} chunk.level 0 … 1
     * @param {number} chunk.lengthMs
     * @param {boolean} chunk.zero nothing but digital zero came from the microphone
     * @param {boolean} candidatesTurn whether silence would matter now: a microphone is open, not muted by the candidate,
     *   and the interviewer waits
     */
    hear({ level, lengthMs, zero }: {
        level: number;
        lengthMs: number;
        zero: boolean;
    }, candidatesTurn: boolean): void;
    /** Another microphone, or none. */
    restart(): void;
}
