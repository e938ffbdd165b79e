/**
 * Opus beside the page: WebCodecs in a worker. One file that imports nothing, as sound-worklet.js.
 *
 * Rule 1: answers come in the order of the orders, whatever a coder takes its time for.
 * Rule 2: a stream begins with 6.5 ms that are the coder's own. The decoder's side drops them; the encoder's side feeds as
 *         much silence before the end, so that all of the sound comes out.
 * Rule 3: whatever fails is told, and the page goes on with PCM.
 */

const CAPTURE_RATE_HZ = 16000;
const VOICE_RATE_HZ = 24000;
/** The rate at which every browser's decoder speaks. */
const OPUS_RATE_HZ = 48000;
const PRE_SKIP_SECONDS = 0.0065;

/** 60 ms: on a bad line a message costs 60 bytes of headers, as much as 20 ms of speech. */
const FRAME_US = 60000;

/** A client's voice: a sixteenth of PCM. DTX is off, for the far end needs to hear silence; FEC serves no TCP. */
const ENCODING = {
  codec: "opus",
  sampleRate: CAPTURE_RATE_HZ,
  numberOfChannels: 1,
  bitrate: 24000,
  opus: { application: "voip", signal: "voice", frameDuration: FRAME_US, usedtx: false, useinbandfec: false },
};
const DECODING = { codec: "opus", sampleRate: OPUS_RATE_HZ, numberOfChannels: 1 };

/** @typedef {import("./opus.js").Order} Order */
/** @typedef {import("./opus.js").Answer} Answer */

/** @param {Answer} answer @param {Transferable[]} [transfer] */
const tell = (answer, transfer = []) => globalThis.postMessage(answer, { transfer });

/** @type {AudioEncoder | null} */
let encoder = null;
/** @type {Uint8Array<ArrayBuffer>[]} */
let packets = [];
let encodedUs = 0;
/** The connection that the packets are for: those of one that is gone are nobody's. */
let connection = 0;

/** @type {AudioDecoder | null} */
let decoder = null;
let decodedUs = 0;
let toSkip = 0;
let generation = 0;
/** @type {string | null} a coder's failure, which comes by a callback */
let failure = null;

/** @param {DOMException} problem */
const failed = (problem) => {
  failure = `${problem.name}: ${problem.message}`;
};

function openEncoder() {
  encoder = new AudioEncoder({
    output: (chunk) => {
      const packet = new Uint8Array(chunk.byteLength);
      chunk.copyTo(packet);
      packets.push(packet);
    },
    error: failed,
  });
  encoder.configure(/** @type {AudioEncoderConfig} */ (ENCODING));
  encodedUs = 0;
}

/** @param {Int16Array<ArrayBuffer>} pcm */
function feed(pcm) {
  if (pcm.length === 0) return;
  const data = new AudioData({
    format: "s16",
    sampleRate: CAPTURE_RATE_HZ,
    numberOfFrames: pcm.length,
    numberOfChannels: 1,
    timestamp: encodedUs,
    data: pcm,
  });
  encodedUs += (pcm.length * 1e6) / CAPTURE_RATE_HZ;
  encoder?.encode(data);
  data.close();
}

function tellPackets() {
  if (packets.length === 0) return;
  tell({ kind: "packets", packets, generation: connection }, packets.map((packet) => packet.buffer));
  packets = [];
}

/** The stream ends: bring out all of it. */
async function finish() {
  if (encoder === null) return;
  feed(new Int16Array(Math.ceil(PRE_SKIP_SECONDS * CAPTURE_RATE_HZ)));
  await encoder.flush();
  encoder.close();
  encoder = null;
  tellPackets();
}

function openDecoder() {
  decoder = new AudioDecoder({ output: hear, error: failed });
  decoder.configure(DECODING);
  decodedUs = 0;
  toSkip = Math.round(PRE_SKIP_SECONDS * VOICE_RATE_HZ);
}

/**
 * Every second sample does: a voice that was encoded at 24 kHz has nothing above 12.
 * @param {AudioData} data
 */
function hear(data) {
  const sound = new Float32Array(data.numberOfFrames);
  data.copyTo(sound, { planeIndex: 0, format: "f32-planar" });
  const step = Math.round(data.sampleRate / VOICE_RATE_HZ);
  data.close();
  const skipped = Math.min(toSkip, Math.floor(sound.length / step));
  toSkip -= skipped;
  const pcm = new Int16Array(Math.floor(sound.length / step) - skipped);
  for (let i = 0; i < pcm.length; i += 1) {
    const sample = sound[(i + skipped) * step] ?? 0;
    pcm[i] = Math.round(Math.max(-1, Math.min(1, sample)) * 32767);
  }
  if (pcm.length > 0) tell({ kind: "voice", pcm, generation }, [pcm.buffer]);
}

/** @param {Uint8Array[]} received */
function decode(received) {
  if (decoder === null) openDecoder();
  for (const packet of received) {
    decoder?.decode(new EncodedAudioChunk({ type: "key", timestamp: decodedUs, data: packet }));
    decodedUs += FRAME_US;
  }
}

function closeDecoder() {
  if (decoder !== null && decoder.state !== "closed") decoder.close();
  decoder = null;
}

async function supported() {
  if (!("AudioEncoder" in globalThis) || !("AudioDecoder" in globalThis)) return false;
  const can = [AudioEncoder.isConfigSupported(/** @type {AudioEncoderConfig} */ (ENCODING)), AudioDecoder.isConfigSupported(DECODING)];
  return (await Promise.all(can)).every((answer) => answer.supported);
}

/** @param {Order} order */
async function obey(order) {
  if (order.kind === "test") tell({ kind: "tested", supported: await supported() });
  else if (order.kind === "encode") {
    if (encoder === null) openEncoder();
    feed(order.pcm);
    tellPackets();
  } else if (order.kind === "finish") {
    await finish();
    tell({ kind: "finished", generation: connection });
  } else if (order.kind === "drop") {
    encoder?.close();
    encoder = null;
    packets = [];
    closeDecoder();
    generation = connection = order.generation;
  } else if (order.kind === "decode") decode(order.packets);
  else if (order.kind === "silence") {
    // Spoken over: what the decoder still has of that reply is stale.
    closeDecoder();
    generation = order.generation;
  } else {
    // PCM follows: what was before it comes first.
    if (decoder !== null) await decoder.flush();
    closeDecoder();
    tell({ kind: "voice", pcm: order.pcm, generation }, [order.pcm.buffer]);
  }
  if (failure !== null) throw new Error(failure);
}

/** Rule 1. */
let last = Promise.resolve();
globalThis.onmessage = (/** @type {MessageEvent<Order>} */ { data: order }) => {
  last = last
    .then(() => obey(order))
    .catch((problem) => {
      failure = null;
      tell({ kind: "failed", words: String(problem) });
    });
};
