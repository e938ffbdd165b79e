/** An interview's reports to its page: names, shapes, and how to listen. */

/** @typedef {import("./connection.js").Quality} Quality */
/** @typedef {import("./words.js").Ending} Ending */
/** @typedef {import("./words.js").TextProblem} TextProblem */
/** @typedef {import("./words.js").Trouble} Trouble */
/** @typedef {import("./turns.js").Speaker} Speaker */
/** @typedef {import("./turns.js").Turn} Turn */

/**
 * `ready`: connected, nothing said yet. `listening`: the candidate's turn. `speaking`: the interviewer is heard, or has
 * not finished and is about to go on.
 * @typedef {"idle" | "connecting" | "ready" | "listening" | "speaking" | "reconnecting" | "ended"} InterviewState
 */

/**
 * The events of `on`.
 * @typedef {object} InterviewEvents
 * @property {{state: InterviewState}} state
 * @property {{speaker: Speaker, text: string, turnComplete: boolean, seq: number, turn: Turn}} transcript a fragment, and the turn it belongs to
 * @property {{turn: Turn | null}} interrupted the candidate spoke over the interviewer
 * @property {{kind: number, message: string, remainingMs: number}} notice kind: one of NoticeKind; message: for the candidate, in English
 * @property {{microphone: number, interviewer: number}} level 0 … 1, twenty times a second
 * @property {{speaker: Speaker, speaking: boolean}} speaking a voice began or paused; USER by the client's own ear, before the server knows
 * @property {{speaking: boolean}} answer a recorded answer began or is over
 * @property {{on: boolean, remainingMs: number}} hold the interview pauses, or goes on
 * @property {{text: string, kind: TextProblem, words: string}} textRefused a typed answer was not taken; text: for the field it came from
 * @property {{quality: Quality, lagMs: number, droppedMs: number, codec: "pcm" | "opus"}} quality of the candidate's way to the server, at each change
 * @property {{kind: Trouble, words: string, active: boolean, troubles: readonly Trouble[]}} trouble one began (active) or ended; troubles: all that are there now, the most urgent first
 * @property {{kind: Trouble, words: string}} error a trouble began; the interview goes on
 * @property {{reason: Ending, code: number, words: string}} ended the last event; code: the close frame's, for a log
 */

/** An EventTarget whose events have names and details that TypeScript knows. */
export class Reporter extends EventTarget {
  /**
   * Like addEventListener, but typed, and without the envelope.
   * @template {keyof InterviewEvents} Name
   * @param {Name} name
   * @param {(detail: InterviewEvents[Name]) => void} listener
   * @returns {() => void} takes the listener off again
   */
  on(name, listener) {
    const unwrap = (/** @type {Event} */ event) => listener(/** @type {CustomEvent} */ (event).detail);
    this.addEventListener(name, unwrap);
    return () => this.removeEventListener(name, unwrap);
  }
}
