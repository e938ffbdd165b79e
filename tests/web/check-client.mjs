/**
 * What an application may do with the client that the demo page does not, in a headless Chromium against a running
 * `preppald demo`:
 *
 *     node tests/web/check-client.mjs http://127.0.0.1:8787 [part of a scene's name]
 */

import assert from "node:assert/strict";
import { playScenes, until } from "./scenes.mjs";

const [origin, only] = process.argv.slice(2);
assert.ok(origin, "usage: check-client.mjs ORIGIN [PART OF A NAME]");

/** In the page: a client, and an interview for it. */
async function prepare() {
  const { InterviewClient, preflight } = await import("/client/preppal-client.js");
  const found = await (await fetch("/demo/interview", { method: "POST" })).json();
  Object.assign(globalThis, { InterviewClient, preflight, found, client: new InterviewClient(), levels: [] });
  client.on("level", ({ microphone }) => levels.push(microphone));
}

/** In the page: a stream of the application's own, with a tone. */
function ownStream() {
  const context = new AudioContext();
  const destination = context.createMediaStreamDestination();
  const tone = new OscillatorNode(context);
  tone.connect(destination);
  tone.start();
  globalThis.stream = destination.stream;
}

const begin = async (page) => {
  await page.goto(`${origin}/`);
  await page.evaluate(prepare);
};

const SCENES = {
  "a stream of the application's own is heard, muted, and stays the application's": {
    async play(page) {
      await begin(page);
      await page.evaluate(ownStream);
      await page.evaluate("client.openMicrophone({ stream })");
      await page.evaluate("client.start({ url: found.wsUrl, token: found.token })");
      await until(page, "levels.at(-1) > 0.5", 3000);
      await page.evaluate("client.muted = true");
      await until(page, "levels.at(-1) === 0", 1000);
      await page.evaluate("client.muted = false");
      await until(page, "levels.at(-1) > 0.5", 1000);
      await page.evaluate("client.close()");
      assert.equal(await page.evaluate("stream.getTracks()[0].readyState"), "live");
    },
  },
  "constraints of the application's own stand beside the client's": {
    async play(page) {
      await begin(page);
      await page.evaluate("(() => { const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices); navigator.mediaDevices.getUserMedia = (asked) => ((globalThis.asked = asked), real(asked)); })()");
      await page.evaluate("client.openMicrophone({ constraints: { noiseSuppression: false } })");
      assert.deepEqual(await page.evaluate("asked.audio"), { echoCancellation: true, noiseSuppression: false, autoGainControl: true, channelCount: 1 });
      await page.evaluate("client.close()");
    },
  },
  "a look ahead asks the user for nothing, and says what stands in the way": {
    async play(page) {
      await begin(page);
      await page.evaluate("navigator.mediaDevices.getUserMedia = () => { throw new Error('the user was asked'); }");
      assert.deepEqual(await page.evaluate("preflight({ url: found.wsUrl })"), { secure: true, sound: true, microphone: "granted", server: "ready" });
      await page.route("**/ready", (route) => route.fulfill({ status: 200, contentType: "text/html", body: "<h1>Welcome</h1>" }));
      assert.equal((await page.evaluate("preflight({ url: found.wsUrl })")).server, "foreign");
      await page.unroute("**/ready");
      await page.route("**/ready", (route) => route.abort());
      assert.equal((await page.evaluate("preflight({ url: found.wsUrl })")).server, "unreachable");
    },
  },
  "a token is asked for when it is needed; volume and words are the application's": {
    async play(page) {
      await begin(page);
      const heard = await page.evaluate(async () => {
        globalThis.client = new InterviewClient({ language: "de", words: { "ended-by-user": "Bis bald." } });
        client.volume = 2;
        let asked = 0;
        await client.prepare();
        const ended = new Promise((resolve) => client.on("ended", resolve));
        client.on("transcript", () => client.end());
        client.start({ url: found.wsUrl, token: async () => ((asked += 1), found.token) });
        const { words, reason } = await ended;
        return { words, reason, asked, volume: client.volume };
      });
      assert.deepEqual(heard, { words: "Bis bald.", reason: "ended-by-user", asked: 1, volume: 1 });
    },
  },
};

await playScenes(SCENES, { only, atOnce: 2 });
