/**
 * Debian's WebKitGTK, which is Safari's engine, in its own small browser over WebDriver. MINIBROWSER names another than
 * Debian's. The microphone is WebKit's mock one, which beeps; Safari itself, its permission dialogs, and what iOS does to
 * sound cannot be tried here.
 */

import { existsSync, readdirSync } from "node:fs";
import { createServer } from "node:net";
import { OtherBrowser, START_TIMEOUT_MS } from "./other-browser.mjs";

const ARGS = ["--automation", "--autoplay-policy=allow", "--enable-media-stream=TRUE", "--enable-mock-capture-devices=TRUE"];
const LOOK_EVERY_MS = 100;

/** Debian has it in a folder by architecture. */
function miniBrowser() {
  const found = readdirSync("/usr/lib").map((folder) => `/usr/lib/${folder}/webkit2gtk-4.1/MiniBrowser`).find(existsSync);
  if (found === undefined) throw new Error("there is no MiniBrowser in /usr/lib: install libwebkit2gtk-4.1-0, or name it in MINIBROWSER");
  return found;
}

export class WebKit extends OtherBrowser {
  #driver = "";
  #session = "";

  /** @returns {Promise<string>} its name and version */
  async start() {
    this.startLoudspeaker();
    await this.#startDisplay();
    const port = await freePort();
    this.#driver = `http://127.0.0.1:${port}`;
    this.spawn("WebKitWebDriver", ["--host=127.0.0.1", `--port=${port}`]);
    await this.#listening();
    const options = { binary: process.env.MINIBROWSER ?? miniBrowser(), args: ARGS };
    const { sessionId, capabilities } = await this.#ask("POST", "/session", { capabilities: { alwaysMatch: { browserName: "MiniBrowser", "webkitgtk:browserOptions": options } } });
    this.#session = `/session/${sessionId}`;
    return `WebKitGTK ${capabilities.browserVersion}`;
  }

  /** It draws on a display only: one that nobody sees. */
  async #startDisplay() {
    const display = this.spawn("Xvfb", ["-displayfd", "3", "-screen", "0", "1280x900x24", "-nolisten", "tcp"], ["ignore", "ignore", "ignore", "pipe"]);
    const number = await new Promise((resolve, reject) => {
      setTimeout(() => reject(new Error("Xvfb does not start")), START_TIMEOUT_MS).unref();
      display.stdio[3].once("data", (data) => resolve(String(data).trim()));
    });
    this.env.DISPLAY = `:${number}`;
  }

  async #listening() {
    for (const end = Date.now() + START_TIMEOUT_MS; ; await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))) {
      if (await this.#ask("GET", "/status").catch(() => null)) return;
      if (Date.now() > end) throw new Error("WebKitWebDriver does not start");
    }
  }

  async #ask(method, path, body) {
    const answer = await fetch(`${this.#driver}${path}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    const { value } = await answer.json();
    if (!answer.ok) throw new Error(`${method} ${path}: ${value.error}: ${value.message}`);
    return value;
  }

  async goto(url) {
    await this.#ask("POST", `${this.#session}/url`, { url });
    // Its answer does not wait for the page's modules.
    await this.until("'preppalDemo' in globalThis");
  }

  /** The expression's value, by way of JSON. */
  async evaluate(expression) {
    const script = `const done = arguments[0]; Promise.resolve(${expression}).then((value) => done(JSON.stringify(value ?? null)), (problem) => done(problem))`;
    const value = await this.#ask("POST", `${this.#session}/execute/async`, { script, args: [] });
    if (typeof value !== "string") throw new Error(`${expression}: ${JSON.stringify(value)}`);
    return JSON.parse(value);
  }

  async click(id) {
    const found = await this.#ask("POST", `${this.#session}/element`, { using: "css selector", value: `#${id}` });
    await this.#ask("POST", `${this.#session}/element/${Object.values(found)[0]}/click`, {});
  }

  async close() {
    if (this.#session !== "") await this.#ask("DELETE", this.#session).catch(() => {});
    await super.close();
  }
}

/** @returns {Promise<number>} */
function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
