/** The sound's formats, and what passes between the page and the audio thread. */
/** The rate that Gemini Live listens to. */
export declare const CAPTURE_RATE_HZ = 16000;
/** The rate at which Gemini Live speaks, until SessionStarted says otherwise. */
export declare const VOICE_RATE_HZ = 24000;
export type Chunk = {
    pcm: Int16Array<ArrayBuffer>;
    level: number;
    answering: boolean;
    zero: boolean;
    saidAt: number;
};
export type RecorderOrder = {
    kind: "mute";
    muted: boolean;
} | {
    kind: "answer";
    pcm: Int16Array<ArrayBuffer>;
};
export type PlayerOrder = {
    kind: "play";
    pcm: Int16Array<ArrayBuffer>;
} | {
    kind: "flush";
} | {
    kind: "rate";
    sourceRateHz: number;
};
export type PlayerReport = {
    playing: boolean;
    level: number;
    bufferedMs: number;
    droppedMs: number;
    dried: number;
    playedAt: number;
};
/** @typedef {{pcm: Int16Array<ArrayBuffer>, level: number, answering: boolean, zero: boolean, saidAt: number}} Chunk recorder → page; level: 0 … 1, for a meter; zero: the microphone, muted or not, gave digital zero only; saidAt: Date.now() on the audio thread, the only clock that it shares with the page */
/** @typedef {{kind: "mute", muted: boolean} | {kind: "answer", pcm: Int16Array<ArrayBuffer>}} RecorderOrder page → recorder */
/** @typedef {{kind: "play", pcm: Int16Array<ArrayBuffer>} | {kind: "flush"} | {kind: "rate", sourceRateHz: number}} PlayerOrder page → player */
/** @typedef {{playing: boolean, level: number, bufferedMs: number, droppedMs: number, dried: number, playedAt: number}} PlayerReport player → page; dried: how often the voice ran dry within a reply; level: 0 … 1, for a meter; playedAt: as saidAt */
