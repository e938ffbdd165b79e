/** A browser that Playwright does not drive as the distribution ships it: its folder, its loudspeaker, and how a scene looks at its page. */

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The longest scene waits for a greeting, an answer and a reply. */
const SCENE_TIMEOUT_MS = 40 * 1000;
const LOOK_EVERY_MS = 100;

export const START_TIMEOUT_MS = 20 * 1000;

export class OtherBrowser {
  folder = mkdtempSync(join(tmpdir(), "preppald-browser-"));
  /** Everything that the browser writes stays in its folder. */
  env = { ...process.env, HOME: this.folder, XDG_RUNTIME_DIR: this.folder };
  /** @type {import("node:child_process").ChildProcess[]} the newest first */
  #started = [];

  /**
   * A server has no loudspeaker, and without one a browser runs no sound: PulseAudio plays one that nobody hears.
   */
  startLoudspeaker() {
    this.spawn("pulseaudio", ["-n", "--daemonize=no", "--exit-idle-time=-1", "--load=module-native-protocol-unix", "--load=module-null-sink"]);
  }

  /**
   * Start a program that ends with the browser.
   * @param {string} program
   * @param {string[]} args
   * @param {import("node:child_process").StdioOptions} [stdio]
   */
  spawn(program, args, stdio = "ignore") {
    const child = spawn(program, args, { stdio, env: this.env });
    this.#started.unshift(child);
    return child;
  }

  async until(expression, timeoutMs = SCENE_TIMEOUT_MS) {
    const end = Date.now() + timeoutMs;
    while (!(await this.evaluate(expression))) {
      if (Date.now() > end) {
        const seen = await this.evaluate("[preppalDemo.state, preppalDemo.ending, preppalDemo.client?.troubles, preppalDemo.transcript, document.getElementById('banner').textContent]");
        throw new Error(`never came: ${expression}; ${JSON.stringify(seen)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }

  async close() {
    for (const child of this.#started) {
      const gone = new Promise((resolve) => child.once("exit", resolve));
      if (child.exitCode === null && child.signalCode === null && child.kill()) await gone;
    }
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
