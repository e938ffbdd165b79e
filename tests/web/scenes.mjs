/** Scenes in a real, headless Chromium: how they are launched, watched and reported. */

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";

const CALM = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-component-update", "--disable-sync"];
const SOUND = ["--autoplay-policy=no-user-gesture-required", "--use-fake-device-for-media-stream"];
const MICROPHONE_ALLOWED = "--use-fake-ui-for-media-stream";

export const DESK = { viewport: { width: 1000, height: 720 } };
export const PHONE = { viewport: { width: 375, height: 740 }, deviceScaleFactor: 2, colorScheme: "dark" };

/** The longest scene waits for a greeting, an answer and a reply, each some ten seconds of speech. */
const SCENE_TIMEOUT_MS = 40 * 1000;
const LOOK_EVERY_MS = 50;

/** A busy machine's own delay, on top of what the page may take; node's tests hold the page's times to the millisecond. */
const BUSY_MS = 2000;

/** Playwright's own waitForFunction needs eval in the page, which the page's CSP rightly forbids. */
export async function until(page, expression, timeoutMs = SCENE_TIMEOUT_MS) {
  const end = Date.now() + timeoutMs + BUSY_MS;
  while (!(await page.evaluate(expression))) {
    if (Date.now() > end) {
      const state = await page.evaluate("JSON.stringify([preppalDemo.state, preppalDemo.ending, preppalDemo.client?.troubles, preppalDemo.client?.quality, preppalDemo.transcript])");
      throw new Error(`never came: ${expression}; ${state}`);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

export const state = (name) => `preppalDemo.state === ${JSON.stringify(name)}`;

/**
 * Play scenes, so many at a time. One that fails is played again when the others are through: the process fails where it
 * fails alone, too, as a busy machine's sound may have gaps that no device has.
 * @param {Record<string, {look?: object, denied?: boolean, args?: string[], init?: () => void, play: (page, context, shot) => Promise<void>}>} scenes
 *   init: runs in the page before anything of it
 * @param {{folder?: string | undefined, atOnce?: number, only?: string | undefined}} options
 */
export async function playScenes(scenes, { folder, atOnce = 1, only } = {}) {
  if (folder) mkdirSync(folder, { recursive: true });
  const left = Object.entries(scenes).filter(([name]) => only === undefined || name.includes(only));
  const failed = [];
  const work = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      if (!(await playScene(...next, folder))) failed.push(next);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  for (const [name, scene] of failed) {
    if (!(await playScene(`${name}, once more`, scene, folder))) process.exitCode = 1;
  }
}

/** Play one; return whether it went well. */
async function playScene(name, { look = DESK, denied = false, args = [], init, play }, folder) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [...CALM, ...SOUND, ...args, ...(denied ? [] : [MICROPHONE_ALLOWED])],
  });
  const context = await browser.newContext(look);
  if (init !== undefined) await context.addInitScript(init);
  const page = await context.newPage();
  const faults = [];
  const shot = (of, shotName) => (folder ? of.screenshot({ path: `${folder}/${shotName}.png` }) : undefined);
  context.on("page", (opened) => opened.on("pageerror", (problem) => faults.push(problem.stack ?? problem.message)));
  page.on("pageerror", (problem) => faults.push(problem.stack ?? problem.message));
  page.on("console", (line) => line.text().includes("Content Security Policy") && faults.push(line.text()));
  try {
    await play(page, context, shot);
    assert.deepEqual(faults, []);
    console.log(`ok   ${name}`);
    return true;
  } catch (problem) {
    console.log(`FAIL ${name}\n     ${[problem.message, ...faults].join("\n     ")}`);
    await shot(page, "failure")?.catch(() => {}); // of a page that hangs there is none
    return false;
  } finally {
    await browser.close();
  }
}
