/** The waits and the patience of a connection, each with its reason. */
/** TCP, TLS and the server's answer; a phone on a bad network needs several seconds. */
export declare const OPEN_TIMEOUT_MS: number;
/** From open to SessionStarted: the server's own limits (10 s dial + 10 s set-up, or 30 s of restoring) and a margin. */
export declare const READY_TIMEOUT_MS: number;
/** From EndRequest to the server's goodbye; the user has decided, so we do not wait longer. */
export declare const GOODBYE_TIMEOUT_MS: number;
/** A few refusals may be a server between two lives; four in a row (some three seconds) are a verdict. */
export declare const REFUSALS_BELIEVED = 4;
/** The interval of looks at the line. */
export declare const WATCH_MS = 500;
/** Sound goes out and the server says nothing: a word to the candidate … */
export declare const QUIET_MS: number;
/** … and the end of this socket: far above a slow line's worst second, far below the server's own patience. */
export declare const SILENT_MS: number;
/** The server notices a dead line up to 25 s after this page may, and its grace begins then: be there to the end. */
export declare const GRACE_MARGIN_MS: number;
