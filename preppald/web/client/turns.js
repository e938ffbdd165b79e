/** Transcript fragments → turns, as a page shows them. */

/** @typedef {"USER" | "AI"} Speaker */

/**
 * @typedef {object} Turn
 * @property {number} id its place in `turns`
 * @property {Speaker} speaker
 * @property {string} text
 * @property {boolean} complete
 * @property {boolean} cut the candidate spoke over it
 * @property {number | null} heardLength how much of `text` was heard before it was cut, as a string index; null: not said
 * @property {number | null} beginMs since the interview's start; null: not said
 * @property {number | null} endMs
 */

export class Turns {
  /** @type {Turn[]} in the order in which they began */
  all = [];
  /** The newest fragment's; what a reconnection asks to continue from. */
  seq = 0;
  /** The server's numbers, by our own. @type {number[]} */
  #numbers = [];
  /** Blanks in front of a turn, which are not shown, by the server's numbers: the server counts them. @type {Map<number, number>} */
  #blanks = new Map();
  /** Code points heard of turns that were cut before their first word came, by the server's numbers. @type {Map<number, number>} */
  #cutBefore = new Map();

  /**
   * @param {object} update
   * @param {string} update.speaker
   * @param {string} update.text
   * @param {boolean} update.turnComplete
   * @param {number} update.seq
   * @param {number} [update.turn] the server's number; 0: not said
   * @param {number} [update.beginMs] 0: not said
   * @param {number} [update.endMs] 0: not said
   * @param {number} [update.heardCodePoints] of the turn so far, where it was cut; 0: not said
   * @returns {Turn | null} the turn that changed; null: heard before, or nothing in it
   */
  add({ speaker, text, turnComplete, seq, turn: number = 0, beginMs = 0, endMs = 0, heardCodePoints = 0 }) {
    // 0 is a server older than seq: it never repeats itself.
    if (seq !== 0 && seq <= this.seq) return null;
    this.seq = Math.max(this.seq, seq);
    if (speaker !== "USER" && speaker !== "AI") return null;
    // Transcription may come late: the rest of a turn that was closed goes to that turn, whoever has spoken since.
    let turn = number > 0 ? this.all[this.#numbers.indexOf(number)] : this.#latest(speaker);
    if (number > 0 && turn?.complete) {
      turn.text += text;
      if (heardCodePoints > 0) this.#heard(turn, number, heardCodePoints);
      return turn;
    }
    if (turn === undefined || turn.complete) {
      const shown = text.trimStart();
      this.#blanks.set(number, (this.#blanks.get(number) ?? 0) + text.length - shown.length);
      if (shown === "") return null;
      turn = { id: this.all.length, speaker, text: shown, complete: false, cut: false, heardLength: null, beginMs: null, endMs: null };
      this.all.push(turn);
    } else turn.text += text;
    turn.complete = turnComplete;
    if (number > 0) this.#numbers[turn.id] = number;
    if (beginMs > 0 && turn.beginMs === null) turn.beginMs = beginMs;
    if (endMs > 0) turn.endMs = endMs;
    const heardBefore = this.#cutBefore.get(number);
    turn.cut ||= this.#cutBefore.delete(number);
    // An update does not say that nothing was heard: the cut did.
    const heard = heardCodePoints > 0 ? heardCodePoints : heardBefore;
    if (heard !== undefined) this.#heard(turn, number, heard);
    return turn;
  }

  /**
   * @param {Turn} turn
   * @param {number} number the server's
   * @param {number} codePoints that were heard of it; of a reply that broke off by itself all that there is
   */
  #heard(turn, number, codePoints) {
    turn.heardLength = indexOfCodePoint(turn.text, codePoints - (this.#blanks.get(number) ?? 0));
    turn.cut ||= turn.heardLength < turn.text.trimEnd().length;
  }

  /**
   * The candidate spoke over the interviewer.
   * @param {boolean} wasHeard whether the interviewer's voice was still being played
   * @param {{turn: number, heardCodePoints: number}} [told] the server's number of the turn, and how much of it was heard
   * @returns {Turn | null} the turn that was cut; null: none, or one whose words are still to come, and have the cut then
   */
  cut(wasHeard, { turn: number, heardCodePoints } = { turn: 0, heardCodePoints: 0 }) {
    const named = number === 0 ? -1 : this.#numbers.lastIndexOf(number);
    if (number !== 0 && named < 0) {
      this.#cutBefore.set(number, heardCodePoints);
      return null;
    }
    const turn = named < 0 ? this.#latest("AI") : this.all[named];
    if (turn === undefined || (named < 0 && turn.complete && !wasHeard)) return null;
    turn.cut = true;
    if (number !== 0) this.#heard(turn, number, heardCodePoints);
    return turn;
  }

  /** True while the interviewer's newest turn is open. */
  get interviewerOpen() {
    const turn = this.#latest("AI");
    return turn !== undefined && !turn.complete && !turn.cut;
  }

  /** @param {Speaker} speaker */
  #latest(speaker) {
    return this.all.findLast((turn) => turn.speaker === speaker);
  }
}

/**
 * Return the string index behind so many code points: JavaScript counts an emoji as two.
 * @param {string} text
 * @param {number} codePoints
 */
function indexOfCodePoint(text, codePoints) {
  let index = 0;
  let left = codePoints;
  for (const character of text) {
    if (left <= 0) break;
    left -= 1;
    index += character.length;
  }
  return index;
}
