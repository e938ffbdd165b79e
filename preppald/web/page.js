/** The demo page: the interview module on one side, the document on the other. */

import { runSampleInterview } from "./auto.js";
import { AudioError, InterviewClient, NOT_HELD, NoticeKind, explain } from "./client/preppal-client.js";
import { openDevices } from "./devices.js";
import { fetchAnswer } from "./sample-answer.js";
import { beginSoundCheck } from "./sound-check.js";
import * as view from "./view.js";
import { language, speakLanguage, words } from "./words.js";
import { giveBack, offerWriting, toggleWriting } from "./writing.js";

/** @typedef {import("./view.js").Results} Results */
/** @typedef {{interviewId: string, url: string, token?: string | undefined}} Known an interview to be held, or taken up */

/** The server delivers the transcript within a few seconds of the end; ask until it is there. */
const RESULTS_EVERY_MS = 500;
const RESULTS_TRIES = 40;

/** Long enough to be read twice. */
const ENDING_SOON_SHOWN_MS = 12000;

/** Read at a glance; the interview goes on meanwhile. */
const BACK_AGAIN_SHOWN_MS = 6000;

/** The clock shows seconds; asking four times in one never skips any. */
const CLOCK_EVERY_MS = 250;

/** A browser that knows its answer already gives it at once: only a question is worth a word. */
const ASKING_AFTER_MS = 400;

speakLanguage(document);
const transcript = new view.TranscriptView();
const confirm = view.endDialog();
const answer = fetchAnswer("/demo/answer.wav");
answer.catch(() => (view.element("sample").hidden = true));

/** For tests: the whole state of the page. @type {{client: InterviewClient | null, state: string, transcript: readonly object[], ending: string | null, results: Results | null}} */
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

/** The client whose sound is open, before it holds an interview. @type {InterviewClient | null} */
let prepared = null;
/** Set while the browser asks for the microphone: goes on without one. @type {(() => void) | null} */
let withoutMicrophone = null;

const live = () => demo.client !== null && demo.state !== "ended";

/** Buttons that begin something: all grey while one of them is at work. */
const BEGINNINGS = ["start", "start-silent", "check-sound", "start-checked", "continue", "continue-silent"];

/**
 * Carry out one button's action at a time; a failure leaves no microphone open, and the page as before.
 * @param {string} shown the section that is seen again if it fails
 * @param {() => Promise<void>} work
 */
async function beginning(shown, work) {
  view.showBanner("");
  for (const id of BEGINNINGS) view.element(id).setAttribute("aria-disabled", "true");
  try {
    await work();
  } catch (problem) {
    await prepared?.close();
    prepared = null;
    view.showOnly(shown);
    view.showBanner(explain(problem instanceof AudioError ? problem.kind : "unreachable", language));
  } finally {
    for (const id of BEGINNINGS) view.element(id).removeAttribute("aria-disabled");
  }
}

/** How sound travels: `?audio=opus` and `?audio=pcm` in the page's address choose it. */
function audioChoice() {
  const chosen = new URLSearchParams(location.search).get("audio");
  return chosen === "opus" || chosen === "pcm" ? chosen : "auto";
}

/**
 * Open the sound, in the click. The interview's time must not run while the browser asks for the microphone.
 * @param {boolean} withMicrophone
 */
async function prepare(withMicrophone) {
  prepared ??= new InterviewClient({ language, remember: true, audio: audioChoice() });
  const client = prepared;
  if (!withMicrophone) {
    await client.prepare();
    return client;
  }
  const asking = setTimeout(() => {
    view.showOnly("asking");
    view.element("without").focus();
  }, ASKING_AFTER_MS);
  try {
    await client.prepare();
    const declined = new Promise((resolve) => (withoutMicrophone = () => resolve("declined")));
    const opened = client.openMicrophone();
    // Allowed after all, later: the candidate has decided otherwise, and nothing may listen.
    if ((await Promise.race([opened, declined])) === "declined") void opened.then(() => client.closeMicrophone(), () => {});
  } finally {
    clearTimeout(asking);
    withoutMicrophone = null;
  }
  return client;
}

/**
 * @param {boolean} withMicrophone
 * @param {Known | null} [known] to be taken up
 */
async function start(withMicrophone, known = null) {
  await beginning(known === null ? "welcome" : "live", async () => {
    const client = prepared?.hasMicrophone ? prepared : await prepare(withMicrophone);
    const { interviewId, url, token } = known ?? (await createInterview());
    prepared = null;
    hold(client, interviewId);
    client.start({ url, token });
    view.showOnly("stage", "record", "controls");
    view.element("status").focus();
  });
}

async function checkSound() {
  await beginning("welcome", async () => {
    const client = await prepare(true);
    client.on("level", view.showLevels);
    view.showOnly("check");
    view.element("check-title").focus();
    const end = beginSoundCheck(client);
    client.on("state", end);
  });
}

/** @returns {Promise<Known>} */
async function createInterview() {
  const response = await fetch("/demo/interview", { method: "POST" });
  if (!response.ok) throw new Error(`no interview: ${response.status}`);
  const { interviewId, token, wsUrl } = await response.json();
  return { interviewId, url: wsUrl, token };
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
    view.element("hold").hidden = !client.canHold;
    view.element("type").hidden = !client.canSendText;
    showStatus(client);
    if (state === "reconnecting") view.showBanner(words.connectionLost);
    else if (wasReconnecting) view.showBanner(words.backAgain, BACK_AGAIN_SHOWN_MS, "good");
  });
  client.on("level", view.showLevels);
  client.on("speaking", () => {
    document.body.dataset.voice = client.hearsCandidate ? "candidate" : "";
    showStatus(client);
  });
  client.on("hold", ({ on }) => {
    view.element("hold").setAttribute("aria-pressed", String(on));
    view.element("hold-label").textContent = on ? words.goOn : words.pause;
    showStatus(client);
  });
  client.on("transcript", ({ turn, turnComplete }) => {
    transcript.show(turn.id, turn);
    if (turnComplete) view.announceTurn(turn);
  });
  client.on("interrupted", ({ turn }) => turn !== null && transcript.show(turn.id, turn));
  client.on("textRefused", ({ text, words: sentence }) => giveBack(text, sentence));
  client.on("notice", ({ kind, message }) => view.showBanner(...noticeBanner(kind, message)));
  client.on("answer", ({ speaking }) => {
    view.element("sample").setAttribute("aria-disabled", String(speaking));
    showStatus(client);
    view.element("sample-label").textContent = speaking ? words.samplePlaying : words.sample;
  });
  client.on("trouble", ({ kind, troubles }) => {
    view.showTroubles(troubles.map((name) => ({ kind: name, words: explain(name, language), remedy: REMEDIES[name] })));
    if (kind === "microphone-lost" || kind === "microphone-changed" || kind === "microphone-withdrawn") showMicrophone(client);
  });
  client.on("ended", ({ reason, words: sentence }) => {
    clearInterval(clock);
    demo.ending = sentence;
    const title = reason === "replaced" ? words.movedTitle : NOT_HELD.has(reason) ? words.notStartedTitle : words.endedTitle;
    view.showEnd(title, sentence, client.turns.length > 0);
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
  // The clock goes on showing this one; the conversation itself shows the end of the others.
  const passing = kind === NoticeKind.ENDING_SOON || kind === NoticeKind.SILENT || kind === NoticeKind.STILL_THERE;
  return passing ? [message, ENDING_SOON_SHOWN_MS] : [message];
}

/** @param {InterviewClient} client */
function showStatus(client) {
  view.showStatus(
    {
      idle: "",
      connecting: words.connecting,
      ready: client.hearsCandidate ? words.hearsYou : words.ready,
      listening: client.holding ? words.paused : turnStatus(client),
      speaking: words.speaking,
      reconnecting: words.reconnecting,
      ended: words.ended,
    }[client.state],
  );
}

/** @param {InterviewClient} client */
function turnStatus(client) {
  if (client.answering) return words.sampleSpoken;
  if (!client.hasMicrophone || client.muted) return words.microphoneOff;
  return client.hearsCandidate ? words.hearsYou : words.yourTurn;
}

/** The way to go on without headphones. */
const takeTurns = {
  label: words.takeTurns,
  act() {
    if (demo.client !== null) demo.client.takesTurns = true;
  },
};
const chooseMicrophone = { label: words.chooseMicrophone, act: changeDevices };

/** @type {Record<string, {label: string, act: () => void}>} by trouble */
const REMEDIES = {
  echo: takeTurns,
  "microphone-silent": chooseMicrophone,
  "microphone-changed": chooseMicrophone,
  "microphone-lost": chooseMicrophone,
};

function changeDevices() {
  const { client } = demo;
  if (client !== null && live()) openDevices(client, () => showMicrophone(client));
}

/** @param {InterviewClient} client */
function showMicrophone(client) {
  const off = client.muted || !client.hasMicrophone;
  view.element("mute").classList.toggle("off", off);
  view.element("mute-label").textContent = client.hasMicrophone ? (off ? words.unmute : words.mute) : words.turnMicrophoneOn;
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
      view.showBanner(explain(problem.kind, language));
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
 * @param {() => void} action not while the button is grey
 */
function onPress(id, action) {
  const button = view.element(id);
  button.addEventListener("click", () => button.getAttribute("aria-disabled") !== "true" && action());
}

onPress("start", () => void start(true));
onPress("start-silent", () => void start(false));
onPress("check-sound", () => void checkSound());
onPress("start-checked", () => void start(true));
onPress("without", () => withoutMicrophone?.());
onPress("mute", () => demo.client !== null && void toggleMicrophone(demo.client));
onPress("sample", () => void answer.then((pcm) => demo.client?.answer(pcm)));
onPress("hold", () => demo.client?.hold(!demo.client.holding));
onPress("sound", changeDevices);
onPress("type", toggleWriting);
offerWriting(() => demo.client);
onPress("end", () => confirm.showModal());
confirm.addEventListener("close", () => confirm.returnValue === "end" && demo.client?.end());
onPress("again", () => location.assign(location.pathname + location.search));
for (const gesture of ["pointerdown", "keydown"]) addEventListener(gesture, () => void (demo.client ?? prepared)?.resume());
addEventListener("keydown", (event) => {
  if (event.altKey && event.code === "KeyP" && live() && demo.client?.canHold) {
    event.preventDefault();
    demo.client.hold(!demo.client.holding);
  }
});
addEventListener("beforeunload", (event) => live() && event.preventDefault());

const [kept] = InterviewClient.kept();
if (new URLSearchParams(location.search).get("auto") === "sample") {
  await start(false);
  if (demo.client !== null) await runSampleInterview(demo.client, await answer);
} else if (kept !== undefined) {
  view.showOnly("live");
  onPress("continue", () => void start(true, kept));
  onPress("continue-silent", () => void start(false, kept));
  onPress("leave", () => {
    InterviewClient.forget(kept.interviewId);
    view.showOnly("welcome");
  });
}
