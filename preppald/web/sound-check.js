/** The sound check before an interview: which microphone, which loudspeaker, and how one sounds. */

import { offerDevices } from "./devices.js";
import * as view from "./view.js";
import { words } from "./words.js";

/** @typedef {import("./client/preppal-client.js").InterviewClient} InterviewClient */

/** A sentence. */
const SAMPLE_MS = 3000;

/**
 * Let the candidate choose and try the devices of a client that has not started.
 * @param {InterviewClient} client with its microphone open
 * @returns {() => void} ends the check
 */
export function beginSoundCheck(client) {
  const tryOut = view.element("try-out");
  const said = view.element("check-status");
  tryOut.onclick = async () => {
    if (tryOut.getAttribute("aria-disabled") === "true") return;
    tryOut.setAttribute("aria-disabled", "true");
    said.textContent = words.recording;
    const pcm = await client.record(SAMPLE_MS);
    said.textContent = words.playing;
    client.playBack(pcm);
    await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
    said.textContent = words.level;
    tryOut.removeAttribute("aria-disabled");
  };
  said.textContent = words.level;
  const forget = offerDevices(client, "before", view.showBanner);
  return () => {
    forget();
    tryOut.removeAttribute("aria-disabled");
  };
}
