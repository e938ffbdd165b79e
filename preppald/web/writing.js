/** The field for answers in writing, for those who cannot or may not speak. */

import { element } from "./view.js";

/** @typedef {import("./client/preppal-client.js").InterviewClient} InterviewClient */

/** @returns {HTMLTextAreaElement} */
const field = () => element("written");

/** Open or close the field. */
export function toggleWriting() {
  const form = element("write");
  form.hidden = !form.hidden;
  element("type").setAttribute("aria-expanded", String(!form.hidden));
  if (!form.hidden) field().focus();
}

/**
 * Let an interview be answered in writing.
 * @param {() => InterviewClient | null} current
 */
export function offerWriting(current) {
  const send = () => {
    showProblem("");
    if (current()?.sendText(field().value)) field().value = "";
    field().focus();
  };
  element("write").addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  field().addEventListener("keydown", (event) => {
    // A line end is Shift and Enter; Enter alone may also end a word that an input method is composing.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  });
}

/**
 * Give a text back that was not taken, and say why.
 * @param {string} text
 * @param {string} words
 */
export function giveBack(text, words) {
  if (field().value === "") field().value = text.trim();
  showProblem(words);
}

/** @param {string} words "" for none */
function showProblem(words) {
  element("write-problem").textContent = words;
}
