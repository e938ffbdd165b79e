/**
 * The main scenes in the engines beside Chromium, as Debian ships them:
 *
 *     node --experimental-websocket tests/web/check-engines.mjs http://127.0.0.1:8787 [part of an engine's or a scene's name]
 */

import assert from "node:assert/strict";
import { Firefox } from "./firefox.mjs";
import { WebKit } from "./webkit.mjs";

const [origin, only = ""] = process.argv.slice(2);
assert.ok(origin, "usage: check-engines.mjs ORIGIN [PART OF A NAME]");

const ENGINES = { Firefox, WebKit };

const ended = "preppalDemo.results !== null";
const replied = "preppalDemo.transcript.length >= 3 && preppalDemo.transcript.at(-1).speaker === 'AI' && preppalDemo.transcript.at(-1).complete";

const SCENES = {
  async "a whole interview by the sample answer"(page) {
    await page.goto(`${origin}/?auto=sample`);
    await page.until("preppalDemo.client?.answering ?? false");
    await page.until(ended);
    const speakers = await page.evaluate("preppalDemo.results.turns.map(({ speaker }) => speaker)");
    assert.ok(speakers.includes("USER") && speakers.filter((one) => one === "AI").length >= 2, speakers.join());
  },
  async "with a microphone: it is heard, muted and let go"(page) {
    await page.goto(`${origin}/`);
    await page.click("start");
    await page.until("preppalDemo.client?.hasMicrophone ?? false");
    await page.until("Number(getComputedStyle(document.documentElement).getPropertyValue('--microphone')) > 0.1");
    await page.click("mute");
    assert.equal(await page.evaluate("preppalDemo.client.muted"), true);
    await page.until("Number(getComputedStyle(document.documentElement).getPropertyValue('--microphone')) === 0");
    // The fake microphone's tone never ends: until it is muted the interviewer takes it for a candidate who speaks.
    await page.until("preppalDemo.transcript.length > 0");
    await page.evaluate("preppalDemo.client.end()");
    await page.until(ended);
    assert.equal(await page.evaluate("preppalDemo.ending"), "You ended the interview.");
  },
  async "barge-in in writing, then a reload that takes the interview up"(page) {
    await page.goto(`${origin}/`);
    await page.click("start-silent");
    await page.until("preppalDemo.state === 'speaking' && preppalDemo.transcript.length > 0");
    await page.evaluate("preppalDemo.client.sendText('Wait, I was a sailor.')");
    await page.until("preppalDemo.transcript.some((turn) => turn.cut)");
    await page.until(replied);
    const before = await page.evaluate("preppalDemo.transcript.map(({ text }) => text)");
    await page.goto(`${origin}/`);
    await page.until("!document.getElementById('live').hidden");
    await page.click("continue-silent");
    await page.until(replied);
    assert.deepEqual((await page.evaluate("preppalDemo.transcript.map(({ text }) => text)")).slice(0, before.length), before);
    await page.evaluate("preppalDemo.client.end()");
    await page.until(ended);
  },
  async "the sound is checked before the interview"(page) {
    await page.goto(`${origin}/`);
    await page.click("check-sound");
    await page.until("!document.getElementById('check').hidden");
    await page.until("document.getElementById('choose-microphone-before').options.length >= 1");
    await page.click("try-out");
    await page.until("document.getElementById('check-status').textContent.includes('interviewer will hear')");
  },
  async "devices are changed in mid-interview"(page) {
    await page.goto(`${origin}/`);
    await page.click("start");
    await page.until("preppalDemo.client?.hasMicrophone ?? false");
    await page.click("sound");
    await page.until("document.getElementById('choose-microphone-now').options.length >= 1");
    await page.evaluate("(() => { const list = document.getElementById('choose-microphone-now'); list.selectedIndex = list.options.length - 1; list.dispatchEvent(new Event('change')); })()");
    await page.until("preppalDemo.client.microphoneId === document.getElementById('choose-microphone-now').value");
    await page.until("Number(getComputedStyle(document.documentElement).getPropertyValue('--microphone')) > 0.1");
    assert.equal(await page.evaluate("document.getElementById('devices-problem').textContent"), "");
    await page.evaluate("document.getElementById('devices').close()");
    await page.evaluate("preppalDemo.client.end()");
    await page.until(ended);
  },
};

/** Play one scene; return whether it went well. */
async function went(engine, browser, name, scene) {
  try {
    await scene(browser);
    console.log(`ok   ${engine}: ${name}`);
    return true;
  } catch (problem) {
    console.log(`FAIL ${engine}: ${name}\n     ${problem.message}`);
    return false;
  }
}

async function play(engine, scenes) {
  const browser = new ENGINES[engine]();
  try {
    console.log(await browser.start());
    const failed = [];
    for (const scene of scenes) if (!(await went(engine, browser, ...scene))) failed.push(scene);
    // As in scenes.mjs: one that fails again has failed.
    for (const [name, scene] of failed) {
      if (!(await went(engine, browser, `${name}, once more`, scene))) process.exitCode = 1;
    }
  } finally {
    await browser.close();
  }
}

for (const engine of Object.keys(ENGINES)) {
  const scenes = Object.entries(SCENES).filter(([name]) => `${engine}: ${name}`.includes(only));
  if (scenes.length > 0) await play(engine, scenes);
}
