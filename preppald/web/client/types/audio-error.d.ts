/** The reasons for having no sound, read from a browser's refusal of the microphone. */
export type Trouble = import("./words.js").Trouble;
/** @typedef {import("./words.js").Trouble} Trouble */
/** `kind` is a name that `explain` has words for; `cause` is the browser's own error, for a log. */
export declare class AudioError extends Error {
    kind: "audio-dropped" | "audio-paused" | "audio-unavailable" | "echo" | "insecure-context" | "interview-over" | "line-silent" | "microphone-busy" | "microphone-changed" | "microphone-denied" | "microphone-denied-by-page" | "microphone-denied-by-system" | "microphone-lost" | "microphone-missing" | "microphone-muted" | "microphone-silent" | "microphone-withdrawn" | "server-complaint" | "slow-connection" | "sound-not-loaded" | "sound-stopped" | "speech-dropped" | "waiting-for-server";
    name: string;
    /**
     * @param {Trouble} kind
     * @param {unknown} [cause]
     */
    constructor(kind: Trouble, cause?: unknown);
}
/**
 * Name the reason why getUserMedia rejected.
 * @param {unknown} problem what it rejected with
 * @returns {Trouble}
 */
export declare function microphoneTrouble(problem: unknown): Trouble;
