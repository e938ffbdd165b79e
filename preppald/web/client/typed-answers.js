/** Answers that the candidate types: numbered, and sent again where a lost connection may have swallowed them. */

/** The server takes no longer ones: code points. */
export const TEXT_ANSWER_CHARS = 2000;

/** The server shows an answer before it is on disk; a commit later nothing can be lost. */
const SETTLED_MS = 5 * 1000;

/** An interruption this soon after an answer is that answer's doing. */
const CUTS_WITHIN_MS = 2 * 1000;

/** ErrorResponse.code of an answer that is not taken, with the name of the reason. @type {ReadonlyMap<number, TextProblem>} */
const REFUSALS = new Map([
  [400, "text-not-taken"],
  [413, "text-too-long"],
  [425, "text-not-available"],
  [429, "text-too-often"],
]);

/** @typedef {import("./words.js").TextProblem} TextProblem */
/** @typedef {{text: string, number: number, sentAt: number, shownAt: number | null}} TypedAnswer */

export class TypedAnswers {
  /** In the order of their sending. @type {TypedAnswer[]} */
  #unsettled = [];
  #last = 0;

  /**
   * Return why this text cannot be an answer; null where it can.
   * @param {string} text
   * @returns {TextProblem | null}
   */
  static problem(text) {
    const characters = [...text.trim()].length;
    if (characters === 0) return "text-not-taken";
    return characters > TEXT_ANSWER_CHARS ? "text-too-long" : null;
  }

  /**
   * Take an answer; it has a number that no earlier one of this interview had, also before a reload.
   * @param {string} text
   * @param {number} now performance.now()
   */
  add(text, now) {
    this.#last = Math.max(this.#last + 1, Math.floor(Date.now() / 1000));
    const answer = { text: text.trim(), number: this.#last, sentAt: now, shownAt: null };
    this.#unsettled.push(answer);
    return answer;
  }

  /**
   * The transcript has grown by these words of the candidate's.
   * @param {string} text
   * @param {number} now
   */
  shown(text, now) {
    const answer = this.#unsettled.find((one) => one.shownAt === null && squeezed(one.text) === squeezed(text));
    if (answer !== undefined) answer.shownAt = now;
  }

  /**
   * Return the answer that an ErrorResponse is about, and why it was not taken; null where it is about none.
   * @param {number} code
   */
  refused(code) {
    const problem = REFUSALS.get(code);
    const at = this.#unsettled.findIndex((one) => one.shownAt === null);
    if (problem === undefined || at < 0) return null;
    const [answer] = this.#unsettled.splice(at, 1);
    return { text: answer?.text ?? "", problem };
  }

  /**
   * Return those that a new connection has to send once more: the server takes each number once.
   * @param {number} now
   */
  due(now) {
    this.#unsettled = this.#unsettled.filter(({ shownAt }) => shownAt === null || now - shownAt < SETTLED_MS);
    return this.#unsettled;
  }

  /** @param {number} now */
  mayHaveCut(now) {
    return this.#unsettled.some(({ sentAt }) => now - sentAt < CUTS_WITHIN_MS);
  }
}

/** The server takes control characters out; blanks alone do not tell two answers apart. @param {string} text */
function squeezed(text) {
  return text.replace(/[\s\p{Cc}\u202a-\u202e\u2066-\u2069]+/gu, "");
}
