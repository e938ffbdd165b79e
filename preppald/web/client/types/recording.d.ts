/** A recording of the microphone, of a length that is known when it begins, unless it is cut short. */
export declare class Recording {
    #private;
    /** All of it, when it is there, or when it was cut. @type {Promise<Int16Array<ArrayBuffer>>} */
    whole: Promise<Int16Array<ArrayBuffer>>;
    /** @param {number} ms */
    constructor(ms: number);
    /**
     * @param {Int16Array} pcm
     * @returns {boolean} whether that was the last piece
     */
    put(pcm: Int16Array): boolean;
    /** No more of it comes. */
    cut(): void;
}
