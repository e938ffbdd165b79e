/** Keeps the screen on while an interview is live: a phone that locks itself takes the microphone away. */
export declare class WakeLock {
    #private;
    /** Ask for it, and again whenever the page comes back into view: browsers drop it when the page is hidden. */
    hold(): void;
    release(): void;
}
