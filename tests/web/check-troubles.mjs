/**
 * Troubles with devices, lines and sound, on the demo page in a headless Chromium whose browser API is stubbed where
 * no machine can be made to fail: each has a beginning and an end, and none hides another.
 *
 *     node tests/web/check-troubles.mjs http://127.0.0.1:8787 [part of a scene's name]
 */

import assert from "node:assert/strict";
import { relay } from "./relay.mjs";
import { playScenes, state, until } from "./scenes.mjs";

const [origin, only] = process.argv.slice(2);
assert.ok(origin, "usage: check-troubles.mjs ORIGIN [PART OF A NAME]");

/** Runs in the page before anything of it: keeps what the page opens, so that a scene can do things to it. */
function watchDevices() {
  const opened = { tracks: [], contexts: [], sockets: 0 };
  globalThis.opened = opened;
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (constraints) => {
    const stream = await (globalThis.microphoneStub ?? real)(constraints);
    opened.tracks.push(...stream.getTracks());
    return stream;
  };
  const RealContext = AudioContext;
  globalThis.AudioContext = class extends RealContext {
    constructor(options) {
      super(options);
      opened.contexts.push(this);
    }
  };
  const RealSocket = WebSocket;
  globalThis.WebSocket = class extends RealSocket {
    constructor(...given) {
      super(...given);
      opened.sockets += 1;
    }
  };
}

const troubled = (kind) => `preppalDemo.client?.troubles.includes(${JSON.stringify(kind)})`;
const troubles = (page) => page.evaluate("[...document.querySelectorAll('#troubles li')].map((item) => item.dataset.kind)");
const open = "opened.tracks.filter((track) => track.readyState === 'live').length";

/** The demo page, with an interview that has begun. */
async function begin(page, at = origin) {
  await page.goto(`${at}/`);
  await page.click("#start");
  await until(page, "preppalDemo.transcript.length > 0");
}

/** A click where nothing is. */
const touch = (page) => page.mouse.click(3, 3);

const SCENES = {
  "P1 the device mutes the microphone, in the call and from its start": {
    async play(page) {
      await begin(page);
      const setMuted = (muted) =>
        page.evaluate(`(() => {
          const track = opened.tracks.at(-1);
          Object.defineProperty(track, "muted", { get: () => ${muted}, configurable: true });
          track.dispatchEvent(new Event(${muted} ? "mute" : "unmute"));
        })()`);
      await setMuted(true);
      await until(page, troubled("microphone-muted"), 1000);
      assert.match(await page.locator("#troubles").textContent(), /muted by the device/);
      await setMuted(false);
      await until(page, `!${troubled("microphone-muted")}`, 500);
      assert.deepEqual(await troubles(page), []);
      await page.evaluate(`microphoneStub = async () => {
        const stream = new AudioContext().createMediaStreamDestination().stream;
        Object.defineProperty(stream.getTracks()[0], "muted", { get: () => true });
        return stream;
      }`);
      await page.evaluate("preppalDemo.client.openMicrophone()");
      await until(page, troubled("microphone-muted"), 1500);
    },
  },
  "P2 the microphone gives digital zero": {
    async play(page) {
      await page.goto(`${origin}/`);
      await page.evaluate(`microphoneStub = async () => {
        const context = new AudioContext();
        const destination = context.createMediaStreamDestination();
        globalThis.speakUp = () => { const tone = new OscillatorNode(context); tone.connect(destination); tone.start(); };
        return destination.stream;
      }`);
      await page.click("#start");
      await until(page, state("listening"));
      assert.deepEqual(await troubles(page), []);
      await until(page, troubled("microphone-silent"), 7000);
      await page.evaluate("speakUp()");
      await until(page, `!${troubled("microphone-silent")}`, 1000);
    },
  },
  "P3 the device pauses the sound; it comes back by a touch, or by itself": {
    async play(page) {
      await begin(page);
      await page.evaluate("opened.contexts[0].suspend()");
      await until(page, troubled("audio-paused"), 1000);
      await touch(page);
      await until(page, `!${troubled("audio-paused")}`, 1000);
      await page.evaluate("opened.contexts[0].suspend()");
      await until(page, troubled("audio-paused"), 1000);
      await page.evaluate("opened.contexts[0].resume()");
      await until(page, `!${troubled("audio-paused")}`, 1000);
    },
  },
  "P4 during a telephone call the sound cannot be resumed; after it, it can": {
    async play(page) {
      await begin(page);
      await page.evaluate(`(async () => {
        const [context] = opened.contexts;
        const resume = context.resume.bind(context);
        globalThis.calls = 0;
        context.resume = async () => { calls += 1; if (globalThis.hungUp) return resume(); throw new DOMException("interrupted", "InvalidStateError"); };
        await context.suspend();
      })()`);
      await until(page, troubled("audio-paused"), 1000);
      await touch(page);
      await page.keyboard.press("Shift");
      assert.ok((await page.evaluate("calls")) >= 2, "tried again at each touch");
      assert.deepEqual(await troubles(page), ["audio-paused"]);
      await page.evaluate("hungUp = true");
      await touch(page);
      await until(page, `!${troubled("audio-paused")}`, 1000);
    },
  },
  "P5 the context says running, its clock stands": {
    async play(page) {
      await begin(page);
      await until(page, state("listening"));
      await page.evaluate(`(async () => {
        const [context] = opened.contexts;
        Object.defineProperty(context, "state", { get: () => "running" });
        await context.suspend();
        globalThis.levels = 0;
        preppalDemo.client.on("level", () => (levels += 1));
      })()`);
      await until(page, troubled("sound-stopped"), 4000);
      await touch(page);
      await until(page, `!${troubled("sound-stopped")}`, 3000);
      await page.evaluate("levels = 0");
      await until(page, "levels > 20", 3000);
      assert.equal(await page.evaluate("preppalDemo.client.hasMicrophone"), true);
      assert.equal(await page.evaluate("opened.sockets"), 1, "the same interview");
      await page.click("#sample");
      await until(page, "preppalDemo.client.answering");
      await until(page, "!preppalDemo.client.answering");
    },
  },
  "P6 the page is blocked for fifteen seconds on a healthy line": {
    async play(page) {
      await begin(page);
      await until(page, state("listening"));
      await page.evaluate("(() => { const end = performance.now() + 15000; while (performance.now() < end); })()");
      await page.waitForTimeout(2000);
      assert.equal(await page.evaluate("opened.sockets"), 1);
      assert.notEqual(await page.evaluate("preppalDemo.state"), "reconnecting");
      const droppedMs = await page.evaluate("preppalDemo.client.quality.droppedMs");
      assert.ok(droppedMs > 9000 && droppedMs < 16000, `${droppedMs} ms dropped`);
    },
  },
  "P7 an uplink of 24 KB/s, and a browser without Opus": {
    async play(page) {
      await page.addInitScript("globalThis.Worker = class { constructor() { throw new Error('no workers here'); } }");
      const network = await relay(origin);
      await begin(page, network.origin);
      await until(page, state("listening"));
      network.throttle(24000);
      await until(page, troubled("slow-connection"), 20000);
      await page.waitForTimeout(10000);
      const { lagMs, droppedMs } = await page.evaluate("preppalDemo.client.quality");
      assert.ok(lagMs <= 4000, `${lagMs} ms late: three seconds, and the last second's report`);
      assert.ok(droppedMs > 0, "what was too late is counted");
      network.throttle(Infinity);
      await until(page, `!${troubled("slow-connection")}`, 20000);
      assert.equal(await page.evaluate("opened.sockets"), 1);
      network.close();
    },
  },
  "P7 the same line, and Opus": {
    async play(page) {
      const network = await relay(origin);
      await begin(page, network.origin);
      await until(page, state("listening"));
      network.throttle(24000);
      await until(page, "preppalDemo.client.quality.codec === 'opus'", 20000);
      // The PCM from before is still on its way, and as late as before.
      await page.waitForTimeout(5000);
      await until(page, `!${troubled("slow-connection")}`, 20000);
      await page.waitForTimeout(2000);
      const { lagMs, droppedMs } = await page.evaluate("preppalDemo.client.quality");
      assert.ok(lagMs <= 2000, `${lagMs} ms late: a second, and the last one's report`);
      assert.ok(droppedMs < 1000, `${droppedMs} ms dropped: no more than what was too late before Opus was taken up`);
      assert.ok(!(await troubles(page)).includes("slow-connection"), "it fits");
      assert.equal(await page.evaluate("opened.sockets"), 1);
      network.close();
    },
  },
  "P8 the line swallows everything and does not say so": {
    async play(page) {
      const network = await relay(origin);
      await begin(page, network.origin);
      await until(page, state("listening"));
      network.freeze();
      await until(page, troubled("line-silent"), 7000);
      await until(page, state("reconnecting"), 11000);
      assert.ok(!(await troubles(page)).includes("line-silent"));
      network.thaw();
      await until(page, `!(${state("reconnecting")})`, 15000);
      network.close();
    },
  },
  "P9 the sound's program never loads": {
    async play(page) {
      await page.goto(`${origin}/`);
      await page.evaluate("AudioWorklet.prototype.addModule = () => new Promise(() => {})");
      await page.click("#start");
      await until(page, "document.getElementById('banner').textContent.includes('did not load')", 14000);
      assert.equal(await page.getAttribute("#start", "aria-disabled"), null);
      assert.equal(await page.evaluate(open), 0);
    },
  },
  "P10 the clock jumps an hour forward while reconnecting": {
    async play(page) {
      const network = await relay(origin);
      await begin(page, network.origin);
      network.cut();
      await until(page, state("reconnecting"));
      await page.evaluate("(() => { const now = Date.now.bind(Date); Date.now = () => now() + 3600000; })()");
      await page.waitForTimeout(4000);
      assert.equal(await page.evaluate("preppalDemo.state"), "reconnecting");
      network.restore();
      await until(page, `!(${state("reconnecting")})`, 10000);
      assert.equal(await page.evaluate("preppalDemo.ending"), null);
      network.close();
    },
  },
  "P11 something else answers in the server's place": {
    async play(page) {
      await page.goto(`${origin}/`);
      await page.route("**/ready", (route) => route.fulfill({ status: 200, contentType: "text/html", body: "<h1>Welcome</h1>" }));
      await page.route("**/demo/interview", (route) => route.fulfill({ json: { interviewId: "1", token: "a.b.c", wsUrl: "/nothing/here/at/all" } }));
      await page.click("#start");
      await until(page, state("ended"));
      assert.match(await page.evaluate("preppalDemo.ending"), /proxy or firewall/);
    },
  },
  "P11 a proxy strips the subprotocol": {
    async play(page) {
      const network = await relay(origin, { strip: /^Sec-WebSocket-Protocol:.*\r\n/im });
      await page.goto(`${network.origin}/`);
      await page.click("#start");
      await until(page, state("ended"));
      assert.match(await page.evaluate("preppalDemo.ending"), /proxy or firewall/);
      network.close();
    },
  },
  "P12 the loudspeaker is heard by the microphone": {
    async play(page) {
      await page.goto(`${origin}/`);
      await page.evaluate(`(() => {
        const connect = AudioNode.prototype.connect;
        microphoneStub = async () => globalThis.echoed.stream;
        AudioNode.prototype.connect = function (target, ...rest) {
          if (target === this.context.destination && this instanceof GainNode) {
            const { context } = this;
            globalThis.echoed ??= context.createMediaStreamDestination();
            const room = new GainNode(context, { gain: 0.5 });
            const air = new DelayNode(context, { delayTime: 0.1 });
            connect.call(this, room);
            connect.call(room, air);
            connect.call(air, echoed);
          }
          return connect.call(this, target, ...rest);
        };
      })()`);
      await page.click("#start");
      await until(page, troubled("echo"), 60000);
      assert.match(await page.locator("#troubles").textContent(), /headphones/);
      const before = await page.evaluate("preppalDemo.transcript.filter(({ cut }) => cut).length");
      await page.click("#troubles button");
      await until(page, `!${troubled("echo")}`, 500);
      await until(page, `${state("speaking")}`);
      await until(page, `${state("listening")}`);
      const after = await page.evaluate("preppalDemo.transcript.filter(({ cut }) => cut).length");
      assert.ok(after - before <= 1, "the interviewer is cut no more, but for the reply that was under way");
    },
  },
  "P13 the line down stalls in mid-sentence": {
    async play(page) {
      const network = await relay(origin);
      await page.goto(`${network.origin}/`);
      await page.evaluate(`globalThis.states = []`);
      await page.click("#start");
      await until(page, state("speaking"));
      network.freeze();
      await page.evaluate("preppalDemo.client.on('state', ({ state }) => states.push(state))");
      await page.waitForTimeout(2500);
      network.thaw();
      await until(page, "preppalDemo.transcript.some((turn) => turn.complete)");
      await until(page, state("listening"));
      assert.deepEqual(await page.evaluate("states"), ["listening"], "speaking until the turn was complete and heard");
      network.close();
    },
  },
  "P14 the interview ends while the microphone is being asked for": {
    async play(page) {
      await page.goto(`${origin}/`);
      await page.click("#start-silent");
      await until(page, "preppalDemo.transcript.length > 0");
      await page.evaluate("microphoneStub = () => new Promise((resolve) => (globalThis.allow = () => resolve(new AudioContext().createMediaStreamDestination().stream)))");
      await page.click("#mute");
      await page.evaluate("preppalDemo.client.end()");
      await until(page, state("ended"));
      await page.evaluate("allow()");
      await page.waitForTimeout(500);
      assert.equal(await page.locator("#banner").textContent(), "");
      assert.deepEqual(await troubles(page), []);
      assert.equal(await page.evaluate(open), 0);
    },
  },
  "P15 permission is withdrawn in mid-call": {
    async play(page) {
      await begin(page);
      await page.evaluate(`(() => {
        navigator.permissions.query = async () => ({ state: "denied" });
        const track = opened.tracks.at(-1);
        track.stop();
        track.dispatchEvent(new Event("ended"));
      })()`);
      await until(page, troubled("microphone-withdrawn"), 1000);
      assert.deepEqual(await troubles(page), ["microphone-withdrawn"]);
      assert.match(await page.locator("#troubles").textContent(), /permission .* taken back/);
      await page.click("#mute");
      await until(page, "preppalDemo.client.hasMicrophone");
      assert.deepEqual(await troubles(page), []);
    },
  },
  "a microphone is pulled out, and there is no other": {
    async play(page) {
      await begin(page);
      await page.evaluate(`(() => {
        navigator.permissions.query = async () => ({ state: "granted" });
        microphoneStub = async () => { throw new DOMException("none", "NotFoundError"); };
        const track = opened.tracks.at(-1);
        track.stop();
        track.dispatchEvent(new Event("ended"));
      })()`);
      await until(page, troubled("microphone-lost"), 1500);
      assert.deepEqual(await troubles(page), ["microphone-lost"]);
      assert.match(await page.locator("#troubles").textContent(), /was disconnected. Connect it again/);
      assert.equal(await page.locator("#mute-label").textContent(), "Mic on");
      await page.evaluate("microphoneStub = undefined");
      await page.locator("#troubles button").click();
      await page.locator("#devices").waitFor();
      await page.keyboard.press("Escape");
      await page.click("#mute");
      await until(page, "preppalDemo.client.hasMicrophone");
      assert.deepEqual(await troubles(page), []);
    },
  },
  "P15 the surrounding page, or the system, does not let the microphone through": {
    async play(page) {
      await page.goto(`${origin}/`);
      await page.evaluate(`microphoneStub = async () => { throw new DOMException("Permission denied by system", "NotAllowedError"); }`);
      await page.click("#start");
      await until(page, "document.getElementById('banner').textContent.includes('system')", 5000);
      await page.evaluate("Document.prototype.__defineGetter__('featurePolicy', () => ({ allowsFeature: () => false }))");
      await page.click("#start");
      await until(page, "document.getElementById('banner').textContent.includes('page around this one')", 5000);
    },
  },
  "P16 the worklet is on another origin without CORS": {
    async play(page) {
      const network = await relay(origin);
      await page.goto(`${origin}/`);
      const failed = await page.evaluate(`(async () => {
        const { InterviewClient } = await import("/client/preppal-client.js");
        const client = new InterviewClient({ workletUrl: "${network.origin}/client/sound-worklet.js" });
        try { await client.prepare(); } catch ({ kind, cause }) { return { kind, cause: cause.name }; }
      })()`);
      assert.deepEqual(failed, { kind: "sound-not-loaded", cause: "AbortError" });
      network.close();
    },
  },
  "what fails after permission was given leaves no microphone open": {
    async play(page) {
      await page.goto(`${origin}/`);
      await page.route("**/demo/interview", (route) => route.fulfill({ status: 500, body: "" }));
      await page.click("#start");
      await until(page, "opened.tracks.length === 1");
      await until(page, `${open} === 0`, 2000);
      await page.evaluate("AudioContext.prototype.createMediaStreamSource = () => { throw new DOMException('no', 'NotSupportedError'); }");
      await page.click("#start");
      await until(page, "opened.tracks.length === 2");
      await until(page, `${open} === 0`, 2000);
    },
  },
};

for (const scene of Object.values(SCENES)) scene.init ??= watchDevices;
await playScenes(SCENES, { atOnce: 3, only });
