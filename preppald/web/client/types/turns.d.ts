/** Transcript fragments → turns, as a page shows them. */
export type Speaker = "USER" | "AI";
export type Turn = {
    id: number;
    speaker: Speaker;
    text: string;
    complete: boolean;
    cut: boolean;
};
/** @typedef {"USER" | "AI"} Speaker */
/** @typedef {{id: number, speaker: Speaker, text: string, complete: boolean, cut: boolean}} Turn cut: the candidate spoke over it */
export declare class Turns {
    #private;
    /** @type {Turn[]} in the order in which they began */
    all: Turn[];
    /** The newest fragment's; what a reconnection asks to continue from. */
    seq: number;
    /**
     * @param {{speaker: string, text: string, turnComplete: boolean, seq: number}} update
     * @returns {Turn | null} the turn that changed; null: heard before, or nothing in it
     */
    add({ speaker, text, turnComplete, seq }: {
        speaker: string;
        text: string;
        turnComplete: boolean;
        seq: number;
    }): Turn | null;
    /**
     * The candidate spoke over the interviewer.
     * @param {boolean} wasHeard whether the interviewer's voice was still being played
     * @returns {Turn | null} the turn that was cut
     */
    cut(wasHeard: boolean): Turn | null;
}
