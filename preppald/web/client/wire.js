/**
 * The bytes between browser and preppald: exactly the messages of
 * proto/interview.proto that cross this wire, and nothing else of protobuf.
 *
 * Rule 1: unknown fields are skipped, so a newer server never breaks this page.
 * Rule 2: a length or tag is believed only after it was checked against the bytes there are.
 * Rule 3: whatever is wrong with the bytes leaves as a WireError.
 */

export class WireError extends Error {
  name = "WireError";
}

/** @typedef {{kind: "transcriptUpdate", speaker: string, text: string, isFinal: boolean, turnComplete: boolean, seq: number, turn: number, beginMs: number, endMs: number, heardCodePoints: number}} TranscriptUpdate turn: 0 from an older server; heardCodePoints: of the turn so far, where it was cut, else 0 */
/** @typedef {{kind: "audioResponse", audioContent: Uint8Array, packets: Uint8Array[]}} AudioResponse PCM16 LE mono, or Opus */
/** @typedef {{kind: "error", code: number, message: string, retryAfterMs: number}} ErrorResponse */
/** @typedef {{kind: "sessionEnded", reason: number}} SessionEnded */
/** @typedef {{kind: "sessionStarted", interviewId: string, outputSampleRateHz: number, remainingMs: number, resumed: boolean, graceMs: number, audioCodec: number}} SessionStarted graceMs: 0 from an older server */
/** @typedef {{kind: "interrupted", heardMs: number, heardCodePoints: number, turn: number}} Interrupted turn: 0 where it was not said how much was heard */
/** @typedef {{kind: "notice", noticeKind: number, message: string, remainingMs: number}} Notice */
/** @typedef {{kind: "holdState", on: boolean, remainingMs: number}} HoldState */
/** @typedef {{kind: "received", audioMs: number}} Received of the candidate's sound, on this connection */
/** @typedef {TranscriptUpdate | AudioResponse | ErrorResponse | SessionEnded | SessionStarted | Interrupted | Notice | HoldState | Received} ServerMessage */

/** SessionEnded.Reason */
export const EndReason = Object.freeze({ UNSPECIFIED: 0, USER_INITIATED: 1, GEMINI_ENDED: 2, TIMEOUT: 3 });

/** Codec */
export const Codec = Object.freeze({ PCM: 0, OPUS: 1 });

/** Notice.Kind */
export const NoticeKind = Object.freeze({ UNSPECIFIED: 0, RECONNECTING: 1, RECONNECTED: 2, ENDING_SOON: 3, DRAINING: 4, SILENT: 5, STILL_THERE: 6 });

const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;

/** Ten bytes of seven bits hold 64 bits; protobuf allows no longer varint. */
const VARINT_MAX_BYTES = 10;

/** (1 << 3) | LENGTH_DELIMITED: `audio_chunk`, and `audio_content` within it. */
const TAG_FIELD_1_BYTES = 0x0a;

/** (2 << 3) | LENGTH_DELIMITED: `end_request`. */
const TAG_FIELD_2_BYTES = 0x12;

/** (3 << 3) | LENGTH_DELIMITED: `hold`. */
const TAG_FIELD_3_BYTES = 0x1a;

/** (4 << 3) | LENGTH_DELIMITED: `text_answer`. */
const TAG_FIELD_4_BYTES = 0x22;

/** (5 << 3) | LENGTH_DELIMITED: `prefer`. */
const TAG_FIELD_5_BYTES = 0x2a;

/** (1 << 3) | VARINT: `on` within `hold`, and `downlink` within `prefer`. */
const TAG_FIELD_1_VARINT = 0x08;

/** (2 << 3) | VARINT: `number` within `text_answer`. */
const TAG_FIELD_2_VARINT = 0x10;

/** Reads one message's fields from `bytes`, never past its end. */
class Reader {
  #at = 0;

  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.bytes = bytes;
  }

  get done() {
    return this.#at >= this.bytes.length;
  }

  /** @returns {bigint} the 64 bits, unsigned */
  varint() {
    let value = 0n;
    for (let i = 0; i < VARINT_MAX_BYTES; i += 1) {
      const byte = this.bytes[this.#at];
      if (byte === undefined) throw new WireError("varint runs past the end");
      this.#at += 1;
      value |= BigInt(byte & 0x7f) << BigInt(7 * i);
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new WireError("varint is longer than 64 bits");
  }

  /** @returns {{field: number, type: number}} */
  tag() {
    const tag = this.varint();
    const field = tag >> 3n;
    if (field < 1n || field > 0x1fffffffn) throw new WireError(`field number ${field} is out of range`);
    return { field: Number(field), type: Number(tag & 7n) };
  }

  /** @returns {Uint8Array} a view, not a copy */
  block() {
    return this.#take(this.varint());
  }

  /** @param {number} type */
  skip(type) {
    if (type === VARINT) this.varint();
    else if (type === FIXED64) this.#take(8n);
    else if (type === LENGTH_DELIMITED) this.block();
    else if (type === FIXED32) this.#take(4n);
    else throw new WireError(`wire type ${type} is not in use`);
  }

  /** @param {bigint} length */
  #take(length) {
    if (length > BigInt(this.bytes.length - this.#at)) throw new WireError("field runs past the end");
    const start = this.#at;
    this.#at += Number(length);
    return this.bytes.subarray(start, this.#at);
  }
}

/** Readers of a field's bits; one for each scalar type of proto/interview.proto. */
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const text = {
  wire: LENGTH_DELIMITED,
  empty: "",
  read: (/** @type {Reader} */ r) => {
    try {
      return utf8.decode(r.block());
    } catch (problem) {
      if (problem instanceof WireError) throw problem;
      throw new WireError("text is not UTF-8");
    }
  },
};
const bytes = { wire: LENGTH_DELIMITED, empty: new Uint8Array(0), read: (/** @type {Reader} */ r) => r.block() };
/** @type {Uint8Array[]} */
const none = [];
/** A repeated field: each of its members is another field of the message. */
const list = { wire: LENGTH_DELIMITED, empty: none, read: (/** @type {Reader} */ r, /** @type {unknown} */ before) => [.../** @type {Uint8Array[]} */ (before), r.block()] };
const bool = { wire: VARINT, empty: false, read: (/** @type {Reader} */ r) => r.varint() !== 0n };
const int32 = { wire: VARINT, empty: 0, read: (/** @type {Reader} */ r) => Number(BigInt.asIntN(32, r.varint())) };
const int64 = { wire: VARINT, empty: 0, read: (/** @type {Reader} */ r) => safe(BigInt.asIntN(64, r.varint())) };
const uint64 = { wire: VARINT, empty: 0, read: (/** @type {Reader} */ r) => safe(r.varint()) };

/**
 * A JavaScript number holds 53 bits; beyond them the nearest safe number serves.
 * @param {bigint} value
 */
function safe(value) {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) return Number.MAX_SAFE_INTEGER;
  if (value < BigInt(Number.MIN_SAFE_INTEGER)) return Number.MIN_SAFE_INTEGER;
  return Number(value);
}

/**
 * ServerToClientMessage.payload: field number → kind of message and its own fields by number.
 * @type {Record<number, {kind: string, fields: Record<number, [name: string, type: typeof text | typeof bytes | typeof list | typeof bool | typeof int32]>}>}
 */
const PAYLOADS = {
  1: {
    kind: "transcriptUpdate",
    fields: { 1: ["speaker", text], 2: ["text", text], 3: ["isFinal", bool], 4: ["turnComplete", bool], 5: ["seq", uint64], 6: ["turn", int32], 7: ["beginMs", int64], 8: ["endMs", int64], 9: ["heardCodePoints", int32] },
  },
  2: { kind: "audioResponse", fields: { 1: ["audioContent", bytes], 2: ["packets", list] } },
  3: { kind: "error", fields: { 1: ["code", int32], 2: ["message", text], 3: ["retryAfterMs", int64] } },
  4: { kind: "sessionEnded", fields: { 1: ["reason", int32] } },
  5: {
    kind: "sessionStarted",
    fields: { 1: ["interviewId", text], 2: ["outputSampleRateHz", int32], 3: ["remainingMs", int64], 4: ["resumed", bool], 5: ["graceMs", int64], 7: ["audioCodec", int32] },
  },
  6: { kind: "interrupted", fields: { 1: ["heardMs", int64], 2: ["heardCodePoints", int32], 3: ["turn", int32] } },
  7: { kind: "notice", fields: { 1: ["noticeKind", int32], 2: ["message", text], 3: ["remainingMs", int64] } },
  8: { kind: "holdState", fields: { 1: ["on", bool], 2: ["remainingMs", int64] } },
  9: { kind: "received", fields: { 1: ["audioMs", int64] } },
};

/**
 * @param {ArrayBuffer} frame one binary WebSocket message
 * @returns {ServerMessage | null} null: a payload this client does not know
 */
export function decodeServerMessage(frame) {
  const reader = new Reader(new Uint8Array(frame));
  /** @type {Record<string, unknown> | null} */
  let message = null;
  while (!reader.done) {
    const { field, type } = reader.tag();
    const payload = PAYLOADS[field];
    if (payload === undefined || type !== LENGTH_DELIMITED) {
      reader.skip(type);
      continue;
    }
    const block = reader.block();
    // As in every protobuf reader: the last member of the oneof wins, and the same one twice is merged.
    if (message === null || message.kind !== payload.kind) {
      message = { kind: payload.kind };
      for (const [name, scalar] of Object.values(payload.fields)) message[name] = scalar.empty;
    }
    readFields(new Reader(block), payload.fields, message);
  }
  return /** @type {ServerMessage | null} */ (message);
}

/**
 * @param {Reader} reader
 * @param {(typeof PAYLOADS)[number]["fields"]} fields
 * @param {Record<string, unknown>} into
 */
function readFields(reader, fields, into) {
  while (!reader.done) {
    const { field, type } = reader.tag();
    const known = fields[field];
    if (known === undefined || known[1].wire !== type) reader.skip(type);
    else into[known[0]] = known[1].read(reader, into[known[0]]);
  }
}

/** ClientToServerMessage { end_request {} } */
export function encodeEndRequest() {
  return Uint8Array.of(TAG_FIELD_2_BYTES, 0);
}

/**
 * ClientToServerMessage { hold { on } }
 * @param {boolean} on
 */
export function encodeHold(on) {
  return on ? Uint8Array.of(TAG_FIELD_3_BYTES, 2, TAG_FIELD_1_VARINT, 1) : Uint8Array.of(TAG_FIELD_3_BYTES, 0);
}

/**
 * ClientToServerMessage { text_answer { text, number } }
 * @param {string} text
 * @param {number} number counts up within the interview, from 1
 */
export function encodeTextAnswer(text, number) {
  const utf8 = new TextEncoder().encode(text);
  const inner = [TAG_FIELD_1_BYTES, ...lengthVarint(utf8.length), ...utf8, TAG_FIELD_2_VARINT, ...lengthVarint(number)];
  return Uint8Array.from([TAG_FIELD_4_BYTES, ...lengthVarint(inner.length), ...inner]);
}

/**
 * ClientToServerMessage { audio_chunk { audio_content } }
 * @param {Uint8Array} pcm PCM16 LE mono 16 kHz
 */
export function encodeAudioChunk(pcm) {
  const innerHead = [TAG_FIELD_1_BYTES, ...lengthVarint(pcm.length)];
  const outerHead = [TAG_FIELD_1_BYTES, ...lengthVarint(innerHead.length + pcm.length)];
  const frame = new Uint8Array(outerHead.length + innerHead.length + pcm.length);
  frame.set(outerHead, 0);
  frame.set(innerHead, outerHead.length);
  frame.set(pcm, outerHead.length + innerHead.length);
  return frame;
}

/**
 * ClientToServerMessage { audio_chunk { packets … } }
 * @param {Uint8Array[]} packets Opus
 */
export function encodeAudioPackets(packets) {
  const heads = packets.map((packet) => [TAG_FIELD_2_BYTES, ...lengthVarint(packet.length)]);
  const innerLength = packets.reduce((sum, packet, i) => sum + /** @type {number[]} */ (heads[i]).length + packet.length, 0);
  const outerHead = [TAG_FIELD_1_BYTES, ...lengthVarint(innerLength)];
  const frame = new Uint8Array(outerHead.length + innerLength);
  frame.set(outerHead, 0);
  let at = outerHead.length;
  for (const [i, packet] of packets.entries()) {
    for (const part of [/** @type {number[]} */ (heads[i]), packet]) {
      frame.set(part, at);
      at += part.length;
    }
  }
  return frame;
}

/**
 * ClientToServerMessage { prefer { downlink } }
 * @param {number} codec
 */
export function encodePrefer(codec) {
  return codec === 0 ? Uint8Array.of(TAG_FIELD_5_BYTES, 0) : Uint8Array.of(TAG_FIELD_5_BYTES, 2, TAG_FIELD_1_VARINT, codec);
}

/** @param {number} length */
function lengthVarint(length) {
  const out = [];
  let rest = length;
  while (rest > 0x7f) {
    out.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  out.push(rest);
  return out;
}
