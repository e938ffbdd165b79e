/** Transcript fragments → turns, as a page shows them. */
export type Speaker = "USER" | "AI";
export type Turn = {
    /**
     * its place in `turns`
     */
    id: number;
    speaker: Speaker;
    text: string;
    complete: boolean;
    /**
     * the candidate spoke over it
     */
    cut: boolean;
    /**
     * how much of `text` was heard before it was cut, as a string index; null: not said
     */
    heardLength: number | null;
    /**
     * since the interview's start; null: not said
     */
    beginMs: number | null;
    endMs: number | null;
};
/** @typedef {"USER" | "AI"} Speaker */
/**
 * @typedef {object} Turn
 * @property {number} id its place in `turns`
 * @property {Speaker} speaker
 * @property {string} text
 * @property {boolean} complete
 * @property {boolean} cut the candidate spoke over it
 * @property {number | null} heardLength how much of `text` was heard before it was cut, as a string index; null: not said
 * @property {number | null} beginMs since the interview's start; null: not said
 * @property {number | null} endMs
 */
export declare class Turns {
    #private;
    /** @type {Turn[]} in the order in which they began */
    all: Turn[];
    /** The newest fragment's; what a reconnection asks to continue from. */
    seq: number;
    /**
     * @param {object} update
     * @param {string} update.speaker
     * @param {string} update.text
     * @param {boolean} update.turnComplete
     * @param {number} update.seq
     * @param {number} [update.turn] the server's number; 0: not said
     * @param {number} [update.beginMs] 0: not said
     * @param {number} [update.endMs] 0: not said
     * @param {number} [update.heardCodePoints] of the turn so far, where it was cut; 0: not said
     * @returns {Turn | null} the turn that changed; null: heard before, or nothing in it
     */
    add({ speaker, text, turnComplete, seq, turn: number, beginMs, endMs, heardCodePoints }: {
        speaker: string;
        text: string;
        turnComplete: boolean;
        seq: number;
        turn?: number;
        beginMs?: number;
        endMs?: number;
        heardCodePoints?: number;
    }): Turn | null;
    /**
     * The candidate spoke over the interviewer.
     * @param {boolean} wasHeard whether the interviewer's voice was still being played
     * @param {{turn: number, heardCodePoints: number}} [told] the server's number of the turn, and how much of it was heard
     * @returns {Turn | null} the turn that was cut; null: none, or one whose words are still to come, and have the cut then
     */
    cut(wasHeard: boolean, { turn: number, heardCodePoints }?: {
        turn: number;
        heardCodePoints: number;
    }): Turn | null;
    /** True while the interviewer's newest turn is open. */
    get interviewerOpen(): boolean;
}
