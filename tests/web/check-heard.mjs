/**
 * How much each side heard of the other, in a headless Chromium: of a reply that was cut, in whatever script, and of the
 * candidate's voice while devices are swapped, measured where Gemini is simulated:
 *
 *     node tests/web/check-heard.mjs [part of a scene's name]
 */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { playScenes, state, until } from "./scenes.mjs";
import { standing } from "./standing.mjs";

const [only] = process.argv.slice(2);

const RATE_HZ = 16000;
const TONE_HZ = 400;

/** The most of a candidate's voice that a swap may cost. */
const LOST_MS = 200;

/** Where nothing was open before the other device was. */
const PULLED_OUT_MS = 600;

/** Quieter than this for a whole window is no tone. */
const SILENCE_RMS = 300;
const WINDOW_MS = 10;

/** Between two swaps: longer than any of them takes. */
const SETTLED_MS = 1500;

/** Before the first swap: of this the silences are the machine's own. */
const UNTOUCHED_MS = 1000;

const folder = mkdtempSync(join(tmpdir(), "preppald-heard-"));

/** A second of a tone, which Chromium's fake microphones repeat without end. */
function tone() {
  const pcm = Buffer.alloc(2 * RATE_HZ);
  for (let i = 0; i < RATE_HZ; i += 1) pcm.writeInt16LE(Math.round(12000 * Math.sin((2 * Math.PI * TONE_HZ * i) / RATE_HZ)), 2 * i);
  const head = Buffer.alloc(44);
  head.write("RIFF....WAVEfmt ");
  head.writeUInt32LE(36 + pcm.length, 4);
  head.writeUInt32LE(16, 16);
  [1, 1].forEach((value, i) => head.writeUInt16LE(value, 20 + 2 * i));
  head.writeUInt32LE(RATE_HZ, 24);
  head.writeUInt32LE(2 * RATE_HZ, 28);
  [2, 16].forEach((value, i) => head.writeUInt16LE(value, 32 + 2 * i));
  head.write("data", 36);
  head.writeUInt32LE(pcm.length, 40);
  const file = join(folder, "tone.wav");
  writeFileSync(file, Buffer.concat([head, pcm]));
  return file;
}

/** The candidate's sound that came to Gemini, and when. @returns {{pcm: Int16Array, elapsedMs: number}} */
function heardByGemini(frames) {
  const audio = frames.filter(({ frame }) => frame.realtimeInput?.audio !== undefined);
  const pcm = Buffer.concat(audio.map(({ frame }) => Buffer.from(frame.realtimeInput.audio.data, "base64")));
  return { pcm: new Int16Array(pcm.buffer, pcm.byteOffset, pcm.length / 2), elapsedMs: 1000 * (audio.at(-1).t - audio[0].t) };
}

/** The silences between the tone's first and last window, in milliseconds. */
function silences(pcm) {
  const size = (RATE_HZ * WINDOW_MS) / 1000;
  const loud = Array.from({ length: Math.floor(pcm.length / size) }, (_, i) => {
    const window = pcm.subarray(i * size, (i + 1) * size);
    return Math.sqrt(window.reduce((sum, sample) => sum + sample * sample, 0) / size) > SILENCE_RMS;
  });
  const within = loud.slice(loud.indexOf(true), loud.lastIndexOf(true));
  return within.map(String).join("").split(/(?:true)+/).filter(Boolean).map((gap) => WINDOW_MS * (gap.length / "false".length));
}

/** The browser's own remedies take a steady tone for noise. */
const RAW = "{ echoCancellation: false, noiseSuppression: false, autoGainControl: false }";
const settled = (page) => page.waitForTimeout(SETTLED_MS);


/** Replies that are cut: in scripts of which JavaScript counts otherwise than the server, or that have no blanks. */
const REPLIES = [
  "欢迎。我们来谈谈你的𠮷项目:你在那里做了什么?为什么?你从中学到了什么?",
  "🎤🎤 Take your time 👩‍💻 and tell me of the hardest problem 🧩 that you have solved in your last job",
  "เรามาพูดคุยกันเกี่ยวกับโครงการของคุณกันเถอะ คุณทำอะไรที่นั่น และทำไม",
  "حدثني عن أصعب مشكلة قمت بحلها في عملك الأخير، وماذا تعلمت منها.",
];
const SCENARIO = REPLIES.map((text) => `[[reply]]\ntext = ${JSON.stringify(text)}\nseconds = 12\n`).join("");

/** Of each cut turn on the page: what was heard of it, and what was not. */
const CUTS = `[...document.querySelectorAll(".turn.cut")].map((turn) => ["said", "unheard"].map((name) => turn.querySelector("." + name)?.textContent.replace(/ —$/, "") ?? ""))`;

/** The interview in `page` is over; what Gemini was sent of the candidate, checked. */
async function nothingLost(page, server, boundMs) {
  await page.evaluate("preppalDemo.client.end()");
  await until(page, state("ended"));
  const { pcm, elapsedMs } = heardByGemini(await server.close());
  const own = Math.max(0, ...silences(pcm.subarray(0, (RATE_HZ * UNTOUCHED_MS) / 1000)));
  const worst = Math.max(0, ...silences(pcm));
  const missing = Math.round(elapsedMs - (1000 * pcm.length) / RATE_HZ);
  console.log(`     the longest silence: ${worst} ms, before any swap ${own} ms; missing of ${Math.round(elapsedMs)} ms: ${missing} ms`);
  assert.ok(worst <= boundMs + own && missing <= boundMs + own);
}

/** An interview with two microphones that both hear the tone. */
async function speaking(page, server) {
  await page.goto(`${server.origin}/`);
  await page.evaluate(`(() => {
    const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async ({ audio }) => (globalThis.stream = await real({ audio: { ...audio, ...${RAW} } }));
  })()`);
  await page.click("#start");
  // Who speaks without an end is not greeted.
  await until(page, state("ready"));
  await settled(page);
}

const devices = (page, kind) => page.evaluate(`navigator.mediaDevices.enumerateDevices().then((all) => all.filter(({ kind }) => kind === ${JSON.stringify(kind)}).map(({ deviceId }) => deviceId))`);
const ARGS = [`--use-file-for-fake-audio-capture=${tone()}`, "--use-fake-device-for-media-stream=device-count=3"];

const SCENES = {
  "devices are swapped in mid-interview, and 200 ms are lost at most": {
    args: ARGS,
    async play(page) {
      const server = await standing();
      await speaking(page, server);
      const microphones = await devices(page, "audioinput");
      assert.ok(microphones.length >= 3);
      await page.click("#sound");
      for (const id of [microphones[1], microphones[2], microphones[1]]) {
        await page.selectOption("#choose-microphone-now", id);
        await until(page, `preppalDemo.client.microphoneId === ${JSON.stringify(id)}`);
        await settled(page);
      }
      const loudspeakers = await devices(page, "audiooutput");
      assert.ok(loudspeakers.length >= 2);
      for (const id of loudspeakers.slice(-2)) {
        await page.selectOption("#choose-loudspeaker-now", id);
        await until(page, `preppalDemo.client.loudspeakerId === ${JSON.stringify(id)}`);
        await settled(page);
      }
      await nothingLost(page, server, LOST_MS);
    },
  },
  "a microphone is pulled out: another one goes on, and the candidate is told": {
    args: ARGS,
    async play(page) {
      const server = await standing();
      await speaking(page, server);
      await page.evaluate(`(() => {
        const [track] = stream.getTracks();
        track.stop();
        track.dispatchEvent(new Event("ended"));
      })()`);
      await until(page, "preppalDemo.client.troubles.includes('microphone-changed')", 1000);
      assert.match(await page.locator("#troubles").textContent(), /Another one is in use/);
      assert.equal(await page.locator("#mute-label").textContent(), "Mute");
      await settled(page);
      await nothingLost(page, server, PULLED_OUT_MS);
    },
  },
  "of a reply that was cut the page shows what was heard, in any script": {
    async play(page) {
      const server = await standing({}, SCENARIO);
      page.on("dialog", (dialog) => void dialog.accept());
      await page.goto(`${server.origin}/`);
      await page.click("#start-silent");
      for (let number = 1; number <= REPLIES.length; number += 1) {
        await until(page, `preppalDemo.transcript.filter(({ speaker }) => speaker === "AI").length === ${number}`);
        await until(page, state("speaking"));
        await page.waitForTimeout(2000);
        await page.evaluate(`preppalDemo.client.sendText("Answer ${number}.")`);
        await until(page, `preppalDemo.transcript.filter(({ cut }) => cut).length === ${number}`);
      }
      const cuts = await page.evaluate(CUTS);
      await page.reload();
      await page.locator("#live").waitFor();
      await page.click("#continue-silent");
      await until(page, `preppalDemo.transcript.filter(({ cut }) => cut).length === ${REPLIES.length}`);
      assert.deepEqual(await page.evaluate(CUTS), cuts, "a reload knows them as well");
      await page.evaluate("preppalDemo.client.end()");
      await until(page, "preppalDemo.results !== null");
      const kept = (await page.evaluate("preppalDemo.results.turns")).filter(({ cut }) => cut).slice(0, REPLIES.length).map(({ text }) => text.replace(/\s*\[interrupted\]$/, ""));
      await server.close();
      assert.deepEqual(cuts.map(([heard]) => heard), kept, "the page cuts where the server's transcript does");
      cuts.forEach(([heard, unheard], i) => {
        assert.ok(heard.length > 0 && unheard.length > 0, `of "${REPLIES[i]}" a part was heard: "${heard}"`);
        assert.ok(REPLIES[i].startsWith(heard + unheard), heard + unheard);
        assert.ok((heard + unheard).isWellFormed());
      });
    },
  },
};

try {
  await playScenes(SCENES, { only, atOnce: 2 });
} finally {
  rmSync(folder, { recursive: true, force: true });
}
