/**
 * Answers in writing, for candidates who cannot or may not speak.
 *
 * Rule: the server takes each number once, so all that may not have arrived is sent again on each new connection.
 */

import { encodeTextAnswer } from "./wire.js";

/** The server's limits; kept here too, so that a candidate hears of them before the answer is gone. */
export const MAX_CHARACTERS = 2000;
const MAX_PER_MINUTE = 10;
const MINUTE_MS = 60 * 1000;

/** Sent again after a reconnection: older ones arrived, or the connection would have been lost sooner. */
const KEPT_MS = 2 * MINUTE_MS;

/** 2024-01-01: numbers are seconds since then, so that they still count up after a reload or on another device. */
const EPOCH_MS = 1704067200000;

/** Control characters except tab and newline. */
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** A written answer was not taken. */
export class TextError extends Error {
  name = "TextError";

  /** @param {"text-empty" | "text-too-long" | "text-too-often" | "text-not-supported"} kind */
  constructor(kind) {
    super(kind);
    this.kind = kind;
  }
}

export class WrittenAnswers {
  #number = 0;
  /** @type {{at: number, message: Uint8Array<ArrayBuffer>}[]} */
  #sent = [];

  /**
   * Return the message for an answer, and keep it.
   * @param {string} text
   * @param {number} now monotonic, in milliseconds
   * @throws {TextError}
   */
  take(text, now) {
    const cleaned = text.replace(/\r\n?/g, "\n").replace(CONTROL, "").trim();
    if (cleaned === "") throw new TextError("text-empty");
    if ([...cleaned].length > MAX_CHARACTERS) throw new TextError("text-too-long");
    this.#sent = this.#sent.filter(({ at }) => now - at < KEPT_MS);
    if (this.#sent.filter(({ at }) => now - at < MINUTE_MS).length >= MAX_PER_MINUTE) throw new TextError("text-too-often");
    this.#number = Math.max(this.#number + 1, Math.floor((Date.now() - EPOCH_MS) / 1000));
    const message = encodeTextAnswer(cleaned, this.#number);
    this.#sent.push({ at: now, message });
    return message;
  }

  /** Return what a new connection is to be sent. @param {number} now @returns {Uint8Array<ArrayBuffer>[]} */
  again(now) {
    return this.#sent.filter(({ at }) => now - at < KEPT_MS).map(({ message }) => message);
  }
}
