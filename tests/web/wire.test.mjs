/** The codec against frames that Python's protobuf wrote (make_fixtures.py), and against bytes nobody should write. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Codec, WireError, decodeServerMessage, encodeAudioChunk, encodeAudioPackets, encodeEndRequest, encodeHold, encodePrefer, encodeTextAnswer } from "../../preppald/web/client/wire.js";

const frames = JSON.parse(readFileSync(new URL("frames.json", import.meta.url), "utf8"));
const buffer = (hex) => Uint8Array.from(Buffer.from(hex, "hex")).buffer;
const decode = (hex) => decodeServerMessage(buffer(hex));
const hex = (bytes) => Buffer.from(bytes).toString("hex");

const PACKETS = [Uint8Array.from(Buffer.from("one")), new Uint8Array(0), new Uint8Array(200)];

const EXPECTED = {
  transcript: { kind: "transcriptUpdate", speaker: "AI", text: "Grüß Gott, 你好 🎤", isFinal: true, turnComplete: true, seq: 300, turn: 0, beginMs: 0, endMs: 0, heardCodePoints: 0 },
  "transcript with its turn": { kind: "transcriptUpdate", speaker: "AI", text: "Hi", isFinal: true, turnComplete: false, seq: 1, turn: 7, beginMs: 61000, endMs: 62500, heardCodePoints: 0 },
  "transcript of a turn that was cut": { kind: "transcriptUpdate", speaker: "AI", text: "", isFinal: true, turnComplete: true, seq: 2, turn: 7, beginMs: 0, endMs: 0, heardCodePoints: 130 },
  "transcript of an older server": { kind: "transcriptUpdate", speaker: "USER", text: "yes", isFinal: true, turnComplete: false, seq: 0, turn: 0, beginMs: 0, endMs: 0, heardCodePoints: 0 },
  "seq beyond 53 bits": { kind: "transcriptUpdate", speaker: "USER", text: "", isFinal: false, turnComplete: false, seq: Number.MAX_SAFE_INTEGER, turn: 0, beginMs: 0, endMs: 0, heardCodePoints: 0 },
  audio: { kind: "audioResponse", audioContent: Uint8Array.from({ length: 512 }, (_, i) => i % 256), packets: [] },
  "audio in packets": { kind: "audioResponse", audioContent: new Uint8Array(0), packets: PACKETS },
  error: { kind: "error", code: -1, message: "Failed to process message", retryAfterMs: 0 },
  refused: { kind: "error", code: 4429, message: "Too many connections", retryAfterMs: 30000 },
  "session ended": { kind: "sessionEnded", reason: 3 },
  "session ended, no reason": { kind: "sessionEnded", reason: 0 },
  "session started": { kind: "sessionStarted", interviewId: "42", outputSampleRateHz: 24000, remainingMs: 3600000, resumed: true, graceMs: 0, audioCodec: 0 },
  "session started with its grace": { kind: "sessionStarted", interviewId: "42", outputSampleRateHz: 24000, remainingMs: 3600000, resumed: false, graceMs: 90000, audioCodec: 0 },
  "session started with Opus": { kind: "sessionStarted", interviewId: "42", outputSampleRateHz: 0, remainingMs: 0, resumed: false, graceMs: 0, audioCodec: 1 },
  "negative time": { kind: "sessionStarted", interviewId: "", outputSampleRateHz: 0, remainingMs: -5, resumed: false, graceMs: 0, audioCodec: 0 },
  interrupted: { kind: "interrupted", heardMs: 0, heardCodePoints: 0, turn: 0 },
  "interrupted, and how much was heard": { kind: "interrupted", heardMs: 1840, heardCodePoints: 27, turn: 3 },
  "hold state": { kind: "holdState", on: true, remainingMs: 120000 },
  received: { kind: "received", audioMs: 73280 },
  notice: { kind: "notice", noticeKind: 3, message: "One minute left.", remainingMs: 60000 },
};

const NOT_HEARD = EXPECTED.interrupted;

for (const [name, frame] of Object.entries(frames.server)) {
  test(`reads what Python wrote: ${name}`, () => assert.deepEqual(decode(frame), EXPECTED[name]));

  test(`cut anywhere, it is an error or a message, never a crash: ${name}`, () => {
    for (let length = 0; length < frame.length / 2; length += 1) {
      try {
        decode(frame.slice(0, 2 * length));
      } catch (problem) {
        assert.ok(problem instanceof WireError, String(problem));
      }
    }
  });
}

test("writes the bytes that Python writes", () => {
  assert.equal(hex(encodeEndRequest()), frames.client.end);
  assert.equal(hex(encodeHold(true)), frames.client.hold);
  assert.equal(hex(encodeHold(false)), frames.client["hold no more"]);
  assert.equal(hex(encodeTextAnswer("Grüß Gott 🎤".repeat(20), 300)), frames.client["text answer"]);
  assert.equal(hex(encodeAudioChunk(Uint8Array.from({ length: 1280 }, (_, i) => i % 251))), frames.client.audio);
  assert.equal(hex(encodeAudioPackets(PACKETS)), frames.client.packets);
  assert.equal(hex(encodePrefer(Codec.OPUS)), frames.client["prefer Opus"]);
  assert.equal(hex(encodePrefer(Codec.PCM)), frames.client["prefer PCM"]);
});

test("skips unknown fields of every wire type, outside and inside a message", () => {
  const unknown = "f80101" + "f9010102030405060708" + "fa0103616263" + "fd0101020304";
  assert.deepEqual(decode(`${unknown}3200${unknown}`), NOT_HEARD);
  const inner = `${unknown}0803`;
  assert.deepEqual(decode(`22${(inner.length / 2).toString(16).padStart(2, "0")}${inner}`), { kind: "sessionEnded", reason: 3 });
});

test("a payload from the future, and an empty frame, are no message", () => {
  assert.equal(decode("8a0703616263"), null);
  assert.equal(decode(""), null);
});

test("of two payloads the last one counts; the same one twice is merged", () => {
  assert.deepEqual(decode("32002200"), { kind: "sessionEnded", reason: 0 });
  assert.deepEqual(decode("1a0208051a0312016f"), { kind: "error", code: 5, message: "o", retryAfterMs: 0 });
});

for (const [name, bytes] of Object.entries({
  "a length beyond the end": "12ff01",
  "a length of 2^63": "12ffffffffffffffff7f",
  "a varint without an end": "08ffffffffffffffffffffff01",
  "field number 0": "0000",
  "a group": "4b",
  "text that is not UTF-8": "0a040a02c328",
})) {
  test(`refuses ${name}`, () => assert.throws(() => decode(bytes), WireError));
}
