/**
 * Opus in real browsers, both ways, with the demo's daemon behind them:
 *
 *     node --experimental-websocket tests/web/check-opus.mjs http://127.0.0.1:8787 [part of a browser's or a scene's name]
 */

import assert from "node:assert/strict";
import { Firefox } from "./firefox.mjs";
import { OPUS_SCENES } from "./opus-scenes.mjs";
import { playScenes, until } from "./scenes.mjs";
import { standing } from "./standing.mjs";

const [origin, only = ""] = process.argv.slice(2);
assert.ok(origin, "usage: check-opus.mjs ORIGIN [PART OF A NAME]");
/** An interviewer who speaks slowly, so that a busy browser, too, has time to change its mind in the middle of a sentence. */
const calm = await standing({}, "[audio]\npace = 0.25\n");

const chosen = (browser) => Object.entries(OPUS_SCENES).filter(([name]) => `${browser} ${name}`.includes(only));

const inChromium = chosen("Chromium").map(([name, scene]) => [
  `Chromium: ${name}`,
  {
    play: (page) =>
      scene({ goto: (url) => page.goto(url), evaluate: (expression) => page.evaluate(expression), until: (expression) => until(page, expression) }, origin, calm.origin),
  },
]);
await playScenes(Object.fromEntries(inChromium));

if (chosen("Firefox").length > 0) {
  const browser = new Firefox();
  try {
    console.log(await browser.start());
    for (const [name, scene] of chosen("Firefox")) {
      try {
        await scene(browser, origin, calm.origin);
        console.log(`ok   Firefox: ${name}`);
      } catch (problem) {
        process.exitCode = 1;
        console.log(`FAIL Firefox: ${name}\n     ${problem.message}`);
      }
    }
  } finally {
    await browser.close();
  }
}
await calm.close();
