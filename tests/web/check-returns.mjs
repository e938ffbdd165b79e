/**
 * Each refusal of the server with its words on the page, and each way in which a candidate may get lost and come back, on
 * the demo page in a headless Chromium:
 *
 *     node tests/web/check-returns.mjs [part of a scene's name]
 *
 * It starts daemons of its own, for some scenes kill them.
 */

import assert from "node:assert/strict";
import { relay } from "./relay.mjs";
import { playScenes, state, until } from "./scenes.mjs";
import { standing, token } from "./standing.mjs";

const [only] = process.argv.slice(2);

/** What a candidate is promised to survive. */
const NETWORK_GONE_MS = 20 * 1000;
const ASLEEP_MS = 40 * 1000;
const SERVER_GONE_MS = 3 * 1000;

/** The client's own patience with a server that has no room. */
const FIRST_BUDGET_MS = 90 * 1000;

const small = await standing({ PREPPALD_MAX_SESSIONS: "1", PREPPALD_MAX_SESSIONS_PER_USER: "1" });
const one = await standing({ PREPPALD_MAX_SESSIONS_PER_USER: "1" });
const strict = await standing({ PREPPALD_ALLOWED_ORIGINS: "https://elsewhere.test" });
const roomy = await standing();

const interview = (interviewId, userId, url = `/ws/${interviewId}`) => ({ interviewId, wsUrl: url, token: token(interviewId, userId) });

/** A page of somebody else's, or of the same candidate on another device: without what this browser remembers. */
const elsewhere = async (context) => (await context.browser().newContext()).newPage();

/** The demo page, which is given this interview, or its own. */
async function begin(page, origin, given) {
  await page.goto(`${origin}/`);
  if (given !== undefined) await page.route("**/demo/interview", (route) => route.fulfill({ json: given }));
  await page.click("#start-silent");
}

const ended = (page) => until(page, state("ended"));
const words = (page) => page.locator("#ending").textContent();
const title = (page) => page.locator("#results-title").textContent();
const transcript = (page) => page.evaluate("JSON.parse(JSON.stringify(preppalDemo.transcript))");

/** Words that blame the candidate, or their line, for what is ours. */
const BLAME = /link|expired|internet|microphone|browser/i;

async function greeted(page, origin, given) {
  page.on("dialog", (dialog) => void dialog.accept());
  await begin(page, origin, given);
  await until(page, "preppalDemo.transcript.some((turn) => turn.complete)");
  return transcript(page);
}

/** The same interview goes on: its words are there, once, and an answer is replied to. */
async function goesOn(page, before) {
  await until(page, state("listening"));
  await page.evaluate("preppalDemo.client.sendText('I was a sailor, and came back.')");
  await until(page, "preppalDemo.transcript.some((turn) => turn.speaker === 'USER' && turn.text.includes('came back'))");
  await until(page, "preppalDemo.transcript.at(-1).speaker === 'AI' && preppalDemo.transcript.at(-1).complete");
  const after = await transcript(page);
  assert.equal(after[0].text, before[0].text);
  // The simulated interviewer, set up anew, begins its lines anew: only the candidate's own tell whether one came twice.
  const said = after.filter(({ speaker }) => speaker === "USER").map(({ text }) => text);
  assert.equal(new Set(said).size, said.length, `nothing twice: ${said}`);
  await page.evaluate("preppalDemo.client.end()");
  await until(page, "preppalDemo.results !== null");
  assert.equal(await page.evaluate("preppalDemo.results.turns.length"), after.length, "the page had what the server kept");
}

async function takesUp(page, before) {
  await page.locator("#live").waitFor();
  await page.click("#continue-silent");
  await goesOn(page, before);
}

const SCENES = {
  "the laptop sleeps for forty seconds": {
    async play(page, context) {
      const before = await greeted(page, roomy.origin);
      const cdp = await context.browser().newBrowserCDPSession();
      const { processInfo } = await cdp.send("SystemInfo.getProcessInfo");
      const all = processInfo.map(({ id }) => id);
      for (const pid of all) process.kill(pid, "SIGSTOP");
      await new Promise((resolve) => setTimeout(resolve, ASLEEP_MS));
      for (const pid of all.reverse()) process.kill(pid, "SIGCONT");
      await goesOn(page, before);
    },
  },
  "4400 the request is malformed": {
    async play(page) {
      await begin(page, roomy.origin, interview("iv-4400", "u", "/ws/iv-4400?block=0"));
      await ended(page);
      assert.match(await words(page), /did not understand this page's request/);
    },
  },
  "4401 the token is not good": {
    async play(page) {
      await begin(page, roomy.origin, { ...interview("iv-4401"), token: "a.b.c" });
      await ended(page);
      assert.match(await words(page), /link: it has expired or is incomplete/);
      assert.equal(await title(page), "The interview did not start");
    },
  },
  "4403 the token is another interview's": {
    async play(page) {
      await begin(page, roomy.origin, { ...interview("iv-4403"), token: token("another") });
      await ended(page);
      assert.match(await words(page), /belongs to another interview/);
    },
  },
  "4403 the page is not allowed to hold interviews here": {
    async play(page) {
      await begin(page, strict.origin, interview("iv-page"));
      await ended(page);
      assert.match(await words(page), /This page is not set up .* nothing you did is wrong/);
    },
  },
  "4410 the interview is over": {
    async play(page) {
      const given = interview("iv-4410");
      await greeted(page, roomy.origin, given);
      await page.evaluate("preppalDemo.client.end()");
      await ended(page);
      await begin(page, roomy.origin, given);
      await ended(page);
      assert.match(await words(page), /was over before the connection came back. What was said so far has been kept/);
      assert.doesNotMatch(await words(page), BLAME);
      await until(page, "preppalDemo.results !== null");
    },
  },
  "4429 the user has an interview already: waited for, then told": {
    async play(page, context) {
      await greeted(page, one.origin, interview("iv-first", "same"));
      await page.evaluate("preppalDemo.client.close()");
      const other = await elsewhere(context);
      await other.clock.install();
      await begin(other, one.origin, interview("iv-second", "same"));
      await other.locator("#troubles li[data-kind=waiting-for-server]").waitFor();
      assert.match(await other.locator("#troubles").textContent(), /tries again by itself/);
      await other.clock.fastForward(FIRST_BUDGET_MS);
      await ended(other);
      assert.match(await words(other), /Too many connections .* Please wait a minute and try again/);
      assert.equal(await title(other), "The interview did not start");
      // An interview that waits for its candidate is that candidate's own, and not one too many.
      const back = await elsewhere(context);
      await greeted(back, one.origin, interview("iv-first", "same"));
      assert.equal(await back.evaluate("preppalDemo.ending"), null);
    },
  },
  "4503 there is no room: waited for, then told; and room that comes is taken": {
    async play(page, context) {
      await greeted(page, small.origin, interview("iv-in"));
      const told = await elsewhere(context);
      await told.clock.install();
      await begin(told, small.origin, interview("iv-told"));
      await told.locator("#troubles li[data-kind=waiting-for-server]").waitFor();
      await told.clock.fastForward(FIRST_BUDGET_MS);
      await ended(told);
      assert.match(await words(told), /takes no new interviews at the moment/);
      assert.doesNotMatch(await words(told), BLAME);
      const waiting = await elsewhere(context);
      await begin(waiting, small.origin, interview("iv-waiting"));
      await waiting.locator("#troubles li[data-kind=waiting-for-server]").waitFor();
      await page.evaluate("preppalDemo.client.end()");
      await until(waiting, "preppalDemo.transcript.length > 0");
      assert.equal(await waiting.locator("#troubles li").count(), 0);
    },
  },
  "the back button": {
    async play(page) {
      const before = await greeted(page, roomy.origin);
      await page.goto(`${roomy.origin}/style.css`);
      await page.goBack();
      await takesUp(page, before);
    },
  },
  "the tab is closed, and opened again": {
    async play(page, context) {
      const before = await greeted(page, roomy.origin);
      await page.close({ runBeforeUnload: false });
      const again = await context.newPage();
      await again.goto(`${roomy.origin}/`);
      await takesUp(again, before);
    },
  },
  "the tab crashes, and is opened again": {
    async play(page, context) {
      const before = await greeted(page, roomy.origin);
      const crashed = page.waitForEvent("crash");
      const cdp = await context.newCDPSession(page);
      void cdp.send("Page.crash").catch(() => {});
      await crashed;
      const again = await context.newPage();
      await again.goto(`${roomy.origin}/`);
      await takesUp(again, before);
    },
  },
  "the server is gone before the start": {
    async play(page) {
      const network = await relay(roomy.origin);
      await page.goto(`${network.origin}/`);
      network.cut();
      await page.click("#start-silent");
      await until(page, "document.getElementById('banner').textContent !== ''");
      assert.match(await page.locator("#banner").textContent(), /did not load|cannot be reached/);
      network.restore();
      await page.click("#start-silent");
      await until(page, "preppalDemo.transcript.length > 0");
      network.close();
    },
  },
  "the network is gone for twenty seconds": {
    async play(page, context) {
      const network = await relay(roomy.origin);
      const before = await greeted(page, network.origin);
      network.freeze();
      await context.setOffline(true);
      await page.waitForTimeout(NETWORK_GONE_MS);
      assert.equal(await page.evaluate("preppalDemo.state"), "reconnecting");
      network.thaw();
      await context.setOffline(false);
      await goesOn(page, before);
      network.close();
    },
  },
  "the server is killed and comes back": {
    async play(page) {
      const server = await standing();
      try {
        const before = await greeted(page, server.origin);
        await server.kill();
        await until(page, state("reconnecting"));
        // Written meanwhile: it is sent when the server is there again.
        await page.evaluate("preppalDemo.client.sendText('Are you still there?')");
        await page.waitForTimeout(SERVER_GONE_MS);
        await server.start();
        await until(page, "preppalDemo.transcript.some((turn) => turn.text === 'Are you still there?')");
        await until(page, "preppalDemo.transcript.at(-1).speaker === 'AI' && preppalDemo.transcript.at(-1).complete");
        await goesOn(page, before);
      } finally {
        await server.close();
      }
    },
  },
};

try {
  // The sleep of one browser is the others' time.
  await playScenes(SCENES, { atOnce: 4, only });
} finally {
  await Promise.all([small, one, strict, roomy].map((server) => server.close()));
}
