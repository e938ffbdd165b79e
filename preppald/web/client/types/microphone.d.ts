/**
 * One open microphone: its stream, and what the device does to it.
 *
 * Rule: whoever opens one closes it; what fails in between leaves none open.
 */
export type Trouble = import("./words.js").Trouble;
export declare class Microphone {
    #private;
    /** @type {(kind: Trouble, active: boolean) => void} `microphone-muted` with its end, or what closed it */
    ontrouble: (kind: Trouble, active: boolean) => void;
    /** True where it was lost, and another may be opened without asking the user. */
    replaceable: boolean;
    /**
     * Open a microphone; the browser asks the user if need be.
     * @param {{deviceId?: string | undefined, constraints?: MediaTrackConstraints | undefined}} [choice]
     * @throws {AudioError}
     */
    static open({ deviceId, constraints }?: {
        deviceId?: string | undefined;
        constraints?: MediaTrackConstraints | undefined;
    }): Promise<Microphone>;
    /**
     * @param {MediaStream} stream with a sound track
     * @param {boolean} own whether its tracks are ours to stop
     */
    constructor(stream: MediaStream, own: boolean);
    get stream(): MediaStream;
    /** The device in use, where the browser says. @returns {string | undefined} */
    get deviceId(): string | undefined;
    /** Report from here on what the device does. */
    watch(): void;
    close(): void;
}
/**
 * Return what the browser would do if the microphone was asked for now; "unknown" where it does not say.
 * @returns {Promise<PermissionState | "unknown">}
 */
export declare function microphonePermission(): Promise<PermissionState | "unknown">;
