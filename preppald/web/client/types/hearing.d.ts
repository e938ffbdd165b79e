/** The client's own hearing, which does not wait for the server: voices, a dead microphone, an echo. */
export type Trouble = import("./words.js").Trouble;
export type Speaker = import("./turns.js").Speaker;
/** @typedef {import("./words.js").Trouble} Trouble */
/** @typedef {import("./turns.js").Speaker} Speaker */
export declare class Hearing {
    #private;
    /**
     * @param {(kind: Trouble, active: boolean) => void} ontrouble
     * @param {(speaker: Speaker, speaking: boolean) => void} onspeaking
     */
    constructor(ontrouble: (kind: Trouble, active: boolean) => void, onspeaking: (speaker: Speaker, speaking: boolean) => void);
    get speaking(): boolean;
    /**
     * @param {import("./sound-format.js").Chunk} chunk
     * @param {number} at when it was said, in milliseconds of performance.now()'s clock
     * @param {boolean} candidatesTurn as for Ear
     */
    heard({ pcm, level, zero }: import("./sound-format.js").Chunk, at: number, candidatesTurn: boolean): void;
    /**
     * @param {number} at
     * @param {number} level of the interviewer's voice
     */
    played(at: number, level: number): void;
    /** The interviewer was cut while it was heard. */
    cut(): void;
    /** The candidate has taken a remedy. */
    forgetEcho(): void;
    /** Another microphone, or none. */
    restart(): void;
}
