/**
 * All sentences of the client for the candidate, by language and name. An application may bring its own: any part of a
 * language's words, given to InterviewClient as `words`.
 *
 * Rule 1: a sentence says what happened and what the candidate can do, and blames nobody for what is ours.
 * Rule 2: each language has the same names.
 */
/** The endings of an interview. */
declare const ENDINGS_EN: {
    "ended-by-user": string;
    "time-is-up": string;
    "interviewer-finished": string;
    "ended-by-operator": string;
    ended: string;
    "ai-unreachable": string;
    "ai-failed": string;
    replaced: string;
    draining: string;
    refused: string;
    "another-interview": string;
    "wrong-page": string;
    "not-understood": string;
    "over-meanwhile": string;
    "too-many": string;
    full: string;
    "blocked-between": string;
    unreachable: string;
    "connection-lost": string;
    protocol: string;
    "server-error": string;
};
/** Troubles during an interview, or before it begins; the most urgent first. */
declare const TROUBLES_EN: {
    "audio-paused": string;
    "sound-stopped": string;
    "microphone-withdrawn": string;
    "microphone-lost": string;
    "microphone-changed": string;
    "microphone-muted": string;
    "microphone-silent": string;
    "line-silent": string;
    "waiting-for-server": string;
    "slow-connection": string;
    echo: string;
    "speech-dropped": string;
    "audio-dropped": string;
    "server-complaint": string;
    "microphone-denied": string;
    "microphone-denied-by-system": string;
    "microphone-denied-by-page": string;
    "microphone-missing": string;
    "microphone-busy": string;
    "insecure-context": string;
    "audio-unavailable": string;
    "sound-not-loaded": string;
    "interview-over": string;
};
/** Reasons for which a typed answer is not taken. */
declare const TEXT_PROBLEMS_EN: {
    "text-too-long": string;
    "text-too-often": string;
    "text-not-taken": string;
    "text-not-available": string;
};
export type Ending = keyof typeof ENDINGS_EN;
export type Trouble = keyof typeof TROUBLES_EN;
export type TextProblem = keyof typeof TEXT_PROBLEMS_EN;
export type Words = Readonly<Record<Ending | Trouble | TextProblem, string>>;
export declare const ENDINGS: Readonly<{
    "ended-by-user": string;
    "time-is-up": string;
    "interviewer-finished": string;
    "ended-by-operator": string;
    ended: string;
    "ai-unreachable": string;
    "ai-failed": string;
    replaced: string;
    draining: string;
    refused: string;
    "another-interview": string;
    "wrong-page": string;
    "not-understood": string;
    "over-meanwhile": string;
    "too-many": string;
    full: string;
    "blocked-between": string;
    unreachable: string;
    "connection-lost": string;
    protocol: string;
    "server-error": string;
}>;
export declare const TROUBLES: Readonly<{
    "audio-paused": string;
    "sound-stopped": string;
    "microphone-withdrawn": string;
    "microphone-lost": string;
    "microphone-changed": string;
    "microphone-muted": string;
    "microphone-silent": string;
    "line-silent": string;
    "waiting-for-server": string;
    "slow-connection": string;
    echo: string;
    "speech-dropped": string;
    "audio-dropped": string;
    "server-complaint": string;
    "microphone-denied": string;
    "microphone-denied-by-system": string;
    "microphone-denied-by-page": string;
    "microphone-missing": string;
    "microphone-busy": string;
    "insecure-context": string;
    "audio-unavailable": string;
    "sound-not-loaded": string;
    "interview-over": string;
}>;
/** By language; the first is for all others. @type {Readonly<Record<string, Words>>} */
export declare const WORDS: Readonly<Record<string, Words>>;
/**
 * Return a language's words, with an application's own in front.
 * @param {string} [language] a BCP 47 tag, of which the first part counts; unknown ones get English
 * @param {Partial<Words>} [own]
 * @returns {Words}
 */
export declare function wordsIn(language?: string, own?: Partial<Words>): Words;
/**
 * Return an ending, a trouble or a text problem in a sentence for the candidate.
 * @param {Ending | Trouble | TextProblem} name
 * @param {string} [language] as for wordsIn
 * @returns {string}
 */
export declare function explain(name: Ending | Trouble | TextProblem, language?: string): string;
export {};
