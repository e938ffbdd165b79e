/**
 * The troubles that are there now.
 *
 * Rule 1: each has a beginning and an end of its own, and none hides another.
 * Rule 2: a trouble that is over as soon as it has happened stays only as long as its sentence takes to be read twice.
 */

import { TROUBLES } from "./words.js";

/** @typedef {import("./words.js").Trouble} Trouble */

/** Most urgent first: the order in which words.js has them. */
const URGENCY = /** @type {Trouble[]} */ (Object.keys(TROUBLES));

/**
 * Troubles that happen and are over; for these the sentence is what ends. An echo that has cut nobody for a minute has
 * found its own remedy.
 * @type {Partial<Record<Trouble, number>>}
 */
const SHOWN_MS = { echo: 60 * 1000, "microphone-changed": 10 * 1000, "speech-dropped": 10 * 1000, "audio-dropped": 10 * 1000, "server-complaint": 10 * 1000 };

export class Troubles {
  /** @type {Map<Trouble, ReturnType<typeof setTimeout> | null>} */
  #active = new Map();
  #onchange;

  /** @param {(kind: Trouble, active: boolean) => void} onchange a trouble began or ended */
  constructor(onchange) {
    this.#onchange = onchange;
  }

  /** Return the present troubles, the most urgent first. @returns {Trouble[]} */
  get all() {
    return URGENCY.filter((kind) => this.#active.has(kind));
  }

  /** @param {Trouble} kind */
  has(kind) {
    return this.#active.has(kind);
  }

  /**
   * @param {Trouble} kind
   * @param {boolean} active
   */
  set(kind, active) {
    if (active) this.begin(kind);
    else this.end(kind);
  }

  /** @param {Trouble} kind */
  begin(kind) {
    const before = this.#active.get(kind);
    if (before === null) return;
    if (before !== undefined) clearTimeout(before);
    const shownMs = SHOWN_MS[kind];
    this.#active.set(kind, shownMs === undefined ? null : setTimeout(() => this.end(kind), shownMs));
    if (before === undefined) this.#onchange(kind, true);
  }

  /** @param {Trouble} kind */
  end(kind) {
    const timer = this.#active.get(kind);
    if (timer === undefined) return;
    if (timer !== null) clearTimeout(timer);
    this.#active.delete(kind);
    this.#onchange(kind, false);
  }

  /** End all, for instance because the interview is over. */
  clear() {
    for (const kind of this.all) this.end(kind);
  }
}
