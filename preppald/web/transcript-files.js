/** A transcript as files: plain text, and WebVTT, whose cues are the turns. Pure. */

/** @typedef {{speaker: "USER" | "AI", text: string, timestampMs: number, cut: boolean}} KeptTurn */

/** A cue ends where the next turn begins; the last one, and a turn before a long silence, is given this long. */
const LONGEST_CUE_MS = 30 * 1000;

/**
 * Return the transcript as text, a turn a paragraph.
 * @param {readonly KeptTurn[]} turns
 * @param {Record<"USER" | "AI", string>} names
 */
export function asText(turns, names) {
  return turns.map(({ speaker, text }) => `${names[speaker]}: ${text.trim()}\n`).join("\n");
}

/**
 * Return the transcript as WebVTT, with times since the first turn.
 * @param {readonly KeptTurn[]} turns
 * @param {Record<"USER" | "AI", string>} names
 */
export function asVtt(turns, names) {
  const began = turns[0]?.timestampMs ?? 0;
  const cues = turns.map(({ speaker, text, timestampMs }, i) => {
    const from = timestampMs - began;
    const next = (turns[i + 1]?.timestampMs ?? Infinity) - began;
    const to = Math.max(from + 1, Math.min(next, from + LONGEST_CUE_MS));
    // WebVTT forbids "-->", "&" and "<" in a cue's text.
    const safe = text.trim().replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replace(/\n\s*\n/g, "\n");
    return `${clock(from)} --> ${clock(to)}\n<v ${names[speaker]}>${safe}\n`;
  });
  return ["WEBVTT\n", ...cues].join("\n");
}

/** @param {number} ms */
function clock(ms) {
  const part = (/** @type {number} */ value, /** @type {number} */ digits) => String(Math.floor(value)).padStart(digits, "0");
  return `${part(ms / 3600000, 2)}:${part((ms / 60000) % 60, 2)}:${part((ms / 1000) % 60, 2)}.${part(ms % 1000, 3)}`;
}
