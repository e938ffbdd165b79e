/** Transcript fragments → turns, as a page shows them. */

/** @typedef {"USER" | "AI"} Speaker */
/** @typedef {{id: number, speaker: Speaker, text: string, complete: boolean, cut: boolean}} Turn cut: the candidate spoke over it */

export class Turns {
  /** @type {Turn[]} in the order in which they began */
  all = [];
  /** The newest fragment's; what a reconnection asks to continue from. */
  seq = 0;

  /**
   * @param {{speaker: string, text: string, turnComplete: boolean, seq: number}} update
   * @returns {Turn | null} the turn that changed; null: heard before, or nothing in it
   */
  add({ speaker, text, turnComplete, seq }) {
    // 0 is a server older than seq: it never repeats itself.
    if (seq !== 0 && seq <= this.seq) return null;
    this.seq = Math.max(this.seq, seq);
    if (speaker !== "USER" && speaker !== "AI") return null;
    let turn = this.#latest(speaker);
    if (turn === undefined || turn.complete) {
      if (text.trim() === "") return null;
      turn = { id: this.all.length, speaker, text: "", complete: false, cut: false };
      this.all.push(turn);
    }
    turn.text += turn.text === "" ? text.trimStart() : text;
    turn.complete = turnComplete;
    return turn;
  }

  /**
   * The candidate spoke over the interviewer.
   * @param {boolean} wasHeard whether the interviewer's voice was still being played
   * @returns {Turn | null} the turn that was cut
   */
  cut(wasHeard) {
    const turn = this.#latest("AI");
    if (turn === undefined || (turn.complete && !wasHeard)) return null;
    turn.cut = true;
    return turn;
  }

  /** @param {Speaker} speaker */
  #latest(speaker) {
    return this.all.findLast((turn) => turn.speaker === speaker);
  }
}
