/** Runs standing.py: a demo whose daemon can be killed and started again. */

import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** tests/world.py's. */
const SECRET = "a-secret-for-tests-of-32-bytes-or-more";

/**
 * @param {Record<string, string>} [settings] of preppald
 * @param {string} [scenario] of the simulated Gemini, in TOML
 * @returns {Promise<{origin: string, kill: () => Promise<void>, start: () => Promise<void>, close: () => Promise<object[]>}>}
 *   close: returns the frames that Gemini was sent, in order: `t` in seconds, `frame`
 */
export async function standing(settings = {}, scenario) {
  const folder = mkdtempSync(join(tmpdir(), "preppald-standing-"));
  if (scenario !== undefined) writeFileSync(join(folder, "scenario.toml"), scenario);
  const given = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  const process = spawn(join(ROOT, ".venv/bin/python"), ["-m", "tests.web.standing", folder, ...given], {
    cwd: ROOT,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface(process.stdout)[Symbol.asyncIterator]();
  const order = async (word) => {
    process.stdin.write(`${word}\n`);
    const { value } = await lines.next();
    if (value === undefined) throw new Error(`the daemon did not ${word}`);
    return value;
  };
  const origin = await order("start");
  return {
    origin,
    kill: () => order("kill"),
    start: () => order("start"),
    async close() {
      process.stdin.end();
      await once(process, "exit");
      const frames = readFileSync(join(folder, "gemini.jsonl"), "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line));
      rmSync(folder, { recursive: true, force: true });
      return frames.filter(({ direction }) => direction === "in");
    },
  };
}

/** A token as the application's backend signs it. */
export function token(interviewId, userId = interviewId) {
  const part = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
  const iat = Math.floor(Date.now() / 1000);
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ userId, interviewId, iat, exp: iat + 300 })}`;
  return `${signed}.${createHmac("sha256", SECRET).update(signed).digest("base64url")}`;
}
