/** Microphones and loudspeakers to choose from, and a look ahead at what an interview needs. */
export type Device = {
    id: string;
    label: string;
    isDefault: boolean;
};
/** @typedef {{id: string, label: string, isDefault: boolean}} Device label: "" until the microphone was allowed once */
/** Return the microphones. @returns {Promise<Device[]>} */
export declare function microphones(): Promise<Device[]>;
/** Return the loudspeakers and headphones; none where the browser leaves that choice to the system. @returns {Promise<Device[]>} */
export declare function loudspeakers(): Promise<Device[]>;
/**
 * Call back when a device was connected or taken away.
 * @param {() => void} listener
 * @returns {() => void} takes the listener off again
 */
export declare function onDevicesChanged(listener: () => void): () => void;
/**
 * Look ahead, without asking the user for anything: is the page fit, is the microphone allowed, is the server there?
 * @param {{url: string}} interview the interview's URL, or any other of its host
 * @returns {Promise<{secure: boolean, sound: boolean, microphone: PermissionState | "unknown", server: import("./probe.js").Readiness}>}
 */
export declare function preflight({ url }: {
    url: string;
}): Promise<{
    secure: boolean;
    sound: boolean;
    microphone: PermissionState | "unknown";
    server: import("./probe.js").Readiness;
}>;
