/**
 * One interview's connection: a chain of WebSockets that looks like one.
 *
 * Rule 1: at most one socket is alive; whatever an older one still says is ignored.
 * Rule 2: every wait has an end, and `onend` is called exactly once.
 * Rule 3: sound spoken while there is no socket is kept, up to a bound, and sent on the next.
 */
export type ServerMessage = import("./wire.js").ServerMessage;
export type Ending = import("./endings.js").Ending;
export type ConnectionOptions = {
    /**
     * http:, https:, ws: or wss:, or relative to the page; with or without `?token=`
     */
    url: string;
    /**
     * travels as a subprotocol, so that no log of URLs holds it
     */
    token?: string;
    /**
     * the last transcript seq that arrived; 0: none, so that all there is comes
     */
    since: () => number;
    onmessage: (message: ServerMessage) => void;
    /**
     * another try follows
     */
    onlost: () => void;
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
/** Sound kept while reconnecting: a sentence; older speech would only delay the interview. */
export declare const HELD_BYTES: number;
export declare class Connection {
    #private;
    /** @param {ConnectionOptions} options */
    constructor(options: ConnectionOptions);
    open(): void;
    /** @param {Uint8Array} pcm PCM16 LE 16 kHz; taken over */
    sendAudio(pcm: Uint8Array): void;
    /** The candidate pressed "end": ask the server, but not for long. */
    requestEnd(): void;
    /** Hangs up without an end: the server holds the interview for its grace. Nothing more is told. */
    close(): void;
}
