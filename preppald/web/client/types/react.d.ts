/**
 * Hooks for React 18 and later.
 *
 * Rule 1: the client outlives a component that React unmounts and mounts again at once, as StrictMode does: there is no
 *         second connection, and no second question for the microphone.
 * Rule 2: a component that is gone for good lets go of its interview, which the server holds for its grace.
 */
import { AudioError, InterviewClient } from "./preppal-client.js";
export type ClientOptions = import("./preppal-client.js").ClientOptions;
export type InterviewEvents = import("./preppal-client.js").InterviewEvents;
export type InterviewState = import("./preppal-client.js").InterviewState;
export type MicrophoneChoice = import("./preppal-client.js").MicrophoneChoice;
export type Quality = import("./preppal-client.js").Quality;
export type Trouble = import("./preppal-client.js").Trouble;
export type Turn = import("./preppal-client.js").Turn;
export type StartOptions = {
    url: string;
    token?: string | (() => string | Promise<string>) | undefined;
};
export type InterviewSnapshot = {
    /**
     * for all that is not here; another one after `renew`
     */
    client: InterviewClient;
    state: InterviewState;
    turns: readonly Turn[];
    troubles: readonly Trouble[];
    /**
     * the newest
     */
    notice: InterviewEvents["notice"] | null;
    /**
     * the newest
     */
    textRefused: InterviewEvents["textRefused"] | null;
    ended: InterviewEvents["ended"] | null;
    quality: Quality;
    hearsCandidate: boolean;
    holding: boolean;
    muted: boolean;
    hasMicrophone: boolean;
    canHold: boolean;
    canSendText: boolean;
};
export type InterviewActions = {
    /**
     *   opens sound and microphone (false: none), asks for the interview and begins it. A second call is the first one's, and
     *   asks for nothing. Rejects with an AudioError, or with what the function threw, and may then be called again
     */
    start: (interview: StartOptions | (() => StartOptions | Promise<StartOptions>), microphone?: boolean | MicrophoneChoice) => Promise<void>;
    end: () => void;
    hold: (on?: boolean) => void;
    sendText: (text: string) => boolean;
    setMuted: (muted: boolean) => void;
    resume: () => Promise<void>;
    /**
     * lets go of this interview, for another one
     */
    renew: () => void;
};
/**
 * Hold an interview for as long as the component is there. Nothing begins before `start`.
 * @param {ClientOptions} [options] those of the first rendering count
 * @returns {InterviewSnapshot & InterviewActions}
 */
export declare function useInterview(options?: ClientOptions): InterviewSnapshot & InterviewActions;
/**
 * Return the loudness of both voices, 0 … 1, twenty times a second: for a small component of its own.
 * @param {InterviewClient} client
 * @returns {InterviewEvents["level"]}
 */
export declare function useLevels(client: InterviewClient): InterviewEvents["level"];
/**
 * Return the whole seconds left of the interview; null until the server has said.
 * @param {InterviewClient} client
 * @returns {number | null}
 */
export declare function useSecondsLeft(client: InterviewClient): number | null;
export { AudioError };
