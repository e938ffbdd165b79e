/**
 * The troubles that are there now.
 *
 * Rule 1: each has a beginning and an end of its own, and none hides another.
 * Rule 2: a trouble that is over as soon as it has happened stays only as long as its sentence takes to be read twice.
 */
export type Trouble = import("./words.js").Trouble;
export declare class Troubles {
    #private;
    /** @param {(kind: Trouble, active: boolean) => void} onchange a trouble began or ended */
    constructor(onchange: (kind: Trouble, active: boolean) => void);
    /** Return the present troubles, the most urgent first. @returns {Trouble[]} */
    get all(): Trouble[];
    /** @param {Trouble} kind */
    has(kind: Trouble): boolean;
    /**
     * @param {Trouble} kind
     * @param {boolean} active
     */
    set(kind: Trouble, active: boolean): void;
    /** @param {Trouble} kind */
    begin(kind: Trouble): void;
    /** @param {Trouble} kind */
    end(kind: Trouble): void;
    /** End all, for instance because the interview is over. */
    clear(): void;
}
