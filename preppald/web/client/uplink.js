/**
 * The candidate's sound on its way to the server: queued, sent while the line takes it, measured end to end.
 *
 * Rule 1: sound that would arrive later than MAX_LAG_MS is dropped, the oldest first, and counted: an interviewer that
 *         answers a sentence of half a minute ago is worse than a missing word.
 * Rule 2: the lag is measured by what the server has received. A browser's bufferedAmount is blind to what the kernel
 *         and the network hold; it serves only where the server is too old to say Received.
 * Rule 3: sound spoken while there is no line is kept, up to HELD_MS, and sent on the next.
 *
 * No clock and no socket in here: times are arguments, in milliseconds of one monotonic clock.
 */

import { CAPTURE_RATE_HZ } from "./sound-format.js";

const BYTES_PER_MS = (CAPTURE_RATE_HZ * 2) / 1000;

/** The most that the interviewer may hear the candidate late. */
export const MAX_LAG_MS = 3000;

/** Sound kept while there is no line: a sentence; older speech would only delay the interview. */
export const HELD_MS = 5000;

/** Sent and not yet received: the server reports once a second, and a slow round trip takes half of one. On a line that turns slow, so much PCM is in the way of all that follows. */
const WINDOW_MS = 1500;

/** Opus is in nobody's way, and a packet that is lost, and comes again, takes another second. */
const PACKED_WINDOW_MS = 2500;

/** More than that is under way only where the line, and not the candidate, says how fast sound goes. */
const WAITING_MS = 500;

/** The server reports when sound arrives, so with a full window a piece goes all the same, so often. */
const PROBE_EVERY_MS = 250;

/** From here on the line is called slow … */
const SLOW_MS = 1500;

/** … and from here down, for so long, it no longer is. */
const SWIFT_MS = 800;
const SWIFT_FOR_MS = 5000;

/** The server reports once a second; after two and a half without a report, nothing gets through. */
const STALLED_MS = 2500;

/** Sound held over a gap goes at once, and is no sign of a slow line until it had this time to arrive. */
const GAP_FORGIVEN_MS = 4000;

/** Estimates of a line's speed, in shares of real time: between dead and twice as fast as speech. */
const MIN_RATE = 0.1;
const MAX_RATE = 2;

/** … over so long: a lost packet holds up all behind it for a second, and says nothing of the speed. */
const RATE_OVER_MS = 5000;

/** @typedef {{pcm: Uint8Array, capturedAt: number, speech: boolean}} Piece */

export class Uplink {
  /** Milliseconds of sound that were dropped, in all, and how many of them were speech. */
  droppedMs = 0;
  droppedSpeechMs = 0;
  /** Milliseconds between the newest sound known to have arrived and its being said. */
  lagMs = 0;
  slow = false;

  /** @type {Piece[]} */
  #queue = [];
  #queuedMs = 0;
  #open = false;
  /** True where this connection's server says Received. */
  #measured = false;
  #sentMs = 0;
  #receivedMs = 0;
  #receivedAt = 0;
  #rate = 1;
  /** What the server said within RATE_OVER_MS. @type {{at: number, audioMs: number}[]} */
  #reports = [];
  /** Until when, and up to which place, held sound counts as arrived. */
  #forgivenUntil = 0;
  #forgivenMs = 0;
  /** Where on this connection each piece ends, and when it was said. @type {{endMs: number, capturedAt: number}[]} */
  #marks = [];
  #swiftSince = 0;
  #sentAt = 0;

  /**
   * Return whether sound is sent and not yet received, as far as the server says.
   * @param {boolean} [promised] it will say so, although it has not yet
   */
  unconfirmed(promised = false) {
    return this.#open && (this.#measured || promised) && this.#sentMs > this.#receivedMs;
  }

  /**
   * Take in a piece of the microphone's sound.
   * @param {Uint8Array} pcm PCM16 LE 16 kHz; taken over
   * @param {number} capturedAt when it was said
   * @param {boolean} [speech] whether there is a voice in it
   */
  put(pcm, capturedAt, speech = true) {
    this.#queue.push({ pcm, capturedAt, speech });
    this.#queuedMs += pcm.length / BYTES_PER_MS;
  }

  /** A new connection is open; return all that was held over the gap. @param {number} now @returns {Uint8Array[]} */
  opened(now) {
    this.#open = true;
    this.#measured = false;
    this.#sentMs = this.#receivedMs = 0;
    this.#receivedAt = now;
    this.#rate = 1;
    this.#reports = [{ at: now, audioMs: 0 }];
    this.#marks = [];
    const held = this.#queue.map(({ pcm }) => pcm);
    this.#forgivenMs = this.#sentMs = this.#queuedMs;
    this.#forgivenUntil = now + GAP_FORGIVEN_MS;
    this.#queue = [];
    this.#queuedMs = 0;
    return held;
  }

  /** The connection is gone. */
  closed() {
    this.#open = this.#measured = false;
    this.#marks = [];
  }

  /**
   * Return what is to be sent now; drop what would come too late.
   * @param {number} now
   * @param {number} bufferedBytes the socket's bufferedAmount
   * @param {boolean} [packed] whether it goes as Opus
   * @returns {Uint8Array[]}
   */
  take(now, bufferedBytes, packed = false) {
    if (!this.#open) {
      this.#keep(HELD_MS);
      return [];
    }
    const underway = this.#underwayMs(now, bufferedBytes);
    const stalled = this.#measured && underway > 0 && now - this.#receivedAt > STALLED_MS;
    if (stalled) this.#keep(HELD_MS);
    else this.#dropLate(now, underway / this.#rate);
    const ready = [];
    let room = (packed && this.#measured ? PACKED_WINDOW_MS : WINDOW_MS) - underway / this.#rate;
    if (room <= 0 && now - this.#sentAt >= PROBE_EVERY_MS && this.#measured) room = Number.MIN_VALUE;
    while (room > 0 && this.#queue.length > 0) {
      this.#sentAt = now;
      const piece = this.#shift();
      const lengthMs = piece.pcm.length / BYTES_PER_MS;
      this.#sentMs += lengthMs;
      room -= lengthMs / this.#rate;
      if (this.#measured || this.#sentMs < HELD_MS) this.#marks.push({ endMs: this.#sentMs, capturedAt: piece.capturedAt });
      ready.push(piece.pcm);
    }
    return ready;
  }

  /**
   * The server said how much it has received on this connection.
   * @param {number} audioMs
   * @param {number} now
   */
  received(audioMs, now) {
    this.#reports = [...this.#reports.filter(({ at }) => now - at <= RATE_OVER_MS), { at: now, audioMs }];
    const before = /** @type {{at: number, audioMs: number}} */ (this.#reports[0]);
    const arrived = (audioMs - before.audioMs) / Math.max(1, now - before.at);
    const limited = this.#measured && this.#reports.length > 1 && this.#sentMs - audioMs > WAITING_MS;
    this.#rate = limited ? Math.min(MAX_RATE, Math.max(MIN_RATE, arrived)) : 1;
    this.#measured = true;
    this.#receivedMs = audioMs;
    this.#receivedAt = now;
    while (this.#marks.length > 0 && this.#mark.endMs <= audioMs) {
      this.lagMs = Math.max(0, now - this.#mark.capturedAt);
      this.#marks.shift();
    }
    this.#judge(now);
  }

  get #mark() {
    return /** @type {{endMs: number, capturedAt: number}} */ (this.#marks[0]);
  }

  /** @param {number} now */
  #judge(now) {
    if (this.lagMs > SWIFT_MS) this.#swiftSince = now;
    if (this.lagMs > SLOW_MS) this.slow = true;
    else if (now - this.#swiftSince >= SWIFT_FOR_MS) this.slow = false;
  }

  /**
   * @param {number} now
   * @param {number} bufferedBytes
   */
  #underwayMs(now, bufferedBytes) {
    if (!this.#measured) return bufferedBytes / BYTES_PER_MS;
    const arrived = now < this.#forgivenUntil ? Math.max(this.#receivedMs, this.#forgivenMs) : this.#receivedMs;
    return Math.max(0, this.#sentMs - arrived);
  }

  /**
   * @param {number} now
   * @param {number} transitMs how long what is under way will take
   */
  #dropLate(now, transitMs) {
    while (this.#queue.length > 0 && now - /** @type {Piece} */ (this.#queue[0]).capturedAt + transitMs > MAX_LAG_MS) {
      this.#drop();
    }
  }

  /** @param {number} mostMs */
  #keep(mostMs) {
    while (this.#queuedMs > mostMs) this.#drop();
  }

  #drop() {
    const { pcm, speech } = this.#shift();
    this.droppedMs += pcm.length / BYTES_PER_MS;
    if (speech) this.droppedSpeechMs += pcm.length / BYTES_PER_MS;
  }

  #shift() {
    const piece = /** @type {Piece} */ (this.#queue.shift());
    this.#queuedMs -= piece.pcm.length / BYTES_PER_MS;
    return piece;
  }
}
