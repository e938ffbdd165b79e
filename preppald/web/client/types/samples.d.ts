/** Bytes of messages → samples: a sample may lie across two messages. */
export declare class Samples {
    #private;
    /**
     * @param {Uint8Array} bytes PCM16 LE, as every browser's platform has it
     * @returns {Int16Array<ArrayBuffer>} a copy, for handing over to the audio thread
     */
    join(bytes: Uint8Array): Int16Array<ArrayBuffer>;
    /** Begin anew: the next sound does not continue the sound before. */
    restart(): void;
}
