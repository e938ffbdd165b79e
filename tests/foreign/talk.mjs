// A conversation partner on @google/genai, as it comes from Google: only its base URL is changed.
import { readFileSync } from 'node:fs';
import { GoogleGenAI, Modality } from '@google/genai';

export const MODEL = 'gemini-3.8-live';
const RATE_HZ = 16_000;
const HEADER_BYTES = 44;
// 100 ms of audio a message; the simulator's ear counts samples, so they need not come at their own pace.
const STEP_BYTES = (RATE_HZ / 10) * 2;
// The recorded answer of a candidate, and the pause that ends it.
const ANSWER = Buffer.concat([
  readFileSync(new URL('../../preppald/candidate/answer.wav', import.meta.url)).subarray(HEADER_BYTES),
  Buffer.alloc(2 * RATE_HZ * 2),
]);

export const client = (key = 'any-key') =>
  new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: process.env.SIMULATOR } });

/** One connection: what came over it, and how it ended. */
export class Talk {
  messages = [];
  closed = null;
  #news = withResolvers();

  /** Connects; resolves to null where the socket closed before the setup was done (the SDK hangs there). */
  static async begin(config = {}, { key, model = MODEL } = {}) {
    const talk = new Talk();
    const over = withResolvers();
    const connecting = client(key).live.connect({
      model,
      config: { responseModalities: [Modality.AUDIO], ...config },
      callbacks: {
        onmessage: (message) => talk.#note(() => talk.messages.push(message)),
        onerror: (event) => talk.#note(() => (talk.error = event.message ?? event.error?.message)),
        onclose: (event) => {
          talk.#note(() => (talk.closed = { code: event.code, reason: event.reason }));
          over.resolve();
        },
      },
    });
    talk.session = await Promise.race([connecting, over.promise.then(() => null)]);
    return talk;
  }

  #note(happened) {
    happened();
    const { resolve } = this.#news;
    this.#news = withResolvers();
    resolve();
  }

  /** The first message from number `from` on that fits. */
  async until(fits, from = 0) {
    for (;;) {
      const found = this.messages.slice(from).find(fits);
      if (found) return found;
      if (this.closed) throw new Error(`closed: ${JSON.stringify(this.closed)}`);
      await this.#news.promise;
    }
  }

  async ended() {
    while (!this.closed) await this.#news.promise;
    return this.closed;
  }

  /** What is said to it, and everything that comes until the turn is over. */
  async turn(say) {
    const from = this.messages.length;
    await say(this.session);
    await this.until((message) => message.serverContent?.turnComplete, from);
    return this.messages.slice(from);
  }

  speak(pcm = ANSWER) {
    for (let at = 0; at < pcm.length; at += STEP_BYTES) {
      const data = pcm.subarray(at, at + STEP_BYTES).toString('base64');
      this.session.sendRealtimeInput({ audio: { data, mimeType: `audio/pcm;rate=${RATE_HZ}` } });
    }
  }
}

export const content = (messages) => messages.map((message) => message.serverContent).filter(Boolean);
export const heard = (messages) => content(messages).map((it) => it.inputTranscription?.text ?? '').join('');
export const spoken = (messages) => content(messages).map((it) => it.outputTranscription?.text ?? '').join('');
export const pcm = (messages) =>
  Buffer.concat(
    content(messages)
      .flatMap((it) => it.modelTurn?.parts ?? [])
      .filter((part) => part.inlineData)
      .map((part) => Buffer.from(part.inlineData.data, 'base64')),
  );
export const handle = (messages) =>
  messages.findLast((message) => message.sessionResumptionUpdate?.resumable)?.sessionResumptionUpdate.newHandle;

function withResolvers() {
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
}
