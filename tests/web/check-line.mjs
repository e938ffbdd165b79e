/**
 * The demo page in a headless Chromium at the end of a bad line, which two kernels' TCP has between them; as root:
 *
 *     python -m tests.bench.tunnel --rate 10mbit --delay 20ms --loss 0% -- node tests/web/check-line.mjs [folder for screenshots]
 *
 * The page is loaded while the line is good. Then it becomes bad, and the page has to say so, and to make the best of it.
 */

import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { playScenes, state, until } from "./scenes.mjs";
import { standing } from "./standing.mjs";

const [shots] = process.argv.slice(2);
const { NEAR, FAR, LINE, CHROMIUM = "/usr/bin/chromium" } = process.env;
assert.ok(NEAR && FAR && LINE, "usage: python -m tests.bench.tunnel … -- node tests/web/check-line.mjs [FOLDER]");

const PORT = 8787;
const origin = `http://${NEAR}:${PORT}`;

/** The line as it is from now on. */
const makeLine = (shape) => writeSync(Number(LINE), `${shape}\n`);

/** A browser that has no core for itself takes its time. */
const LOAD_MS = 90 * 1000;

/** A second's report, and the way there and back. */
const TOLD_MS = 20 * 1000;
/** Sound from before the change is on its way, as late as before. */
const CLEARED_MS = 30 * 1000;
const WATCHED_MS = 15 * 1000;

const troubles = (page) => page.evaluate("[...document.querySelectorAll('#troubles li')].map((item) => item.textContent)");
const quality = (page) => page.evaluate("preppalDemo.client.quality");

async function begin(page) {
  await page.goto(`${origin}/`, { timeout: LOAD_MS });
  await page.click("#start");
  await until(page, state("listening"));
}

/** Speaks all the time, as the fake microphone does; the interviewer's replies come and are spoken over. */
const SCENES = {
  "96 kbit/s, 200 ms, 2 % lost: Opus is taken up, and the candidate is heard in time": {
    async play(page, _context, shot) {
      makeLine("10mbit,20ms,0%");
      await begin(page);
      makeLine("96kbit,200ms,2%");
      await until(page, "preppalDemo.client.quality.codec === 'opus'", TOLD_MS);
      await until(page, "preppalDemo.client.quality.quality === 'good' && preppalDemo.client.troubles.length === 0", CLEARED_MS);
      const before = await quality(page);
      await page.waitForTimeout(WATCHED_MS);
      const after = await quality(page);
      console.log(`     ${JSON.stringify({ before, after })}`);
      await shot(page, "line-96");
      assert.equal(after.codec, "opus");
      assert.ok(after.droppedMs === before.droppedMs, "all of the candidate's sound got through");
    },
  },
  "32 kbit/s, 200 ms, 2 % lost: the candidate is told, and the interview goes on": {
    async play(page, _context, shot) {
      makeLine("10mbit,20ms,0%");
      await begin(page);
      makeLine("32kbit,200ms,2%");
      await until(page, "preppalDemo.client.quality.codec === 'opus'", TOLD_MS);
      await until(page, "preppalDemo.client.troubles.includes('slow-connection')", TOLD_MS);
      console.log(`     ${JSON.stringify({ told: await troubles(page), ...(await quality(page)) })}`);
      await shot(page, "line-32");
      await page.waitForTimeout(CLEARED_MS);
      console.log(`     ${JSON.stringify({ later: await troubles(page), ...(await quality(page)) })}`);
      await shot(page, "line-32-later");
      assert.equal(await page.evaluate("preppalDemo.ending"), null);
    },
  },
};

const folder = mkdtempSync(join(tmpdir(), "preppald-line-"));
const server = await standing({ PREPPALD_LISTEN: `${NEAR}:${PORT}` });
try {
  // Chromium at the far end, driven by a pipe.
  const far = join(folder, "chromium");
  writeFileSync(far, `#!/bin/sh\nexec nsenter --net=${FAR} ${CHROMIUM} "$@"\n`);
  chmodSync(far, 0o755);
  process.env.CHROMIUM = far;
  // A microphone is given to pages of https and of localhost only.
  for (const scene of Object.values(SCENES)) scene.args = [`--unsafely-treat-insecure-origin-as-secure=${origin}`];
  await playScenes(SCENES, { folder: shots });
} finally {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
}
