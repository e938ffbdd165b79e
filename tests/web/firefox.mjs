/**
 * Debian's Firefox, over WebDriver BiDi: Playwright drives only one of its own build. FIREFOX names another than
 * /usr/bin/firefox-esr. The microphone is Firefox's fake one, a steady tone; permission dialogs and device changes cannot
 * be tried here.
 */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { OtherBrowser, START_TIMEOUT_MS } from "./other-browser.mjs";

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

export class Firefox extends OtherBrowser {
  #socket;
  #last = 0;
  #waiting = new Map();
  #tab = "";

  /** @returns {Promise<string>} its name and version */
  async start() {
    const lines = Object.entries(PREFERENCES).map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});`);
    writeFileSync(join(this.folder, "user.js"), lines.join("\n"));
    this.startLoudspeaker();
    const args = ["--headless", "--no-remote", "--profile", this.folder, "--remote-debugging-port=0"];
    const browser = this.spawn(process.env.FIREFOX ?? "/usr/bin/firefox-esr", args, ["ignore", "ignore", "pipe"]);
    const address = await new Promise((resolve, reject) => {
      setTimeout(() => reject(new Error("Firefox does not start")), START_TIMEOUT_MS).unref();
      createInterface(browser.stderr).on("line", (line) => {
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
    const { capabilities } = await this.#send("session.new", { capabilities: {} });
    this.#tab = (await this.#send("browsingContext.create", { type: "tab" })).context;
    return `Firefox ${capabilities.browserVersion}`;
  }

  #send(method, params) {
    this.#last += 1;
    const id = this.#last;
    this.#socket.send(JSON.stringify({ id, method, params }));
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ type, result, error, message }) => (type === "success" ? resolve(result) : reject(new Error(`${method}: ${error}: ${message}`))));
    });
  }

  goto(url) {
    return this.#send("browsingContext.navigate", { context: this.#tab, url, wait: "complete" });
  }

  /** The expression's value, by way of JSON; with a user's gesture. */
  async evaluate(expression) {
    const { type, result, exceptionDetails } = await this.#send("script.evaluate", {
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

  async close() {
    this.#socket?.close();
    await super.close();
  }
}
