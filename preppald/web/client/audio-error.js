/** The reasons for having no sound, read from a browser's refusal of the microphone. */

/** @typedef {import("./words.js").Trouble} Trouble */

/** `kind` is a name that `explain` has words for; `cause` is the browser's own error, for a log. */
export class AudioError extends Error {
  name = "AudioError";

  /**
   * @param {Trouble} kind
   * @param {unknown} [cause]
   */
  constructor(kind, cause) {
    super(cause instanceof Error ? `${kind}: ${cause.message}` : kind, { cause });
    this.kind = kind;
  }
}

/**
 * Name the reason why getUserMedia rejected.
 * @param {unknown} problem what it rejected with
 * @returns {Trouble}
 */
export function microphoneTrouble(problem) {
  const { name, message } = problem instanceof Error ? problem : { name: "", message: "" };
  if (name === "NotAllowedError" || name === "SecurityError") {
    if (!allowedByPage()) return "microphone-denied-by-page";
    // Chrome's own words where the operating system, not the user, said no.
    return /by system/i.test(message) ? "microphone-denied-by-system" : "microphone-denied";
  }
  if (name === "NotFoundError" || name === "OverconstrainedError") return "microphone-missing";
  return "microphone-busy";
}

/** True where the pages around this one, and its own headers, pass the microphone on to it. */
function allowedByPage() {
  // Chromium's and Safari's name for it, and its older one; Firefox has neither and is given the benefit of the doubt.
  const policy = /** @type {any} */ (globalThis.document)?.permissionsPolicy ?? /** @type {any} */ (globalThis.document)?.featurePolicy;
  return policy?.allowsFeature?.("microphone") ?? true;
}
