/** The page's end of opus-worker.js: orders out, answers in. Where it cannot be had, everything goes on in PCM. */
export type Order = {
    kind: "test";
} | {
    kind: "encode";
    pcm: Int16Array<ArrayBuffer>;
} | {
    kind: "finish";
} | {
    kind: "drop";
    generation: number;
} | {
    kind: "decode";
    packets: Uint8Array[];
} | {
    kind: "play";
    pcm: Int16Array<ArrayBuffer>;
} | {
    kind: "silence";
    generation: number;
};
export type Answer = {
    kind: "tested";
    supported: boolean;
} | {
    kind: "packets";
    packets: Uint8Array<ArrayBuffer>[];
    generation: number;
} | {
    kind: "finished";
    generation: number;
} | {
    kind: "voice";
    pcm: Int16Array<ArrayBuffer>;
    generation: number;
} | {
    kind: "failed";
    words: string;
};
export declare class Opus {
    #private;
    /** @type {(answer: Answer) => void} */
    onanswer: (answer: Answer) => void;
    /** True where the browser has what a worker may turn out not to support. */
    static get thinkable(): boolean;
    /**
     * Return this browser's Opus; null where it has none, or the worker cannot be loaded.
     * @param {string} workerUrl where opus-worker.js is served
     * @returns {Promise<Opus | null>}
     */
    static open(workerUrl: string): Promise<Opus | null>;
    /** @param {Worker} worker */
    constructor(worker: Worker);
    /**
     * @param {Order} order
     * @param {Transferable[]} [transfer]
     */
    order(order: Order, transfer?: Transferable[]): void;
    close(): void;
}
