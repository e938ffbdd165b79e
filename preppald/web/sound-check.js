/** The sound check before an interview: which microphone, which loudspeaker, and how one sounds. */

import { AudioError, explain, loudspeakers, microphones, onDevicesChanged } from "./client/preppal-client.js";
import * as view from "./view.js";
import { language, words } from "./words.js";

/** @typedef {import("./client/preppal-client.js").InterviewClient} InterviewClient */
/** @typedef {import("./client/preppal-client.js").Device} Device */

/** A sentence. */
const SAMPLE_MS = 3000;

/**
 * Let the candidate choose and try the devices of a client that has not started.
 * @param {InterviewClient} client with its microphone open
 * @returns {() => void} ends the check
 */
export function beginSoundCheck(client) {
  const microphone = /** @type {HTMLSelectElement} */ (view.element("choose-microphone"));
  const loudspeaker = /** @type {HTMLSelectElement} */ (view.element("choose-loudspeaker"));
  const tryOut = view.element("try-out");
  const said = view.element("check-status");
  const list = async () => {
    offer(microphone, await microphones(), client.microphoneId);
    const speakers = await loudspeakers();
    view.element("loudspeaker-choice").hidden = speakers.length < 2;
    offer(loudspeaker, speakers, loudspeaker.value);
  };
  microphone.onchange = async () => {
    try {
      await client.openMicrophone({ deviceId: microphone.value });
      view.showBanner("");
    } catch (problem) {
      if (!(problem instanceof AudioError)) throw problem;
      view.showBanner(explain(problem.kind, language));
    }
  };
  loudspeaker.onchange = () => void client.setLoudspeaker(loudspeaker.value).catch(() => view.showBanner(explain("audio-unavailable", language)));
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
  void list();
  const forget = onDevicesChanged(() => void list());
  return () => {
    forget();
    tryOut.removeAttribute("aria-disabled");
  };
}

/**
 * @param {HTMLSelectElement} select
 * @param {Device[]} devices
 * @param {string | undefined} chosen
 */
function offer(select, devices, chosen) {
  select.replaceChildren(
    ...devices.map(({ id, label, isDefault }, i) => new Option(label || (isDefault ? words.systemChoice : `${words.unnamed} ${i + 1}`), id, false, id === chosen)),
  );
}
