/**
 * The demo page in a real, headless Chromium against a running `preppald demo`:
 *
 *     node tests/web/check-page.mjs http://127.0.0.1:8787 [folder for screenshots]
 *
 * Each scene holds an interview, or fails to on purpose, and exits 1 if anything of it is missing.
 * CHROMIUM names another browser than /usr/bin/chromium.
 */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { relay } from "./relay.mjs";
import { DESK, PHONE, playScenes, state, until } from "./scenes.mjs";

const [origin, folder, only] = process.argv.slice(2);
assert.ok(origin, "usage: check-page.mjs ORIGIN [FOLDER]");

/** Spoken once, from the moment the page opens its microphone: into the greeting. */
const RECORDING = fileURLToPath(new URL("../../preppald/candidate/answer.wav", import.meta.url));

/** Dialling, the daemon's answer, the missed transcript. */
const COME_BACK_MS = 5000;

/** What a candidate is promised to survive: a lift, a tunnel, a change of network. */
const OFFLINE_MS = 10 * 1000;

const focused = (page) => page.evaluate("document.activeElement.id");
const transcript = (page) => page.evaluate("JSON.parse(JSON.stringify(preppalDemo.transcript))");
const banner = (page) => page.locator("#banner").textContent();

/** Runs in the page before anything of it: a screen that says whether it is kept on. */
function watchScreen() {
  globalThis.screenLock = [];
  Object.defineProperty(navigator, "wakeLock", {
    value: { request: async () => (screenLock.push("held"), { release: async () => void screenLock.push("released") }) },
  });
}

const SCENES = {
  "a whole interview by the sample answer": {
    look: DESK,
    async play(page, _context, shot) {
      await page.goto(`${origin}/?auto=sample`);
      await until(page, state("speaking"));
      await shot(page, "speaking");
      await until(page, "preppalDemo.client.answering");
      await shot(page, "answering");
      await until(page, "preppalDemo.results !== null");
      const turns = await transcript(page);
      assert.ok(turns.some(({ speaker }) => speaker === "USER") && turns.filter(({ speaker }) => speaker === "AI").length >= 2);
      assert.equal(await page.evaluate("preppalDemo.ending"), "You ended the interview.");
      assert.ok((await page.evaluate("preppalDemo.results.turns.length")) >= 3);
      await shot(page, "results");
    },
  },
  "a voice through the microphone": {
    look: DESK,
    args: [`--use-file-for-fake-audio-capture=${RECORDING}%noloop`],
    async play(page, _context, shot) {
      await page.goto(`${origin}/`);
      await page.click("#start");
      await until(page, "preppalDemo.transcript.some((turn) => turn.speaker === 'USER' && turn.complete)");
      await until(page, state("speaking"));
      await shot(page, "answered-by-voice");
      await page.evaluate("preppalDemo.client.end()");
      await until(page, "preppalDemo.results !== null");
    },
  },
  "barge-in, then no network for ten seconds, on a phone": {
    look: PHONE,
    async play(page, context, shot) {
      const network = await relay(origin);
      await page.goto(`${network.origin}/`);
      await shot(page, "welcome-phone");
      await page.click("#start-silent");
      await until(page, state("speaking"));
      // At once: the greeting takes three seconds, and a busy machine's mouse may take longer.
      await page.evaluate("document.getElementById('sample').click()");
      await until(page, "preppalDemo.transcript.some((turn) => turn.cut)");
      await until(page, `!(${state("speaking")})`, 500);
      await shot(page, "cut");
      // The answer is over, and its reply about to come: into the gap.
      await until(page, "preppalDemo.client.answering");
      await until(page, "!preppalDemo.client.answering");
      const before = await transcript(page);
      network.freeze();
      await context.setOffline(true);
      await until(page, state("reconnecting"));
      assert.match(await banner(page), /connection was lost.*Please wait/);
      await shot(page, "reconnecting");
      await page.waitForTimeout(OFFLINE_MS);
      assert.equal(await page.evaluate("preppalDemo.state"), "reconnecting");
      assert.deepEqual(await transcript(page), before);
      network.thaw();
      await context.setOffline(false);
      await until(page, `!(${state("reconnecting")})`, COME_BACK_MS);
      assert.match(await banner(page), /connected again/);
      await shot(page, "connected-again");
      await until(page, `preppalDemo.transcript.length > ${before.length} && preppalDemo.transcript.at(-1).complete`);
      const after = await transcript(page);
      assert.equal(new Set(after.map(({ text }) => text)).size, after.length, "nothing twice");
      assert.deepEqual(after.slice(0, before.length - 1), before.slice(0, -1), "nothing lost");
      const heard = await page.locator("#announcer p").allTextContents();
      assert.ok(after.every(({ text }) => heard.some((line) => line.endsWith(text))), `a screen reader hears each turn: ${heard}`);
      await page.click("#end");
      await shot(page, "confirm");
      await page.click("#confirm .danger");
      await until(page, "preppalDemo.results !== null");
      assert.equal(await page.evaluate("preppalDemo.results.turns.length"), after.length, "the page had what the server kept");
      await shot(page, "results-phone");
      network.close();
    },
  },
  "a network that swallows everything for ten seconds and does not say so": {
    look: DESK,
    async play(page, _context, shot) {
      const network = await relay(origin);
      await page.goto(`${network.origin}/`);
      await page.click("#start-silent");
      await until(page, "preppalDemo.transcript.some((turn) => turn.complete)");
      await until(page, state("listening"));
      await page.click("#sample");
      await until(page, "preppalDemo.client.answering");
      const before = await transcript(page);
      network.freeze();
      await page.waitForTimeout(OFFLINE_MS);
      network.thaw();
      await until(page, "preppalDemo.transcript.filter((turn) => turn.speaker === 'AI' && turn.complete).length >= 2");
      const after = await transcript(page);
      assert.deepEqual(after.slice(0, before.length), before);
      assert.equal(new Set(after.map(({ text }) => text)).size, after.length, "nothing twice");
      await page.evaluate("preppalDemo.client.end()");
      await until(page, "preppalDemo.results !== null");
      network.close();
    },
  },
  "a page that was reloaded takes its interview up again": {
    look: DESK,
    async play(page, _context, shot) {
      await page.goto(`${origin}/`);
      const took = await page.evaluate(async () => {
        const { InterviewClient } = await import("/client/preppal-client.js");
        const { token, wsUrl } = await (await fetch("/demo/interview", { method: "POST" })).json();
        const completed = (client) => new Promise((resolve) => client.on("transcript", ({ turn, turnComplete }) => turnComplete && resolve(turn.text)));
        const first = new InterviewClient();
        first.start({ url: wsUrl, token });
        const said = await completed(first);
        await first.close();
        const second = new InterviewClient();
        second.start({ url: wsUrl, token });
        const again = await completed(second);
        second.end();
        return { said, again, ending: await new Promise((resolve) => second.on("ended", ({ reason }) => resolve(reason))), left: first.state };
      });
      assert.equal(took.again, took.said);
      assert.ok(took.said.length > 0);
      assert.equal(took.ending, "ended-by-user");
      assert.notEqual(took.left, "ended");
    },
  },
  "a tab that is reloaded goes on with its interview": {
    look: DESK,
    init: watchScreen,
    async play(page, _context, shot) {
      const asked = [];
      page.on("dialog", (dialog) => void (asked.push(dialog.type()), dialog.accept()));
      await page.goto(`${origin}/`);
      assert.deepEqual(await page.evaluate("screenLock"), []);
      await page.click("#start-silent");
      await until(page, "preppalDemo.transcript.some((turn) => turn.complete)");
      assert.deepEqual(await page.evaluate("screenLock"), ["held"]);
      const before = await transcript(page);
      await page.reload();
      assert.deepEqual(asked, ["beforeunload"], "the browser asks before it leaves a live interview");
      await page.locator("#live").waitFor();
      await shot(page, "taken-up");
      await page.click("#continue-silent");
      await until(page, "preppalDemo.transcript.some((turn) => turn.complete)");
      assert.equal((await transcript(page))[0].text, before[0].text);
      await page.evaluate("preppalDemo.client.end()");
      await until(page, "preppalDemo.results !== null");
      assert.deepEqual(await page.evaluate("screenLock"), ["held", "released"]);
      await page.reload();
      await page.locator("#welcome").waitFor();
      assert.equal(asked.length, 1, "and not before it leaves the results");
      assert.equal(await page.evaluate("localStorage.length"), 0, "nothing of it is left");
    },
  },
  "the sound is checked before the interview": {
    look: PHONE,
    async play(page, _context, shot) {
      await page.goto(`${origin}/`);
      await page.click("#check-sound");
      await page.locator("#check").waitFor();
      await until(page, "document.getElementById('choose-microphone-before').options.length >= 2");
      await until(page, "Number(getComputedStyle(document.documentElement).getPropertyValue('--microphone')) > 0.2");
      await shot(page, "sound-check");
      await page.click("#try-out");
      await until(page, "document.getElementById('check-status').textContent.includes('interviewer will hear')", 6000);
      await page.selectOption("#choose-microphone-before", { index: 1 });
      await page.click("#start-checked");
      await until(page, "preppalDemo.transcript.length > 0");
      assert.ok(await page.evaluate("preppalDemo.client.hasMicrophone"));
    },
  },
  "the browser asks, and the candidate goes on without": {
    look: PHONE,
    async play(page, _context, shot) {
      await page.goto(`${origin}/`);
      await page.evaluate("navigator.mediaDevices.getUserMedia = () => new Promise((resolve) => (globalThis.allow = () => resolve((globalThis.late = new AudioContext().createMediaStreamDestination().stream))))");
      await page.click("#start");
      await page.locator("#asking").waitFor();
      assert.match(await page.locator("#asking").textContent(), /asking for your microphone/);
      await shot(page, "asking");
      await page.click("#without");
      await until(page, "preppalDemo.transcript.length > 0");
      await page.evaluate("allow()");
      await until(page, "late.getTracks().every((track) => track.readyState === 'ended')", 2000);
      assert.equal(await page.evaluate("preppalDemo.client.hasMicrophone"), false);
    },
  },
  "a pause, by button and by key": {
    look: DESK,
    async play(page, _context, shot) {
      await page.goto(`${origin}/`);
      await page.click("#start-silent");
      await until(page, state("listening"));
      await page.click("#hold");
      await until(page, "preppalDemo.client.holding");
      assert.match(await page.locator("#status").textContent(), /Paused/);
      await shot(page, "paused");
      await page.keyboard.press("Alt+p");
      await until(page, "!preppalDemo.client.holding");
    },
  },
  "an answer in writing, into the interviewer's words, and one that is too long": {
    look: PHONE,
    async play(page, _context, shot) {
      await page.goto(`${origin}/`);
      await page.click("#start-silent");
      await until(page, state("speaking"));
      await until(page, "preppalDemo.transcript.length > 0");
      await page.click("#type");
      assert.equal(await focused(page), "written");
      // The greeting takes three seconds, and a busy machine types slowly.
      await page.fill("#written", "Wait, I was a sailor.");
      await page.keyboard.press("Shift+Enter");
      await page.keyboard.insertText("And a cook.");
      await page.keyboard.press("Enter");
      await until(page, "preppalDemo.transcript.some((turn) => turn.cut)");
      await until(page, "preppalDemo.transcript.some((turn) => turn.text === 'Wait, I was a sailor.\\nAnd a cook.')");
      await until(page, "preppalDemo.transcript.at(-1).speaker === 'AI' && preppalDemo.transcript.at(-1).complete");
      assert.match(await page.locator(".turn.cut .cut-mark").textContent(), /You cut in here/);
      assert.equal(await page.inputValue("#written"), "");
      await page.fill("#written", "x".repeat(2001));
      await page.click("#send");
      assert.match(await page.locator("#write-problem").textContent(), /too long .* 2,000 characters/);
      await shot(page, "too-long");
      assert.equal((await page.inputValue("#written")).length, 2001, "it is not lost");
      for (let number = 0; number < 10; number += 1) await page.evaluate(`preppalDemo.client.sendText("Answer ${number}.")`);
      await until(page, "document.getElementById('write-problem').textContent.includes('wait a moment')");
      assert.equal(await page.evaluate("preppalDemo.client.troubles.length"), 0);
    },
  },
  "each refusal in words of its own": {
    look: DESK,
    async play(page, _context, shot) {
      await page.goto(`${origin}/`);
      const real = await page.evaluate("fetch('/demo/interview', { method: 'POST' }).then((answer) => answer.json())");
      for (const [what, interview, words] of [
        ["a bad token", { ...real, token: "a.b.c" }, /link: it has expired or is incomplete/],
        ["another interview's", { ...real, wsUrl: "/ws/another-one" }, /belongs to another interview/],
        ["a bad request", { ...real, wsUrl: `${real.wsUrl}?block=0` }, /did not understand this page's request/],
      ]) {
        await page.goto(`${origin}/`);
        await page.route("**/demo/interview", (route) => route.fulfill({ json: interview }));
        await page.click("#start-silent");
        await until(page, state("ended"));
        assert.match(await page.evaluate("preppalDemo.ending"), words, what);
        assert.equal(await page.locator("#results-title").textContent(), "The interview did not start");
      }
      await shot(page, "refused");
    },
  },
  "the microphone is denied": {
    look: PHONE,
    denied: true,
    async play(page, _context, shot) {
      await page.goto(`${origin}/`);
      await page.click("#start");
      await until(page, "document.getElementById('banner').textContent.includes('microphone')");
      assert.equal(await page.evaluate("preppalDemo.state"), "idle");
      await shot(page, "denied");
    },
  },
};

await playScenes(SCENES, { folder, only, atOnce: 2 });
