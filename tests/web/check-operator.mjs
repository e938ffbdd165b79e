/**
 * The operator's page in a real, headless Chromium, against a daemon with interviews: `python -m tests.web.operated` starts
 * one and runs this.
 *
 *     node tests/web/check-operator.mjs ORIGIN SECRET [folder for screenshots]
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { playScenes, until } from "./scenes.mjs";

const [origin, secret, folder] = process.argv.slice(2);
assert.ok(secret, "usage: check-operator.mjs ORIGIN SECRET [FOLDER]");
const AXE = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const DESK = { viewport: { width: 1280, height: 860 } };
const DARK_PHONE = { viewport: { width: 390, height: 800 }, deviceScaleFactor: 2, colorScheme: "dark" };
const live = "document.querySelectorAll('#interviews tbody tr').length";
const signedIn = "document.body.dataset.state === 'signed-in'";

async function signIn(page, words = secret) {
  await page.goto(`${origin}/`);
  await until(page, "!document.querySelector('#door').hidden");
  await page.fill("#secret", words);
  await page.click("#sign-in button");
}

/** axe's script is not the page's own: the page's policy forbids it, as it should. */
async function accessible(page) {
  const found = await page.evaluate(`(() => { ${AXE}; return axe.run({ resultTypes: ["violations"] }); })()`);
  assert.deepEqual(found.violations.map((it) => `${it.id}: ${it.nodes.map((node) => node.target).join(" ")}`), []);
}

const SCENES = {
  "the page signs in, shows what runs, and signs out": {
    look: DESK,
    async play(page, context, shot) {
      await signIn(page, "wrong, as a test has it");
      await until(page, "document.querySelector('#door-problem').textContent.includes('wrong')");
      await accessible(page);
      await shot(page, "door");
      await page.fill("#secret", secret);
      await page.click("#sign-in button");
      await until(page, `${signedIn} && ${live} > 0`);
      assert.equal(await page.evaluate("document.cookie"), "", "a script of the page must not read the cookie");
      assert.ok(!page.url().includes(secret));
      const [cookie] = await context.cookies();
      assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, "Strict"]);
      await accessible(page);
      await shot(page, "now");
      await page.reload();
      await until(page, `${signedIn} && ${live} > 0`);
      const before = await page.evaluate(live);
      await page.fill("#filter", "interview-001");
      await until(page, `${live} === 1`);
      await page.fill("#filter", "");
      await until(page, `${live} === ${before}`);
      await page.click("#sign-out");
      await until(page, `document.body.dataset.state === 'signed-out' && ${live} === 0`);
      await page.reload();
      await until(page, "!document.querySelector('#door').hidden");
    },
  },
  "an interview's timeline, and its words": {
    look: DESK,
    async play(page, _context, shot) {
      await signIn(page);
      await until(page, `${live} > 0`);
      await page.click("#interviews tbody tr:first-child button.name");
      await until(page, "document.querySelectorAll('#picture rect.AI').length > 0 && document.querySelectorAll('#picture rect.link').length > 0");
      await until(page, "document.querySelectorAll('#words li').length > 0");
      await accessible(page);
      await shot(page, "timeline");
      await page.keyboard.press("Escape");
      await until(page, "!document.querySelector('#detail').open");
    },
  },
  "an interview is ended, with a reason; the daemon drains, and lets interviews begin again": {
    look: DARK_PHONE,
    async play(page, _context, shot) {
      await signIn(page);
      await until(page, `${live} > 1`);
      const name = await page.textContent("#interviews tbody tr:last-child button.name");
      await page.click("#interviews tbody tr:last-child button.danger");
      await page.click("#confirm [data-close]");
      await page.click("#interviews tbody tr:last-child button.danger");
      await page.fill("#reason", "a drill");
      await accessible(page);
      await shot(page, "confirm");
      await page.click("#confirm-yes");
      await until(page, `[...document.querySelectorAll('#ended tbody tr')].some((row) => row.textContent.includes(${JSON.stringify(name)}) && row.textContent.includes('a drill'))`);
      // The daemon's state may come before its answer, which closes this.
      await until(page, "!document.querySelector('#confirm').open");
      await page.click("#drain");
      await page.click("#confirm-yes");
      await until(page, "document.querySelector('#facts').textContent.includes('draining')");
      await shot(page, "draining");
      await page.click("#drain");
      await page.click("#confirm-yes");
      await until(page, "document.querySelector('#facts').textContent.includes('may begin')");
    },
  },
};

await playScenes(SCENES, { folder, atOnce: 1 });
