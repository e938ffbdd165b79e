/**
 * The main scenes in Firefox, Debian's own, over WebDriver BiDi:
 *
 *     node --experimental-websocket tests/web/check-firefox.mjs http://127.0.0.1:8787 [part of a scene's name]
 *
 * A server has no loudspeaker, and without one Firefox runs no sound: PulseAudio plays one that nobody hears.
 * Playwright drives only a Firefox of its own build. FIREFOX names another than /usr/bin/firefox-esr. The microphone is
 * Firefox's fake one, a steady tone; permission dialogs and device changes cannot be tried here.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const [origin, only = ""] = process.argv.slice(2);
assert.ok(origin, "usage: check-firefox.mjs ORIGIN");

const PREFERENCES = {
  "media.navigator.streams.fake": true,
  "media.navigator.permission.disabled": true,
  "media.autoplay.default": 0,
  "media.autoplay.blocking_policy": 0,
  "dom.disable_beforeunload": true,
  "browser.shell.checkDefaultBrowser": false,
  "datareporting.policy.dataSubmissionEnabled": false,
  "app.update.enabled": false,
};

/** The longest scene waits for a greeting, an answer and a reply. */
const SCENE_TIMEOUT_MS = 40 * 1000;
const START_TIMEOUT_MS = 20 * 1000;
const LOOK_EVERY_MS = 100;

class Firefox {
  #process;
  #loudspeaker;
  #folder = mkdtempSync(join(tmpdir(), "preppald-firefox-"));
  #socket;
  #last = 0;
  #waiting = new Map();
  #tab = "";

  async start() {
    const lines = Object.entries(PREFERENCES).map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});`);
    writeFileSync(join(this.#folder, "user.js"), lines.join("\n"));
    const env = { ...process.env, HOME: this.#folder, XDG_RUNTIME_DIR: this.#folder };
    this.#loudspeaker = spawn("pulseaudio", ["-n", "--daemonize=no", "--exit-idle-time=-1", "--load=module-native-protocol-unix", "--load=module-null-sink"], { stdio: "ignore", env });
    this.#process = spawn(process.env.FIREFOX ?? "/usr/bin/firefox-esr", ["--headless", "--no-remote", "--profile", this.#folder, "--remote-debugging-port=0"], {
      stdio: ["ignore", "ignore", "pipe"],
      env,
    });
    const address = await new Promise((resolve, reject) => {
      setTimeout(() => reject(new Error("Firefox does not start")), START_TIMEOUT_MS).unref();
      createInterface(this.#process.stderr).on("line", (line) => {
        const found = line.match(/WebDriver BiDi listening on (ws:\S+)/);
        if (found) resolve(found[1]);
      });
    });
    this.#socket = new WebSocket(`${address}/session`);
    this.#socket.onmessage = ({ data }) => {
      const answer = JSON.parse(data);
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    };
    await new Promise((resolve, reject) => Object.assign(this.#socket, { onopen: resolve, onerror: reject }));
    const { capabilities } = await this.send("session.new", { capabilities: {} });
    this.#tab = (await this.send("browsingContext.create", { type: "tab" })).context;
    return capabilities.browserVersion;
  }

  send(method, params) {
    this.#last += 1;
    const id = this.#last;
    this.#socket.send(JSON.stringify({ id, method, params }));
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ type, result, error, message }) => (type === "success" ? resolve(result) : reject(new Error(`${method}: ${error}: ${message}`))));
    });
  }

  goto(url) {
    return this.send("browsingContext.navigate", { context: this.#tab, url, wait: "complete" });
  }

  /** The expression's value, by way of JSON; with a user's gesture. */
  async evaluate(expression) {
    const { type, result, exceptionDetails } = await this.send("script.evaluate", {
      expression: `Promise.resolve(${expression}).then((value) => JSON.stringify(value ?? null))`,
      target: { context: this.#tab },
      awaitPromise: true,
      userActivation: true,
    });
    if (type === "exception") throw new Error(`${expression}: ${exceptionDetails.text}`);
    return JSON.parse(result.value);
  }

  click(id) {
    return this.evaluate(`document.getElementById(${JSON.stringify(id)}).click()`);
  }

  async until(expression, timeoutMs = SCENE_TIMEOUT_MS) {
    const end = Date.now() + timeoutMs;
    while (!(await this.evaluate(expression))) {
      if (Date.now() > end) {
        const seen = await this.evaluate("[preppalDemo.state, preppalDemo.ending, preppalDemo.client?.troubles, preppalDemo.transcript]");
        throw new Error(`never came: ${expression}; ${JSON.stringify(seen)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }

  async close() {
    this.#socket?.close();
    const gone = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill();
    await gone;
    this.#loudspeaker.kill();
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

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
    await page.until("document.getElementById('choose-microphone').options.length >= 1");
    await page.click("try-out");
    await page.until("document.getElementById('check-status').textContent.includes('interviewer will hear')");
  },
};

const firefox = new Firefox();
try {
  console.log(`Firefox ${await firefox.start()}`);
  for (const [name, play] of Object.entries(SCENES).filter(([it]) => it.includes(only))) {
    try {
      await play(firefox);
      console.log(`ok   ${name}`);
    } catch (problem) {
      process.exitCode = 1;
      console.log(`FAIL ${name}\n     ${problem.message}`);
    }
  }
} finally {
  await firefox.close();
}
