/**
 * Every state of the demo page in a headless Chromium: axe finds nothing in light, dark and forced colours; at 375, 640
 * and 1280 pixels, and on a telephone that lies on its side or shows its keyboard, nothing is clipped, lies over another thing or makes the page wider than its window:
 *
 *     node tests/web/check-states.mjs [folder for screenshots] [part of a scene's name]
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { playScenes, state, until } from "./scenes.mjs";
import { standing } from "./standing.mjs";

const [folder, only] = process.argv.slice(2);

const AXE = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const HEIGHT = 740;
const SIZES = [[375, HEIGHT], [640, HEIGHT], [1280, HEIGHT]];
const SHORT_SIZES = [[375, 380], [740, 375]];
const LOOKS = { light: { colorScheme: "light", forcedColors: "none" }, dark: { colorScheme: "dark", forcedColors: "none" }, forced: { colorScheme: "light", forcedColors: "active" } };

/** Replies that last while they are looked at, in scripts that a page may get wrong. */
const SCENARIO = `
[timing]
reply_delay = 6
[[reply]]
text = "Hello and welcome. I am glad that you could come. Please tell me a little about yourself, and about Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichenverwaltungen."
seconds = 60
[[reply]]
text = "حدثني عن أصعب مشكلة قمت بحلها في عملك الأخير، وماذا تعلمت منها."
seconds = 60
[[reply]]
text = "Thank you."
seconds = 1
`;

/** In the page: what is wrong with its layout. */
function faultsOfLayout() {
  const faults = [];
  const name = (node) => `${node.tagName.toLowerCase()}${node.id ? `#${node.id}` : ""} "${node.textContent.trim().slice(0, 30)}"`;
  if (document.documentElement.scrollWidth > innerWidth) faults.push(`the page is ${document.documentElement.scrollWidth} wide`);
  const dialog = document.querySelector("dialog[open]");
  const seen = [...(dialog ?? document).querySelectorAll("button, select, textarea, h1, h2, p, li, dt, dd, span")].filter((node) => {
    const { width, height } = node.getBoundingClientRect();
    return node.checkVisibility({ visibilityProperty: true }) && width > 1 && height > 1 && !node.closest(".unseen");
  });
  for (const node of seen) {
    const { left, right } = node.getBoundingClientRect();
    if (left < -0.5 || right > innerWidth + 0.5) faults.push(`${name(node)} leaves the window: ${left} … ${right}`);
    if (node.scrollWidth > node.clientWidth + 1 && getComputedStyle(node).display !== "inline" && node.clientWidth > 0) faults.push(`${name(node)} is clipped: ${node.scrollWidth} in ${node.clientWidth}`);
  }
  const controls = seen.filter((node) => node.matches("button, select, textarea"));
  controls.forEach((one, i) => {
    for (const other of controls.slice(i + 1)) {
      const [a, b] = [one.getBoundingClientRect(), other.getBoundingClientRect()];
      const apart = a.right <= b.left + 0.5 || b.right <= a.left + 0.5 || a.bottom <= b.top + 0.5 || b.bottom <= a.top + 0.5;
      if (!apart) faults.push(`${name(one)} lies over ${name(other)}`);
    }
  });
  for (const node of controls.filter((it) => it.closest("footer, #write, dialog"))) {
    const { top, bottom } = node.getBoundingClientRect();
    if (top < 0 || bottom > innerHeight + 0.5) faults.push(`${name(node)} is out of sight`);
  }
  return faults;
}

/** Look at a state in each look and each width. @param {(page, name: string) => unknown} shot */
async function look(page, shot, name) {
  const found = [];
  // Words have no colours: the other languages are only measured.
  for (const [kind, media] of Object.entries(page.language === "en" ? LOOKS : {})) {
    await page.emulateMedia(media);
    await page.evaluate(AXE);
    const violations = await page.evaluate("axe.run().then(({ violations }) => violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target, any }) => `${target} ${any.map(({ message }) => message)}`).join(', ')}`))");
    found.push(...violations.map((it) => `${name}, ${kind}: ${it}`));
    const ground = await page.evaluate("getComputedStyle(document.getElementById('stage')).background");
    if (!/gradient|rgb\(/.test(ground)) found.push(`${name}, ${kind}: the transcript is read through the status: ${ground}`);
    await shot(page, `${name}-${kind}`);
  }
  await page.emulateMedia(LOOKS.light);
  for (const [width, height] of name === "writing" || name === "cut" ? [...SHORT_SIZES, ...SIZES] : SIZES) {
    await page.setViewportSize({ width, height });
    found.push(...(await page.evaluate(faultsOfLayout)).map((it) => `${name}, ${width} × ${height}: ${it}`));
    await shot(page, height === HEIGHT ? `${name}-${width}` : `${name}-${width}x${height}`);
  }
  assert.deepEqual(await page.evaluate("[...document.querySelectorAll('h1')].filter((node) => node.checkVisibility()).length"), 1, `${name}: one h1`);
  if (found.length > 0) page.found.push(...found);
}

/** Let the page hear of something that no machine here can do. */
const tell = (page, name, detail) => page.evaluate(`preppalDemo.client.dispatchEvent(new CustomEvent(${JSON.stringify(name)}, { detail: ${JSON.stringify(detail)} }))`);

const server = await standing({}, SCENARIO);
const { origin } = server;

/** A scene in each language; its faults are told together, at its end. */
function inBoth(scenes) {
  return Object.fromEntries(
    Object.entries(scenes).flatMap(([name, scene]) =>
      ["en", "de"].map((lang) => [
        `${lang}: ${name}`,
        {
          ...scene,
          look: { viewport: { width: 375, height: HEIGHT }, locale: lang, reducedMotion: "reduce" },
          async play(page, context, shot) {
            Object.assign(page, { language: lang, found: [] });
            await scene.play(page, (of, what) => shot(of, `${lang}-${what}`), context);
            assert.equal(page.found.join("\n     "), "");
          },
        },
      ]),
    ),
  );
}

const SCENES = inBoth({
  "before the interview": {
    async play(page, shot) {
      await page.goto(`${origin}/`);
      assert.equal(await page.evaluate("document.documentElement.lang"), page.language);
      await look(page, shot, "welcome");
      await page.click("#check-sound");
      await page.locator("#check").waitFor();
      await until(page, "document.getElementById('choose-microphone-before').options.length >= 2");
      await look(page, shot, "check");
      await page.click("#try-out");
      await look(page, shot, "check-recording");
      await page.goto(`${origin}/`);
      await page.evaluate("navigator.mediaDevices.getUserMedia = () => new Promise((resolve, reject) => (globalThis.deny = () => reject(new DOMException('no', 'NotAllowedError'))))");
      await page.click("#start");
      await page.locator("#asking").waitFor();
      await look(page, shot, "asking");
      await page.evaluate("deny()");
      await page.locator("#welcome").waitFor();
      await look(page, shot, "denied");
    },
  },
  "from the call to the results": {
    async play(page, shot) {
      page.on("dialog", (dialog) => void dialog.accept());
      await page.goto(`${origin}/`);
      await page.evaluate("(() => { const real = WebSocket; globalThis.WebSocket = function () { return Object.assign(new EventTarget(), { readyState: 0, close() {}, send() {}, bufferedAmount: 0 }); }; Object.assign(globalThis.WebSocket, { OPEN: 1, CONNECTING: 0 }); globalThis.real = real; })()");
      await page.click("#start-silent");
      await until(page, state("connecting"));
      await look(page, shot, "connecting");
      await page.goto(`${origin}/`);
      await page.click("#start");
      await until(page, state("ready"));
      await look(page, shot, "ready");
      await until(page, state("speaking"), 15000);
      await until(page, "preppalDemo.transcript.length > 0");
      await look(page, shot, "speaking");
      await page.click("#type");
      await look(page, shot, "writing");
      await page.fill("#written", "x".repeat(2001));
      await page.click("#send");
      await look(page, shot, "too-long");
      await page.fill("#written", "I was a sailor. And a cook, on a ship of the line, for six years and a half.");
      await page.keyboard.press("Enter");
      await until(page, "preppalDemo.transcript.at(-1).speaker === 'USER'");
      await until(page, state("speaking"), 15000);
      await until(page, "preppalDemo.transcript.at(-1).speaker === 'AI'");
      await page.evaluate("preppalDemo.client.sendText('Moment!')");
      await until(page, "preppalDemo.transcript.at(-1).cut || preppalDemo.transcript.at(-2).cut");
      await page.click("#type");
      await look(page, shot, "cut");
      await until(page, state("listening"));
      await page.click("#hold");
      await until(page, "preppalDemo.client.holding");
      await look(page, shot, "paused");
      await page.click("#hold");
      await until(page, "!preppalDemo.client.holding");
      await page.click("#mute");
      await look(page, shot, "muted");
      await page.click("#mute");
      await tell(page, "notice", { kind: 3, message: "One minute is left.", remainingMs: 59000 });
      await tell(page, "trouble", { kind: "echo", active: true, words: "", troubles: ["microphone-muted", "slow-connection", "echo"] });
      await look(page, shot, "troubles");
      await tell(page, "trouble", { kind: "echo", active: false, words: "", troubles: [] });
      await page.click("#sample");
      await until(page, "preppalDemo.client.answering");
      await look(page, shot, "answering");
      await page.click("#sound");
      await until(page, "document.getElementById('choose-microphone-now').options.length >= 2");
      await look(page, shot, "devices");
      await page.keyboard.press("Escape");
      await page.click("#end");
      await look(page, shot, "confirm");
      await page.keyboard.press("Escape");
      await page.reload();
      await page.locator("#live").waitFor();
      await look(page, shot, "taken-up");
      await page.click("#continue-silent");
      await until(page, "preppalDemo.transcript.length > 2");
      await tell(page, "state", { state: "reconnecting" });
      await page.evaluate("document.body.dataset.state = 'reconnecting'");
      await look(page, shot, "reconnecting");
      await tell(page, "state", { state: "listening" });
      await look(page, shot, "back-again");
      await page.evaluate("preppalDemo.client.end()");
      await until(page, "preppalDemo.results !== null");
      await page.locator("#download").waitFor();
      await look(page, shot, "results");
    },
  },
  "endings": {
    async play(page, shot, context) {
      await page.goto(`${origin}/`);
      const { interviewId, wsUrl, token } = await page.evaluate("fetch('/demo/interview', { method: 'POST' }).then((answer) => answer.json())");
      await page.route("**/demo/interview", (route) => route.fulfill({ json: { interviewId, wsUrl, token: "a.b.c" } }));
      await page.click("#start-silent");
      await until(page, state("ended"));
      await look(page, shot, "not-started");
      await page.goto(`${origin}/`);
      await page.unroute("**/demo/interview");
      await page.route("**/demo/interview", (route) => route.fulfill({ json: { interviewId, wsUrl, token } }));
      await page.click("#start-silent");
      await until(page, state("speaking"), 15000);
      const other = await context.newPage();
      await other.goto(`${origin}/`);
      await other.locator("#live").waitFor();
      await other.click("#continue-silent");
      await until(page, state("ended"));
      await look(page, shot, "moved");
      await page.route("**/demo/results/**", (route) =>
        route.fulfill({ json: { interviewId, startedMs: 1000, endedMs: 754000, feedback: "You took your time.\n\nSay more about your own part: \"we\" hides what you did.", turns: [{ speaker: "AI", text: "Hello and welcome.", timestampMs: 2000, cut: false }, { speaker: "USER", text: "I was a sailor.", timestampMs: 65000, cut: false }] } }),
      );
      await page.unroute("**/demo/interview");
      await page.goto(`${origin}/`);
      if (await page.locator("#live").isVisible()) await page.click("#leave");
      await page.click("#start-silent");
      await until(page, state("ready"));
      await page.evaluate("preppalDemo.client.end()");
      await page.locator("#feedback").waitFor();
      await look(page, shot, "feedback");
    },
  },
});

try {
  await playScenes(SCENES, { folder, only, atOnce: 2 });
} finally {
  await server.close();
}
