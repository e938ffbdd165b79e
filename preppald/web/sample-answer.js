/** The recorded answer for machines without a microphone: /demo/answer.wav as PCM. */

import { CAPTURE_RATE_HZ } from "./client/sound-format.js";

/** "RIFF", size, "WAVE": what stands before the first chunk. */
const RIFF_HEAD_BYTES = 12;

/** A chunk's name and length. */
const CHUNK_HEAD_BYTES = 8;

/** @param {string} url */
export async function fetchAnswer(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`the sample answer is missing (${answer.status})`);
  return pcmOfWav(await answer.arrayBuffer());
}

/**
 * @param {ArrayBuffer} file a WAV: PCM16 mono at CAPTURE_RATE_HZ
 * @returns {Int16Array<ArrayBuffer>}
 */
export function pcmOfWav(file) {
  const view = new DataView(file);
  let format = "";
  for (let at = RIFF_HEAD_BYTES; at + CHUNK_HEAD_BYTES <= file.byteLength; ) {
    const name = String.fromCharCode(...new Uint8Array(file, at, 4));
    const start = at + CHUNK_HEAD_BYTES;
    // A streamed WAV carries no true length: never believe more than there is.
    const length = Math.min(view.getUint32(at + 4, true), file.byteLength - start);
    if (name === "fmt " && length >= 16) {
      format = `${view.getUint16(start + 2, true)} ch, ${view.getUint32(start + 4, true)} Hz, ${view.getUint16(start + 14, true)} bit`;
    }
    if (name === "data") {
      if (format !== `1 ch, ${CAPTURE_RATE_HZ} Hz, 16 bit`) throw new Error(`the sample answer is not PCM16 mono ${CAPTURE_RATE_HZ} Hz: ${format}`);
      return new Int16Array(file.slice(start, start + (length & ~1)));
    }
    // Chunks begin at even places.
    at = start + length + (length % 2);
  }
  throw new Error("the sample answer is no WAV file");
}
