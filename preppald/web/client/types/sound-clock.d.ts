/**
 * Finds out if an audio clock that says "running" really runs: some devices stop in silence.
 *
 * Pure: the times are arguments. Only looks that came on time count, for a blocked page delays the clock's news, too.
 */
/** The interval of looks. */
export declare const LOOK_EVERY_MS = 500;
export declare class SoundClock {
    #private;
    /**
     * Return whether the clock stands.
     * @param {number} nowMs monotonic
     * @param {number} contextSeconds AudioContext.currentTime
     * @param {boolean} running whether the context says that it runs
     */
    stands(nowMs: number, contextSeconds: number, running: boolean): boolean;
}
