/** The demo page: the interview module on one side, the document on the other. */

import { runSampleInterview } from "./auto.js";
import { AudioError, InterviewClient, NOT_HELD, NoticeKind, explain } from "./client/preppal-client.js";
import { fetchAnswer } from "./sample-answer.js";
import * as view from "./view.js";

/** @typedef {import("./view.js").Results} Results */

/** The server delivers the transcript within a few seconds of the end; ask until it is there. */
const RESULTS_EVERY_MS = 500;
const RESULTS_TRIES = 40;

/** Long enough to be read twice. */
const ENDING_SOON_SHOWN_MS = 12000;

/** Read at a glance; the interview goes on meanwhile. */
const BACK_AGAIN_SHOWN_MS = 6000;
const BACK_AGAIN = "You are connected again. Anything you missed is in the transcript.";


/** The clock shows seconds; asking four times in one never skips any. */
const CLOCK_EVERY_MS = 250;

const transcript = new view.TranscriptView();
const confirm = view.endDialog();
const answer = fetchAnswer("/demo/answer.wav");
answer.catch(() => (view.element("sample").hidden = true));

/** For automation: everything a test wants to know. @type {{client: InterviewClient | null, state: string, transcript: readonly object[], ending: string | null, results: Results | null}} */
const demo = {
  client: null,
  get state() {
    return this.client?.state ?? "idle";
  },
  get transcript() {
    return this.client?.turns ?? [];
  },
  ending: null,
  results: null,
};
Object.assign(globalThis, { preppalDemo: demo });

/** @param {boolean} withMicrophone */
async function start(withMicrophone) {
  view.showBanner("");
  const buttons = [view.element("start"), view.element("start-silent")];
  for (const button of buttons) button.setAttribute("aria-disabled", "true");
  const client = new InterviewClient();
  try {
    // First the sound: the interview's time must not run while the browser asks for the microphone.
    await (withMicrophone ? client.openMicrophone() : client.prepare());
    const { interviewId, token, wsUrl } = await createInterview();
    hold(client, interviewId);
    client.start({ url: wsUrl, token });
    view.showOnly("stage", "record", "controls");
    view.element("status").focus();
    return client;
  } catch (problem) {
    await client.close();
    view.showBanner(problem instanceof AudioError ? explain(problem.kind) : explain("unreachable"));
    return null;
  } finally {
    for (const button of buttons) button.removeAttribute("aria-disabled");
  }
}

/** @returns {Promise<{interviewId: string, token: string, wsUrl: string}>} */
async function createInterview() {
  const response = await fetch("/demo/interview", { method: "POST" });
  if (!response.ok) throw new Error(`no interview: ${response.status}`);
  return response.json();
}

/**
 * @param {InterviewClient} client
 * @param {string} interviewId
 */
function hold(client, interviewId) {
  demo.client = client;
  showMicrophone(client);
  const clock = setInterval(() => view.showClock(client.remainingMs), CLOCK_EVERY_MS);
  client.on("state", ({ state }) => {
    const wasReconnecting = document.body.dataset.state === "reconnecting";
    document.body.dataset.state = state;
    showStatus(client);
    if (state === "reconnecting") view.showBanner("The connection was lost. Your interview is held while it is restored. Please wait: you may not be heard.");
    else if (wasReconnecting) view.showBanner(BACK_AGAIN, BACK_AGAIN_SHOWN_MS, "good");
  });
  client.on("level", view.showLevels);
  client.on("transcript", ({ turn, turnComplete }) => {
    transcript.show(turn.id, turn);
    if (turnComplete) view.announceTurn(turn);
  });
  client.on("interrupted", ({ turn }) => turn !== null && transcript.show(turn.id, turn));
  client.on("notice", ({ kind, message }) => view.showBanner(...noticeBanner(kind, message)));
  client.on("answer", ({ speaking }) => {
    view.element("sample").setAttribute("aria-disabled", String(speaking));
    showStatus(client);
    view.element("sample-label").textContent = speaking ? "Speaking the sample…" : "Use sample answer";
  });
  client.on("trouble", ({ kind, troubles }) => {
    view.showTroubles(troubles.map((name) => ({ kind: name, words: explain(name), ...(name === "echo" ? { remedy: takeTurns } : {}) })));
    if (kind === "microphone-lost" || kind === "microphone-withdrawn") showMicrophone(client);
  });
  client.on("ended", ({ reason, words }) => {
    clearInterval(clock);
    demo.ending = words;
    const title = reason === "replaced" ? "Your interview has moved" : NOT_HELD.has(reason) ? "The interview did not start" : "Interview ended";
    view.showEnd(title, words, client.turns.length > 0);
    transcript.stopFollowing();
    if (!NOT_HELD.has(reason)) void showResults(interviewId);
  });
}

/**
 * @param {number} kind NoticeKind
 * @param {string} message
 * @returns {[words: string, forMs?: number]}
 */
function noticeBanner(kind, message) {
  if (kind === NoticeKind.RECONNECTED) return [""];
  // The clock goes on saying it.
  return kind === NoticeKind.ENDING_SOON ? [message, ENDING_SOON_SHOWN_MS] : [message];
}

/** @param {InterviewClient} client */
function showStatus(client) {
  const voice = client.answering ? "The sample answer is being spoken." : "Your turn. Your microphone is off.";
  const heard = client.hasMicrophone && !client.muted && !client.answering;
  view.showStatus(
    {
      idle: "",
      connecting: "Calling the interviewer…",
      ready: "The interviewer is about to begin.",
      listening: heard ? "Your turn. Take your time." : voice,
      speaking: "The interviewer is speaking.",
      reconnecting: "Reconnecting…",
      ended: "The interview has ended.",
    }[client.state],
  );
}

/** The way to go on without headphones. */
const takeTurns = {
  label: "Take turns",
  act() {
    if (demo.client !== null) demo.client.takesTurns = true;
  },
};

/** @param {InterviewClient} client */
function showMicrophone(client) {
  const off = client.muted || !client.hasMicrophone;
  view.element("mute").classList.toggle("off", off);
  view.element("mute-label").textContent = client.hasMicrophone ? (off ? "Unmute" : "Mute") : "Turn mic on";
  showStatus(client);
}

/** @param {InterviewClient} client */
async function toggleMicrophone(client) {
  if (client.hasMicrophone) {
    client.muted = !client.muted;
  } else {
    try {
      await client.openMicrophone();
      client.muted = false;
      view.showBanner("");
    } catch (problem) {
      if (!(problem instanceof AudioError)) throw problem;
      if (client.state === "ended") return;
      view.showBanner(explain(problem.kind));
    }
  }
  showMicrophone(client);
}

/** @param {string} interviewId */
async function showResults(interviewId) {
  for (let tries = 0; tries < RESULTS_TRIES && demo.results === null; tries += 1) {
    const response = await fetch(`/demo/results/${encodeURIComponent(interviewId)}`).catch(() => null);
    if (response?.ok) demo.results = await response.json();
    else await new Promise((resolve) => setTimeout(resolve, RESULTS_EVERY_MS));
  }
  if (demo.results === null) return;
  view.showFacts(demo.results);
  transcript.replace(demo.results.turns);
}

/**
 * @param {string} id
 * @param {(client: InterviewClient) => void} action only while there is an interview
 */
function onPress(id, action) {
  const button = view.element(id);
  button.addEventListener("click", () => {
    if (demo.client !== null && button.getAttribute("aria-disabled") !== "true") action(demo.client);
  });
}

for (const [id, withMicrophone] of /** @type {const} */ ([["start", true], ["start-silent", false]])) {
  const button = view.element(id);
  button.addEventListener("click", () => button.getAttribute("aria-disabled") !== "true" && void start(withMicrophone));
}
onPress("mute", (client) => void toggleMicrophone(client));
onPress("sample", (client) => void answer.then((pcm) => client.answer(pcm)));
onPress("end", () => confirm.showModal());
confirm.addEventListener("close", () => confirm.returnValue === "end" && demo.client?.end());
view.element("again").addEventListener("click", () => location.assign(location.pathname));
for (const gesture of ["pointerdown", "keydown"]) addEventListener(gesture, () => void demo.client?.resume());

if (new URLSearchParams(location.search).get("auto") === "sample") {
  const client = await start(false);
  if (client !== null) await runSampleInterview(client, await answer);
}
