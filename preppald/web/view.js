/** Shows the interview: knows the document, and nothing of the interview's inner life. */

import { asText, asVtt } from "./transcript-files.js";
import { words } from "./words.js";

/** @typedef {{speaker: "USER" | "AI", text: string, complete: boolean, cut: boolean, heardLength?: number | null, timestampMs?: number}} ShownTurn */
/** @typedef {{interviewId: string, startedMs: number, endedMs: number | null, feedback?: string, turns: {speaker: "USER" | "AI", text: string, timestampMs: number, cut: boolean}[]}} Results */

const NAMES = { USER: words.you, AI: words.interviewer };

/** The kept transcript's mark for a turn that was spoken over; the page has a mark of its own. */
const INTERRUPTED = /\s*\[interrupted\]$/;

/** A reader who scrolled up further than this reads; do not pull them back down. */
const FOLLOW_WITHIN_PX = 120;

/** Turns that a screen reader is given time for. */
const ANNOUNCED_TURNS = 5;

/** From here on the clock asks for attention. */
const SHORT_TIME_MS = 60 * 1000;

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @returns {T}
 */
export function element(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return /** @type {T} */ (found);
}

/** @param {...string} ids the sections to be seen; all others are hidden */
export function showOnly(...ids) {
  for (const id of ["welcome", "asking", "check", "live", "stage", "results", "record", "controls", "write"]) element(id).hidden = !ids.includes(id);
  element("sound").hidden = !ids.includes("controls");
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let bannerTimer;

/**
 * @param {string} sentence "" takes it away
 * @param {number} [forMs] otherwise it stays
 * @param {"warning" | "good"} [news]
 */
export function showBanner(sentence, forMs, news = "warning") {
  clearTimeout(bannerTimer);
  const banner = element("banner");
  banner.className = news;
  if (banner.textContent !== sentence) banner.textContent = sentence;
  if (forMs !== undefined) bannerTimer = setTimeout(() => showBanner(""), forMs);
}

/**
 * Each trouble has a line of its own, from its beginning to its end.
 * @param {readonly {kind: string, words: string, remedy?: {label: string, act: () => void} | undefined}[]} troubles the most urgent first
 */
export function showTroubles(troubles) {
  const list = element("troubles");
  const shown = new Map([...list.children].map((item) => [/** @type {HTMLElement} */ (item).dataset.kind, item]));
  for (const [kind, item] of shown) if (!troubles.some((trouble) => trouble.kind === kind)) item.remove();
  troubles.forEach(({ kind, words: sentence, remedy }, place) => {
    let item = shown.get(kind);
    if (item === undefined) {
      item = labelled("li", "", sentence);
      /** @type {HTMLElement} */ (item).dataset.kind = kind;
      if (remedy !== undefined) {
        const button = labelled("button", "", remedy.label);
        button.addEventListener("click", remedy.act);
        item.append(" ", button);
      }
    }
    // Moved only when necessary: a screen reader reads a moved line again.
    if (list.children[place] !== item) list.insertBefore(item, list.children[place] ?? null);
  });
}

/** @param {string} sentence */
export function showStatus(sentence) {
  const status = element("status");
  if (status.textContent !== sentence) status.textContent = sentence;
}

/** @param {{microphone: number, interviewer: number}} levels */
export function showLevels({ microphone, interviewer }) {
  const style = document.documentElement.style;
  style.setProperty("--microphone", microphone.toFixed(2));
  style.setProperty("--interviewer", interviewer.toFixed(2));
}

/** @param {number | null} remainingMs */
export function showClock(remainingMs) {
  const clock = element("clock");
  clock.hidden = remainingMs === null;
  if (remainingMs === null) return;
  clock.textContent = words.timeLeft.replace("{time}", minutesSeconds(remainingMs));
  clock.classList.toggle("short", remainingMs <= SHORT_TIME_MS);
}

/**
 * A screen reader hears whole turns, once, not every fragment.
 * @param {ShownTurn} turn
 */
export function announceTurn(turn) {
  const line = document.createElement("p");
  line.textContent = `${NAMES[turn.speaker]}: ${turn.text}`;
  const announcer = element("announcer");
  // After a gap several turns come at once, and each is to be heard.
  announcer.append(line);
  while (announcer.childElementCount > ANNOUNCED_TURNS) announcer.firstElementChild?.remove();
}

export class TranscriptView {
  #list = element("transcript");
  #scroller = element("scroller");
  /** @type {Map<number, HTMLLIElement>} */
  #items = new Map();
  /** True while the reader is at the end, and wants to see new lines. */
  #follows = true;

  constructor() {
    this.#scroller.addEventListener("scroll", () => {
      const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
      this.#follows = scrollHeight - scrollTop - clientHeight < FOLLOW_WITHIN_PX;
    });
    // A banner takes room: without this it would hide the newest line.
    new ResizeObserver(() => this.#follow()).observe(this.#scroller);
  }

  /**
   * @param {number} id
   * @param {ShownTurn} turn new, or grown, or cut
   */
  show(id, turn) {
    let item = this.#items.get(id);
    if (item === undefined) {
      item = document.createElement("li");
      this.#items.set(id, item);
      this.#list.append(item);
    }
    fill(item, turn, null);
    this.#follow();
  }

  #follow() {
    if (this.#follows && this.#items.size > 0) this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  /** The interview is over: from here on the page is read from its top. */
  stopFollowing() {
    this.#items.clear();
    this.#scroller.scrollTop = 0;
  }

  /** @param {Results["turns"]} turns what the server kept */
  replace(turns) {
    const beganAt = turns[0]?.timestampMs ?? 0;
    const items = turns.map((turn) => {
      const item = document.createElement("li");
      fill(item, { ...turn, complete: true }, turn.timestampMs - beganAt);
      return item;
    });
    this.#list.replaceChildren(...items);
  }
}

/**
 * @param {HTMLLIElement} item
 * @param {ShownTurn} turn
 * @param {number | null} atMs since the first turn
 */
function fill(item, turn, atMs) {
  item.className = `turn ${turn.speaker === "USER" ? "candidate" : "interviewer"}`;
  item.classList.toggle("open", !turn.complete && !turn.cut);
  item.classList.toggle("cut", turn.cut);
  const name = labelled("span", "who", NAMES[turn.speaker]);
  if (atMs !== null) name.append(" ", labelled("span", "when", minutesSeconds(atMs)));
  const text = labelled("p", "", "");
  // Each turn reads in the direction of its own script.
  text.dir = "auto";
  text.append(...(turn.cut ? cutText(turn) : [labelled("span", "said", turn.text)]));
  item.replaceChildren(name, text);
  // The kept transcript marks replies that broke off by themselves, too.
  if (turn.cut) item.append(labelled("span", "cut-mark", atMs === null ? words.cutHere : words.cutOff));
}

/**
 * The heard and the unheard part of a turn that was spoken over, where that is known.
 * @param {ShownTurn} turn
 */
function cutText({ text, heardLength }) {
  const kept = text.trimEnd().replace(INTERRUPTED, "");
  if (heardLength === null || heardLength === undefined) return [labelled("span", "said whole", `${kept} —`)];
  const heard = kept.slice(0, heardLength).trimEnd();
  const unheard = kept.slice(heard.length);
  return [labelled("span", "said", `${heard} —`), ...(unheard === "" ? [] : [labelled("span", "unheard", unheard)])];
}

/** @returns {HTMLDialogElement} "End the interview?" */
export function endDialog() {
  return element("confirm");
}

/**
 * @param {string} title
 * @param {string} sentence
 * @param {boolean} saidAnything
 */
export function showEnd(title, sentence, saidAnything) {
  endDialog().close();
  /** @type {HTMLDialogElement} */ (element("devices")).close();
  showBanner("");
  showTroubles([]);
  showClock(null);
  element("results-title").textContent = title;
  element("ending").textContent = sentence;
  element("announcer").replaceChildren();
  showOnly("results", ...(saidAnything ? ["record"] : []));
  element("results-title").focus();
}

/** @param {Results} results */
export function showFacts(results) {
  const { turns, startedMs, endedMs, interviewId, feedback } = results;
  const answers = turns.filter((turn) => turn.speaker === "USER").length;
  const facts = [
    ...(endedMs === null ? [] : [[words.length, minutesSeconds(endedMs - startedMs)]]),
    [words.answers, String(answers)],
    [words.interview, interviewId],
  ];
  if (feedback) element("feedback").replaceChildren(labelled("h2", "", words.feedback), labelled("p", "", feedback));
  element("feedback").hidden = !feedback;
  if (turns.length > 0) offerTranscript(results);
  element("facts").replaceChildren(
    ...facts.map(([name = "", value = ""]) => {
      const fact = document.createElement("div");
      fact.append(labelled("dt", "", name), labelled("dd", "", value));
      return fact;
    }),
  );
}

/** @param {Results} results */
function offerTranscript({ turns, interviewId }) {
  const files = /** @type {const} */ ([
    ["download", "txt", "text/plain", asText],
    ["download-vtt", "vtt", "text/vtt", asVtt],
  ]);
  for (const [id, suffix, type, make] of files) {
    const button = element(id);
    button.hidden = false;
    button.onclick = () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([make(turns, NAMES)], { type }));
      link.download = `${interviewId}.${suffix}`;
      link.click();
      // The download has begun by then, and holds its data.
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    };
  }
  const copy = element("copy");
  copy.hidden = navigator.clipboard === undefined;
  copy.onclick = async () => {
    await navigator.clipboard.writeText(asText(turns, NAMES));
    copy.textContent = words.copied;
  };
}

/**
 * @param {string} tag
 * @param {string} className
 * @param {string} text
 */
function labelled(tag, className, text) {
  const node = document.createElement(tag);
  if (className !== "") node.className = className;
  node.textContent = text;
  return node;
}

/** @param {number} ms */
function minutesSeconds(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
