/** The choice of microphone and loudspeaker, before an interview and in it. */

import { AudioError, explain, loudspeakers, microphones, onDevicesChanged } from "./client/preppal-client.js";
import * as view from "./view.js";
import { language, words } from "./words.js";

/** @typedef {import("./client/preppal-client.js").InterviewClient} InterviewClient */
/** @typedef {import("./client/preppal-client.js").Device} Device */

/**
 * Let the candidate choose among the devices that there are, as they come and go.
 * @param {InterviewClient} client
 * @param {string} place of the two lists: `choose-microphone-PLACE`, `choose-loudspeaker-PLACE`
 * @param {(problem: string) => void} tell a sentence; "" takes it away
 * @returns {() => void} ends the choice
 */
export function offerDevices(client, place, tell) {
  const microphone = /** @type {HTMLSelectElement} */ (view.element(`choose-microphone-${place}`));
  const loudspeaker = /** @type {HTMLSelectElement} */ (view.element(`choose-loudspeaker-${place}`));
  const list = async () => {
    offer(microphone, await microphones(), client.microphoneId);
    const speakers = await loudspeakers();
    view.element(`loudspeaker-choice-${place}`).hidden = speakers.length < 2;
    offer(loudspeaker, speakers, client.loudspeakerId);
  };
  microphone.onchange = async () => {
    try {
      await client.openMicrophone({ deviceId: microphone.value });
      tell("");
    } catch (problem) {
      if (!(problem instanceof AudioError)) throw problem;
      tell(explain(problem.kind, language));
    }
  };
  loudspeaker.onchange = () => void client.setLoudspeaker(loudspeaker.value).then(() => tell(""), () => tell(explain("audio-unavailable", language)));
  void list();
  return onDevicesChanged(() => void list());
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

/**
 * Open the dialog in which devices are changed in mid-interview.
 * @param {InterviewClient} client
 * @param {() => void} changed the microphone may be another one
 */
export function openDevices(client, changed) {
  const dialog = /** @type {HTMLDialogElement} */ (view.element("devices"));
  const volume = /** @type {HTMLInputElement} */ (view.element("volume"));
  const problem = view.element("devices-problem");
  problem.textContent = "";
  volume.value = String(client.volume);
  volume.oninput = () => (client.volume = Number(volume.value));
  const end = offerDevices(client, "now", (sentence) => {
    problem.textContent = sentence;
    changed();
  });
  dialog.addEventListener("close", end, { once: true });
  dialog.showModal();
}
