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
};
export type AudioResponse = {
    kind: "audioResponse";
    audioContent: Uint8Array;
};
export type ErrorResponse = {
    kind: "error";
    code: number;
    message: string;
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
};
export type Interrupted = {
    kind: "interrupted";
};
export type Notice = {
    kind: "notice";
    noticeKind: number;
    message: string;
    remainingMs: number;
};
export type ServerMessage = TranscriptUpdate | AudioResponse | ErrorResponse | SessionEnded | SessionStarted | Interrupted | Notice;
/** @typedef {{kind: "transcriptUpdate", speaker: string, text: string, isFinal: boolean, turnComplete: boolean, seq: number}} TranscriptUpdate */
/** @typedef {{kind: "audioResponse", audioContent: Uint8Array}} AudioResponse PCM16 LE mono */
/** @typedef {{kind: "error", code: number, message: string}} ErrorResponse */
/** @typedef {{kind: "sessionEnded", reason: number}} SessionEnded */
/** @typedef {{kind: "sessionStarted", interviewId: string, outputSampleRateHz: number, remainingMs: number, resumed: boolean}} SessionStarted */
/** @typedef {{kind: "interrupted"}} Interrupted */
/** @typedef {{kind: "notice", noticeKind: number, message: string, remainingMs: number}} Notice */
/** @typedef {TranscriptUpdate | AudioResponse | ErrorResponse | SessionEnded | SessionStarted | Interrupted | Notice} ServerMessage */
/** SessionEnded.Reason */
export declare const EndReason: Readonly<{
    UNSPECIFIED: 0;
    USER_INITIATED: 1;
    GEMINI_ENDED: 2;
    TIMEOUT: 3;
}>;
/** Notice.Kind */
export declare const NoticeKind: Readonly<{
    UNSPECIFIED: 0;
    RECONNECTING: 1;
    RECONNECTED: 2;
    ENDING_SOON: 3;
    DRAINING: 4;
}>;
/**
 * @param {ArrayBuffer} frame one binary WebSocket message
 * @returns {ServerMessage | null} null: a payload this client does not know
 */
export declare function decodeServerMessage(frame: ArrayBuffer): ServerMessage | null;
/** ClientToServerMessage { end_request {} } */
export declare function encodeEndRequest(): Uint8Array<ArrayBuffer>;
/**
 * ClientToServerMessage { audio_chunk { audio_content } }
 * @param {Uint8Array} pcm PCM16 LE mono 16 kHz
 */
export declare function encodeAudioChunk(pcm: Uint8Array): Uint8Array<ArrayBuffer>;
