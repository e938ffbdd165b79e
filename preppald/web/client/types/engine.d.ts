/** One AudioContext with the recorder and the player on its audio thread. It never changes: a broken one is replaced. */
export type Chunk = import("./sound-format.js").Chunk;
export type PlayerReport = import("./sound-format.js").PlayerReport;
export type PlayerOrder = import("./sound-format.js").PlayerOrder;
export type RecorderOrder = import("./sound-format.js").RecorderOrder;
export declare class Engine {
    #private;
    context: AudioContext;
    /** @type {(chunk: Chunk) => void} */
    onchunk: (chunk: Chunk) => void;
    /** @type {(report: PlayerReport) => void} */
    onreport: (report: PlayerReport) => void;
    /** The context's state changed, or its audio thread failed. @type {(crashed: boolean) => void} */
    onstate: (crashed: boolean) => void;
    /**
     * Call from a click or key press: browsers allow no sound before one.
     * @param {string} workletUrl where sound-worklet.js is served
     * @returns {Promise<Engine>}
     * @throws {AudioError}
     */
    static open(workletUrl: string): Promise<Engine>;
    /** @param {AudioContext} context with the worklet loaded */
    constructor(context: AudioContext);
    /**
     * Let the recorder hear a stream.
     * @param {MediaStream} stream
     * @returns {MediaStreamAudioSourceNode} to be disconnected
     */
    hear(stream: MediaStream): MediaStreamAudioSourceNode;
    /** @param {RecorderOrder} order */
    record(order: RecorderOrder): void;
    /**
     * @param {PlayerOrder} order
     * @param {Transferable[]} [transfer]
     */
    play(order: PlayerOrder, transfer?: Transferable[]): void;
    /** @param {number} volume 0 … 1 */
    setVolume(volume: number): void;
    /**
     * Let another device speak; browsers without that choice keep theirs.
     * @param {string} deviceId "" is the system's own choice
     */
    setOutput(deviceId: string): Promise<void>;
    close(): Promise<void>;
}
