/**
 * One interview's connection: a chain of WebSockets that looks like one.
 *
 * Rule 1: at most one socket is alive; whatever an older one still says is ignored.
 * Rule 2: every wait has an end, and `onend` is called exactly once.
 * Rule 3: durations are measured on performance.now(), which no setting of the wall clock moves. A laptop's sleep may
 *         not count there; then it is the server that knows whether the interview is over, and says so.
 * Rule 4: a silent line is given up after SILENT_MS of this page's own attention: while the page is blocked, nothing
 *         can be heard, and that says nothing about the line.
 * Rule 5: whoever is told something may end or leave it there and then: behind each telling it may be over.
 */
export type ServerMessage = import("./wire.js").ServerMessage;
export type Ending = import("./endings.js").Ending;
export type Trouble = import("./endings.js").Trouble;
export type ConnectionOptions = {
    /**
     * http:, https:, ws: or wss:, or relative to the page; with or without `?token=`
     */
    url: string;
    /**
     * travels as a subprotocol, so that no log of URLs holds
     * it; a function is asked before each try
     */
    token?: string | (() => string | Promise<string>);
    /**
     * the last transcript seq that arrived; 0: none, so that all there is comes
     */
    since: () => number;
    /**
     * PCM only, unless told otherwise
     */
    audio?: import("./carrier.js").AudioChoice;
    /**
     * where opus-worker.js is served
     */
    opusWorkerUrl?: string;
    /**
     * the interviewer's voice as PCM, whatever carried it
     */
    onmessage: (message: ServerMessage) => void;
    /**
     * another try follows
     */
    onlost: () => void;
    /**
     * of the line
     */
    ontrouble?: (kind: Trouble, active: boolean) => void;
    /**
     * no further try
     */
    onend: (end: ConnectionEnd) => void;
};
export type ConnectionEnd = {
    code: number;
    reason: string;
    sessionEnded: number | null;
    diagnosis: Ending | null;
};
export type Quality = "good" | "slow" | "silent" | "lost";
export type CodecName = import("./codec-choice.js").Codec;
/** Sound kept while reconnecting. */
export declare const HELD_BYTES: number;
export declare class Connection {
    #private;
    /** @param {ConnectionOptions} options */
    constructor(options: ConnectionOptions);
    open(): void;
    /** The quality of the line, both ways. @returns {{quality: Quality, lagMs: number, droppedMs: number, codec: CodecName}} */
    get state(): {
        quality: Quality;
        lagMs: number;
        droppedMs: number;
        codec: CodecName;
    };
    /**
     * Send sound, or keep it while there is no line.
     * @param {Uint8Array} pcm PCM16 LE 16 kHz; taken over
     * @param {{ageMs?: number, speech?: boolean}} [about] how long ago it was said, and whether there is a voice in it
     */
    sendAudio(pcm: Uint8Array, { ageMs, speech }?: {
        ageMs?: number;
        speech?: boolean;
    }): void;
    /**
     * Send a message other than sound.
     * @param {Uint8Array<ArrayBuffer>} message
     * @returns {boolean} false: there is no line now
     */
    send(message: Uint8Array<ArrayBuffer>): boolean;
    /** The candidate pressed "end": ask the server, but not for long. */
    requestEnd(): void;
    /** The interviewer's voice ran dry within a reply: the line to here is too slow. */
    ranDry(): void;
    /** Hang up without an end: the server holds the interview for its grace. Nothing more is reported. */
    close(): void;
}
