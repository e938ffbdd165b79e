/**
 * Every action of the demo page by keyboard alone, in a headless Chromium against a running `preppald demo`:
 *
 *     node tests/web/check-keyboard.mjs http://127.0.0.1:8787 [part of a scene's name]
 */

import assert from "node:assert/strict";
import { DESK, playScenes, state, until } from "./scenes.mjs";

const [origin, only] = process.argv.slice(2);
assert.ok(origin, "usage: check-keyboard.mjs ORIGIN [PART OF A NAME]");

/** More than a page here has stops. */
const MOST_STOPS = 25;

const focused = (page) => page.evaluate("document.activeElement.id || document.activeElement.textContent");

/** Presses Tab until `id`, or a button of these words, has the focus, and `key` then. */
async function press(page, id, key) {
  for (let stops = 0; (await focused(page)) !== id; stops += 1) {
    if (stops > MOST_STOPS) throw new Error(`the keyboard does not reach ${id}`);
    await page.keyboard.press("Tab");
  }
  const ring = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle");
  assert.notEqual(ring, "none", `the focus on ${id} is seen`);
  if (key !== undefined) await page.keyboard.press(key);
}

const text = (page, id) => page.locator(`#${id}`).textContent();

/** The browser's question, which a scene answers. */
const ASKED = "navigator.mediaDevices.getUserMedia = () => new Promise(() => {})";

const SCENES = {
  "from the sound check to the results": {
    look: DESK,
    async play(page, context) {
      await context.grantPermissions(["clipboard-read", "clipboard-write", "microphone"], { origin });
      await page.goto(`${origin}/`);
      await press(page, "check-sound", "Enter");
      await page.locator("#check").waitFor();
      assert.equal(await focused(page), "check-title");
      await until(page, "document.getElementById('choose-microphone-before').options.length >= 2");
      const chosen = () => page.evaluate("document.getElementById('choose-microphone-before').value");
      const first = await chosen();
      await press(page, "choose-microphone-before", "ArrowDown");
      assert.notEqual(await chosen(), first);
      await press(page, "choose-loudspeaker-before", "ArrowDown");
      await press(page, "try-out", "Space");
      assert.match(await text(page, "check-status"), /Speak now/);
      await press(page, "start-checked", "Enter");
      await until(page, "preppalDemo.client?.hasMicrophone");
      assert.equal(await focused(page), "status");
      await press(page, "mute", "Space");
      assert.ok(await page.evaluate("preppalDemo.client.muted"));
      await until(page, "preppalDemo.transcript.length > 0");
      await press(page, "sample", "Enter");
      await until(page, "preppalDemo.client.answering");
      await press(page, "hold", "Space");
      await until(page, "preppalDemo.client.holding");
      await page.keyboard.press("Alt+p");
      await until(page, "!preppalDemo.client.holding");
      await press(page, "type", "Enter");
      assert.equal(await focused(page), "written");
      await page.keyboard.type("I was a sailor.");
      await press(page, "send", "Space");
      await until(page, "preppalDemo.transcript.some(({ text }) => text.includes('sailor'))");
      await press(page, "type", "Enter");
      assert.ok(await page.locator("#write").isHidden());
      await press(page, "sound", "Enter");
      await until(page, "document.getElementById('choose-microphone-now').options.length >= 2");
      await press(page, "choose-microphone-now", "ArrowUp");
      await press(page, "volume", "ArrowLeft");
      assert.ok((await page.evaluate("preppalDemo.client.volume")) < 1);
      await page.keyboard.press("Escape");
      assert.equal(await focused(page), "sound");
      await press(page, "end", "Enter");
      assert.equal(await focused(page), "Keep going");
      await page.keyboard.press("Enter");
      assert.notEqual(await page.evaluate("preppalDemo.state"), "ended");
      assert.equal(await focused(page), "end");
      await page.keyboard.press("Enter");
      await press(page, "End interview", "Enter");
      await until(page, state("ended"));
      assert.equal(await focused(page), "results-title");
      await page.locator("#download").waitFor();
      await press(page, "copy", "Enter");
      await until(page, "document.getElementById('copy').textContent === 'Copied'");
      assert.match(await page.evaluate("navigator.clipboard.readText()"), /^Interviewer: /);
      for (const [id, suffix] of [["download", ".txt"], ["download-vtt", ".vtt"]]) {
        const [file] = await Promise.all([page.waitForEvent("download"), press(page, id, "Enter")]);
        assert.ok(file.suggestedFilename().endsWith(suffix));
      }
      // In an interview new words pull a reader who is near the end back to it: here nothing moves by itself.
      await page.setViewportSize({ width: 640, height: 400 });
      await press(page, "scroller", "PageDown");
      await until(page, "document.getElementById('scroller').scrollTop > 0");
      await press(page, "again", "Enter");
      await page.locator("#welcome").waitFor();
    },
  },
  "without a microphone, and an interview that is taken up": {
    look: DESK,
    async play(page) {
      page.on("dialog", (dialog) => void dialog.accept());
      await page.goto(`${origin}/`);
      await page.evaluate(ASKED);
      await press(page, "start", "Enter");
      await page.locator("#asking").waitFor();
      assert.equal(await focused(page), "without");
      await page.keyboard.press("Enter");
      await until(page, "preppalDemo.transcript.length > 0");
      await page.evaluate(`preppalDemo.client.dispatchEvent(new CustomEvent("trouble", { detail: { kind: "echo", active: true, words: "", troubles: ["echo"] } }))`);
      await press(page, "Take turns", "Enter");
      assert.ok(await page.evaluate("preppalDemo.client.takesTurns"));
      await page.reload();
      await page.locator("#live").waitFor();
      await press(page, "continue-silent", "Enter");
      await until(page, "preppalDemo.transcript.length > 0");
      await page.reload();
      await page.locator("#live").waitFor();
      await press(page, "continue", "Enter");
      await until(page, "preppalDemo.client?.hasMicrophone");
      await page.reload();
      await page.locator("#live").waitFor();
      await press(page, "leave", "Enter");
      await page.locator("#welcome").waitFor();
      await press(page, "start-silent", "Enter");
      await until(page, "preppalDemo.transcript.length > 0");
    },
  },
};

await playScenes(SCENES, { only, atOnce: 2 });
