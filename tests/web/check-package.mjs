/**
 * The client as a front-end developer gets it: packed by npm, installed from the tarball into an empty folder, and
 * used as its README says, against a running `preppald demo`:
 *
 *     node tests/web/check-package.mjs http://127.0.0.1:8787 FOLDER
 *
 * The README's complete page is type-checked, built by each bundler, and holds an interview in a headless Chromium.
 * Exits 1 where anything of it fails. CHROMIUM names another browser than /usr/bin/chromium.
 */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join, resolve } from "node:path";
import * as esbuild from "esbuild";
import { chromium } from "playwright-core";
import * as vite from "vite";

const [origin, given] = process.argv.slice(2);
assert.ok(origin && given, "usage: check-package.mjs ORIGIN FOLDER");
const folder = resolve(given);
const CLIENT = fileURLToPath(new URL("../../preppald/web/client/", import.meta.url));
const BIN = (name) => fileURLToPath(new URL(`node_modules/.bin/${name}`, import.meta.url));
const TSC = fileURLToPath(new URL("node_modules/.bin/tsc", import.meta.url));

const CHROMIUM_ARGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
  "--autoplay-policy=no-user-gesture-required", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
];

/** A greeting begins within a second or two of the click; a loaded machine takes ten times as long. */
const STEP_TIMEOUT_MS = 30 * 1000;

const run = (command, args, cwd = folder) => execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });

/** The README's code block of a file. */
function fromReadme(name) {
  const readme = readFileSync(join(CLIENT, "README.md"), "utf8");
  const block = readme.match(new RegExp(`^\`${name}\`\n\n\`\`\`\\w+\n(.*?)^\`\`\`$`, "ms"));
  assert.ok(block, `README.md has no ${name}`);
  return block[1];
}

/** npm's tarball, installed where nothing else is. */
function install() {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const [packed] = JSON.parse(run("npm", ["pack", "--silent", "--json", "--pack-destination", folder], CLIENT));
  const files = packed.files.map(({ path }) => path);
  for (const needed of ["LICENSE", "README.md", "preppal-client.js", "sound-worklet.js", "opus-worker.js", "types/preppal-client.d.ts"]) {
    assert.ok(files.includes(needed), `${needed} is not in the package`);
  }
  assert.ok(!files.some((path) => path.startsWith("worklet/")), "the worklet's sources are not for users");
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "page", private: true, type: "module" }));
  run("npm", ["install", "--silent", "--offline", "--no-fund", "--no-audit", `./${packed.filename}`]);
  for (const name of ["index.html", "interview.ts"]) writeFileSync(join(folder, name), fromReadme(name));
  return `${packed.filename}: ${files.length} files, ${packed.size} bytes`;
}

/** The tarball's name. */
const packedAs = () => readdirSync(folder).find((name) => name.endsWith(".tgz"));

/** As strict as TypeScript is, and the package's own declarations with it. */
function checkTypes(moduleResolution) {
  run(TSC, [
    "--noEmit", "--strict", "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes", "--skipLibCheck", "false",
    "--target", "es2022", "--lib", "es2022,dom,dom.iterable", "--types", "",
    "--module", moduleResolution === "bundler" ? "esnext" : "nodenext", "--moduleResolution", moduleResolution,
    "interview.ts",
  ]);
}

/** The page's own server passes these on, as an application's proxy would. */
const proxy = { "/demo": origin, "/ready": origin, "/ws": { target: origin.replace("http", "ws"), ws: true } };
const quiet = { configFile: false, root: folder, logLevel: "warn" };
const listen = { host: "127.0.0.1", port: 0, proxy, hmr: false };

const address = (server) => `http://127.0.0.1:${server.httpServer.address().port}/`;

/** @returns {Promise<{url: string, close: () => Promise<void>}>} */
async function served(outDir) {
  const server = await vite.preview({ ...quiet, build: { outDir }, preview: listen });
  return { url: address(server), close: () => server.close() };
}

const BUNDLERS = {
  async "vite's dev server"() {
    const server = await vite.createServer({ ...quiet, server: listen });
    await server.listen();
    return { url: address(server), close: () => server.close() };
  },
  async "vite's build"() {
    await vite.build({ ...quiet, build: { outDir: "by-vite" } });
    return served("by-vite");
  },
  async esbuild() {
    const outDir = join(folder, "by-esbuild");
    await esbuild.build({ absWorkingDir: folder, entryPoints: ["interview.ts"], bundle: true, minify: true, format: "esm", outdir: outDir, logLevel: "warning" });
    for (const name of ["sound-worklet.js", "opus-worker.js"]) {
      copyFileSync(join(folder, "node_modules/preppal-client", name), join(outDir, name));
    }
    writeFileSync(join(outDir, "index.html"), fromReadme("index.html").replace("interview.ts", "interview.js"));
    return served("by-esbuild");
  },
};

/** A short interview on the README's page: a greeting is heard, and the end is told. */
async function holdInterview(url) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: CHROMIUM_ARGS });
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(STEP_TIMEOUT_MS);
    const faults = [];
    page.on("pageerror", (problem) => faults.push(problem.message));
    page.on("response", (answer) => answer.status() >= 400 && !answer.url().endsWith("/favicon.ico") && faults.push(`${answer.status()} ${answer.url()}`));
    await page.goto(url);
    await page.click("#start");
    await page.locator("#status", { hasText: "The interviewer is speaking." }).waitFor();
    await page.locator("#transcript li", { hasText: /^Interviewer: \w+/ }).waitFor();
    await page.click("#end");
    await page.locator("#trouble", { hasText: "You ended the interview." }).waitFor();
    assert.deepEqual(faults, []);
  } finally {
    await browser.close();
  }
}

const CHECKS = {
  "packed and installed": install,
  "publint": () => void run(BIN("publint"), [CLIENT, "--strict"]),
  // Modules only: a CommonJS program imports it dynamically. The worklet and the worker are files for threads of their own, without types.
  "are the types wrong": () => void run(BIN("attw"), [join(folder, packedAs()), "--profile", "esm-only", "--exclude-entrypoints", "./sound-worklet.js", "./opus-worker.js", "--quiet"]),
  "types, for a bundler": () => checkTypes("bundler"),
  "types, for Node's own resolution": () => checkTypes("nodenext"),
  "imported where there is no browser": () => run("node", ["--input-type=module", "-e", 'import { InterviewClient } from "preppal-client"; new InterviewClient()']),
};
for (const [name, serve] of Object.entries(BUNDLERS)) {
  CHECKS[`an interview by way of ${name}`] = async () => {
    const { url, close } = await serve();
    try {
      await holdInterview(url);
    } finally {
      await close();
    }
  };
}

for (const [name, check] of Object.entries(CHECKS)) {
  try {
    const note = await check();
    console.log(`ok   ${name}${name === "packed and installed" ? ` (${note})` : ""}`);
  } catch (problem) {
    process.exitCode = 1;
    console.log(`FAIL ${name}\n     ${problem.stdout || problem.stack}`);
  }
}
