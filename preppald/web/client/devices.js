/** Microphones and loudspeakers to choose from, and a look ahead at what an interview needs. */

import { microphonePermission } from "./microphone.js";
import { askReady } from "./probe.js";

/** @typedef {{id: string, label: string, isDefault: boolean}} Device label: "" until the microphone was allowed once */

/** Return the microphones. @returns {Promise<Device[]>} */
export function microphones() {
  return devices("audioinput");
}

/** Return the loudspeakers and headphones; none where the browser leaves that choice to the system. @returns {Promise<Device[]>} */
export async function loudspeakers() {
  return "setSinkId" in (globalThis.AudioContext?.prototype ?? {}) ? devices("audiooutput") : [];
}

/**
 * Call back when a device was connected or taken away.
 * @param {() => void} listener
 * @returns {() => void} takes the listener off again
 */
export function onDevicesChanged(listener) {
  const media = globalThis.navigator?.mediaDevices;
  media?.addEventListener("devicechange", listener);
  return () => media?.removeEventListener("devicechange", listener);
}

/** @param {MediaDeviceKind} kind */
async function devices(kind) {
  const all = (await globalThis.navigator?.mediaDevices?.enumerateDevices()) ?? [];
  return all
    .filter((device) => device.kind === kind && device.deviceId !== "communications")
    .map(({ deviceId, label }) => ({ id: deviceId, label, isDefault: deviceId === "default" || deviceId === "" }));
}

/**
 * Look ahead, without asking the user for anything: is the page fit, is the microphone allowed, is the server there?
 * @param {{url: string}} interview the interview's URL, or any other of its host
 * @returns {Promise<{secure: boolean, sound: boolean, microphone: PermissionState | "unknown", server: import("./probe.js").Readiness}>}
 */
export async function preflight({ url }) {
  const address = new URL(url, globalThis.location?.href).href;
  const [microphone, { readiness }] = await Promise.all([microphonePermission(), askReady(address)]);
  return {
    secure: globalThis.isSecureContext ?? false,
    sound: "AudioWorkletNode" in globalThis,
    microphone,
    server: readiness,
  };
}
