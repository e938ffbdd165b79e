/**
 * The bytes between browser and preppald: exactly the messages of
 * proto/interview.proto that cross this wire, and nothing else of protobuf.
 *
 * Rule 1: unknown fields are skipped, so a newer server never breaks this page.
 * Rule 2: a length or tag is believed only after it was checked against the bytes there are.
 * Rule 3: whatever is wrong with the bytes leaves as a WireError.
 */
export declare class WireError extends Error {
    name: string;
}
export type TranscriptUpdate = {
    kind: "transcriptUpdate";
    speaker: string;
    text: string;
    isFinal: boolean;
    turnComplete: boolean;
    seq: number;
    turn: number;
    beginMs: number;
    endMs: number;
    heardCodePoints: number;
};
export type AudioResponse = {
    kind: "audioResponse";
    audioContent: Uint8Array;
    packets: Uint8Array[];
};
export type ErrorResponse = {
    kind: "error";
    code: number;
    message: string;
    retryAfterMs: number;
};
export type SessionEnded = {
    kind: "sessionEnded";
    reason: number;
};
export type SessionStarted = {
    kind: "sessionStarted";
    interviewId: string;
    outputSampleRateHz: number;
    remainingMs: number;
    resumed: boolean;
    graceMs: number;
    audioCodec: number;
};
export type Interrupted = {
    kind: "interrupted";
    heardMs: number;
    heardCodePoints: number;
    turn: number;
};
export type Notice = {
    kind: "notice";
    noticeKind: number;
    message: string;
    remainingMs: number;
};
export type HoldState = {
    kind: "holdState";
    on: boolean;
    remainingMs: number;
};
export type Received = {
    kind: "received";
    audioMs: number;
};
export type ServerMessage = TranscriptUpdate | AudioResponse | ErrorResponse | SessionEnded | SessionStarted | Interrupted | Notice | HoldState | Received;
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
export declare const EndReason: Readonly<{
    UNSPECIFIED: 0;
    USER_INITIATED: 1;
    GEMINI_ENDED: 2;
    TIMEOUT: 3;
}>;
/** Codec */
export declare const Codec: Readonly<{
    PCM: 0;
    OPUS: 1;
}>;
/** Notice.Kind */
export declare const NoticeKind: Readonly<{
    UNSPECIFIED: 0;
    RECONNECTING: 1;
    RECONNECTED: 2;
    ENDING_SOON: 3;
    DRAINING: 4;
    SILENT: 5;
    STILL_THERE: 6;
}>;
/**
 * @param {ArrayBuffer} frame one binary WebSocket message
 * @returns {ServerMessage | null} null: a payload this client does not know
 */
export declare function decodeServerMessage(frame: ArrayBuffer): ServerMessage | null;
/** ClientToServerMessage { end_request {} } */
export declare function encodeEndRequest(): Uint8Array<ArrayBuffer>;
/**
 * ClientToServerMessage { hold { on } }
 * @param {boolean} on
 */
export declare function encodeHold(on: boolean): Uint8Array<ArrayBuffer>;
/**
 * ClientToServerMessage { text_answer { text, number } }
 * @param {string} text
 * @param {number} number counts up within the interview, from 1
 */
export declare function encodeTextAnswer(text: string, number: number): Uint8Array<ArrayBuffer>;
/**
 * ClientToServerMessage { audio_chunk { audio_content } }
 * @param {Uint8Array} pcm PCM16 LE mono 16 kHz
 */
export declare function encodeAudioChunk(pcm: Uint8Array): Uint8Array<ArrayBuffer>;
/**
 * ClientToServerMessage { audio_chunk { packets … } }
 * @param {Uint8Array[]} packets Opus
 */
export declare function encodeAudioPackets(packets: Uint8Array[]): Uint8Array<ArrayBuffer>;
/**
 * ClientToServerMessage { prefer { downlink } }
 * @param {number} codec
 */
export declare function encodePrefer(codec: number): Uint8Array<ArrayBuffer>;
