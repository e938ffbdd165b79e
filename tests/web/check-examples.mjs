/**
 * The folder examples/ as its reader uses it, against a running `preppald demo`:
 *
 *     node tests/web/check-examples.mjs http://127.0.0.1:8787 FOLDER
 *
 * The React example is type-checked and built against the package that npm makes, and holds interviews in a headless
 * Chromium under StrictMode; so does the plain page. Both token endpoints sign what the other one signs.
 */

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { cpSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import * as vite from "vite";

const [origin, given] = process.argv.slice(2);
assert.ok(origin && given, "usage: check-examples.mjs ORIGIN FOLDER");
const folder = resolve(given);
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const EXAMPLES = here("../../examples/");
const CLIENT = here("../../preppald/web/client/");

const CHROMIUM_ARGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
  "--autoplay-policy=no-user-gesture-required", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
];

/** A greeting begins within a second or two; a loaded machine takes ten times as long. */
const STEP_TIMEOUT_MS = 30 * 1000;

const run = (command, args, cwd = folder) => execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });

/** The example, beside the packed client and the React of these tests: nothing is asked of a registry. */
function install() {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, "node_modules/preppal-client"), { recursive: true });
  cpSync(join(EXAMPLES, "react"), folder, { recursive: true });
  const [packed] = JSON.parse(run("npm", ["pack", "--silent", "--json", "--pack-destination", folder], CLIENT));
  run("tar", ["-xzf", packed.filename, "--strip-components=1", "-C", "node_modules/preppal-client"]);
  mkdirSync(join(folder, "node_modules/@types"));
  for (const name of ["react", "react-dom", "scheduler", "csstype", "@types/react", "@types/react-dom"]) {
    symlinkSync(here(`node_modules/${name}`), join(folder, "node_modules", name));
  }
}

async function withPage(url, play) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: CHROMIUM_ARGS });
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(STEP_TIMEOUT_MS);
    const seen = { faults: [], sockets: [], microphones: 0 };
    page.on("pageerror", (problem) => seen.faults.push(problem.stack));
    page.on("console", (line) => line.type() === "error" && !line.location().url.endsWith("favicon.ico") && seen.faults.push(line.text()));
    page.on("websocket", (socket) => socket.url().includes("/ws/") && seen.sockets.push(socket));
    await page.goto(url);
    await play(page, seen);
    assert.deepEqual(seen.faults, []);
  } finally {
    await browser.close();
  }
}

const heard = (page) => page.locator("ol li", { hasText: /^Interviewer: \w+/ }).first().waitFor();
const status = (page, words) => page.locator("[role=status]", { hasText: words }).waitFor();

async function write(page) {
  await page.locator("form input").fill("I was a sailor.");
  await page.locator("form button").click();
  await page.locator("ol li", { hasText: "You: I was a sailor." }).waitFor();
  await page.locator("ol li").nth(2).waitFor();
}

/** A whole interview under StrictMode, in development, where React mounts everything twice. */
async function react(url) {
  await withPage(`${url}?now`, async (page, { sockets }) => {
    await heard(page);
    assert.equal(sockets.length, 1, "the second mount opens no second connection");
    await write(page);
    await page.reload();
    await page.locator("ol li", { hasText: "You: I was a sailor." }).waitFor();
    assert.equal(sockets.length, 2, "a reload takes the interview up again");
    await page.getByRole("button", { name: "End", exact: true }).click();
    await status(page, "You ended the interview.");
    await page.getByRole("button", { name: "Another interview" }).click();
    await page.getByRole("button", { name: "Start the interview" }).click();
    await heard(page);
    assert.equal(await page.locator("ol li", { hasText: "sailor" }).count(), 0);
    assert.equal(sockets.length, 3);
    await page.getByRole("button", { name: "End", exact: true }).click();
    await status(page, "You ended the interview.");
  });
}

async function plain() {
  const server = spawn(process.execPath, [join(EXAMPLES, "plain/serve.mjs"), "0", origin], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    const [url] = await once(createInterface(server.stdout), "line");
    await withPage(url, async (page, { sockets }) => {
      await page.click("#start");
      await heard(page);
      await write(page);
      await page.click("#end");
      await status(page, "You ended the interview.");
      assert.equal(sockets.length, 1);
    });
  } finally {
    server.kill();
  }
}

const proxy = { "/demo": origin, "/ready": origin, "/ws": { target: origin.replace("http", "ws"), ws: true } };
const listen = { host: "127.0.0.1", port: 0, proxy, hmr: false };
const address = (server) => `http://127.0.0.1:${server.httpServer.address().port}/`;

async function served(server) {
  try {
    await react(address(server));
  } finally {
    await server.close();
  }
}

const CHECKS = {
  "the React example beside the packed client": install,
  "its types, with exactOptionalPropertyTypes": () => void run(here("node_modules/.bin/tsc"), []),
  "interviews in React by way of Vite's dev server, under StrictMode": async () => {
    const server = await vite.createServer({ configFile: false, root: folder, logLevel: "silent", server: listen });
    await served(await server.listen());
  },
  "interviews in React as it is built": async () => {
    await vite.build({ configFile: false, root: folder, logLevel: "silent" });
    await served(await vite.preview({ configFile: false, root: folder, logLevel: "silent", preview: listen }));
  },
  "an interview on the plain page": plain,
  "tokens of Node and of Python are the same": () => {
    const node = run(process.execPath, ["--input-type=module", "-e", `import { interviewToken } from ${JSON.stringify(join(EXAMPLES, "token/token.mjs"))}; Date.now = () => 1_800_000_000_000; console.log(interviewToken("s".repeat(32), "user", "iv-1"))`]);
    const python = run("python3", ["-c", `import sys, time, json; sys.path.insert(0, ${JSON.stringify(join(EXAMPLES, "token"))}); sys.dont_write_bytecode = True; time.time = lambda: 1_800_000_000; from interview_token import interview_token; print(interview_token("s" * 32, "user", "iv-1"))`]);
    const claims = (token) => token.trim().split(".").slice(0, 2).map((part) => JSON.parse(Buffer.from(part, "base64url")));
    assert.deepEqual(claims(node), claims(python));
    for (const signed of [node, python]) {
      const [, body, signature] = signed.trim().match(/^(.*)\.(.*)$/);
      assert.equal(signature, createHmac("sha256", "s".repeat(32)).update(body).digest("base64url"));
    }
  },
};

for (const [name, check] of Object.entries(CHECKS)) {
  try {
    await check();
    console.log(`ok   ${name}`);
  } catch (problem) {
    process.exitCode = 1;
    console.log(`FAIL ${name}\n     ${problem.stdout || problem.stack}`);
  }
}
