// The operator's page: watches /live, shows one interview's timeline, and orders what the buttons say.
//
// Only cells that changed are touched: 200 rows come every two seconds, and most of them are as they were.
import { picture, span } from "./picture.js";

const $ = (id) => document.getElementById(id);
const AGAIN_MS = 3000;
const DETAIL_MS = 5000;

let events = null;
let latest = null;
let opened = null;
let detailTimer = null;

// ---------------------------------------------------------------- words

const moment = (ms) => new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dollars = (amount) => `$${amount.toFixed(amount < 1 ? 3 : 2)}`;
const named = (it) => (it.block ? `${it.interview} · block ${it.block}` : it.interview);

function state(it) {
  if (it.gap_seconds > 0) return [`Gemini away ${span(it.gap_seconds)}`, true];
  if (it.waiting_seconds !== null) return [`browser away ${span(it.waiting_seconds)}`, true];
  return ["both there", false];
}

// ---------------------------------------------------------------- asking

async function ask(path, { method = "GET", body } = {}) {
  const answer = await fetch(path, { method, body, credentials: "same-origin", cache: "no-store" });
  if (answer.status === 401) {
    show(false);
    throw new Error("Signed out: sign in again.");
  }
  const text = answer.status === 204 ? "" : await answer.text();
  if (!answer.ok) throw new Error(text.trim() || `The daemon answered ${answer.status}`);
  return text && answer.headers.get("Content-Type")?.startsWith("application/json") ? JSON.parse(text) : text;
}

function watch() {
  events?.close();
  events = new EventSource("live");
  events.onmessage = (event) => {
    latest = JSON.parse(event.data);
    // A tab that nobody sees costs nothing.
    if (!document.hidden) draw();
  };
  events.addEventListener("signed-out", () => show(false));
  events.onerror = () => {
    troubles(["The daemon does not answer. What is shown is what was."]);
    if (events.readyState !== EventSource.CLOSED) return;
    events = null;
    // The browser gives up after an answer that is no stream: was it the cookie, or the daemon?
    setTimeout(again, AGAIN_MS);
  };
}

async function again() {
  try {
    await ask("now");
    watch();
  } catch {
    if (document.body.dataset.state === "signed-in") setTimeout(again, AGAIN_MS);
  }
}

function show(signedIn) {
  document.body.dataset.state = signedIn ? "signed-in" : "signed-out";
  $("door").hidden = signedIn;
  $("now").hidden = $("actions").hidden = !signedIn;
  if (signedIn) {
    watch();
    return;
  }
  events?.close();
  events = null;
  latest = null;
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  for (const body of document.querySelectorAll("tbody")) body.replaceChildren();
  troubles([]);
  $("secret").focus();
}

// ---------------------------------------------------------------- drawing

function set(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function facts(list, pairs) {
  while (list.children.length > pairs.length) list.lastChild.remove();
  pairs.forEach(([name, value, bad], index) => {
    let box = list.children[index];
    if (!box) {
      box = document.createElement("div");
      box.append(document.createElement("dt"), document.createElement("dd"));
      list.append(box);
    }
    set(box.firstChild, name);
    set(box.lastChild, value);
    box.toggleAttribute("data-bad", Boolean(bad));
  });
}

// Brings a table's rows to what is wanted: rows by their keys, cells by their texts.
function rows(table, wanted, make) {
  const body = table.tBodies[0];
  const known = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  let before = body.firstElementChild;
  for (const [key, cells] of wanted) {
    let row = known.get(key);
    known.delete(key);
    if (!row) {
      row = make(key);
      row.dataset.key = key;
    }
    if (row !== before) body.insertBefore(row, before);
    else before = before.nextElementSibling;
    cells.forEach((cell, index) => {
      const { text, ...more } = typeof cell === "string" ? { text: cell } : cell;
      const node = row.cells[index];
      set(node.querySelector("button") ?? node, text);
      for (const [name, value] of Object.entries(more)) if (node.dataset[name] !== value) node.dataset[name] = value;
      if (node.classList.contains("bad") !== Boolean(more.bad)) node.classList.toggle("bad", Boolean(more.bad));
    });
  }
  for (const row of known.values()) row.remove();
}

function button(words, className, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = className;
  made.textContent = words;
  made.addEventListener("click", act);
  return made;
}

function row(classes, key, end) {
  const made = document.createElement("tr");
  for (const name of classes) made.insertCell().className = name;
  const [interview, block] = key.split(" ");
  made.cells[0].append(button("", "name", () => openDetail(interview, Number(block))));
  if (end) made.insertCell().append(button("End", "danger", () => confirmEnd(interview)));
  // They are laid out as grids, which takes the table from those who hear the page.
  made.role = "row";
  for (const cell of made.cells) cell.role = "cell";
  return made;
}

function draw() {
  const { status, ended, gemini } = latest;
  const { owed, journal } = status;
  set($("instance"), `${status.instance} · ${status.version} · up ${span(status.up_seconds)}`);
  set($("drain"), status.draining ? "Let interviews begin again" : "Drain");
  $("drain").disabled = status.stopping;
  facts($("facts"), [
    ["Interviews", `${status.interviews.length} of ${latest.max_sessions}`, status.interviews.length >= latest.max_sessions],
    ["Without a browser", String(status.waiting), false],
    ["New interviews", status.unready ?? "may begin", status.unready !== null],
    ["Gemini accepted last", gemini.accepted_ms ? `${span((latest.now_ms - gemini.accepted_ms) / 1000)} ago` : "not yet", false],
    ["Owed to the backend", owed.pending ? `${owed.pending}, since ${span(owed.oldest_seconds)}` : "nothing", owed.paused || owed.oldest_seconds > 900],
    ["Refused by the backend", String(owed.dead), owed.dead > 0],
    ["Not yet on disk", `${Math.round(journal.pending_bytes / 1024)} KiB`, journal.fault !== null],
    ["Cost since the start", dollars(latest.cost_dollars), false],
  ]);
  troubles([
    ...status.degraded,
    ...(journal.fault ? [`The journal cannot be written: ${journal.fault}`] : []),
    ...(owed.paused ? ["The backend refuses WORKER_SHARED_SECRET: nothing is delivered"] : []),
    ...(journal.damaged_rows ? [`${journal.damaged_rows} rows of the journal were damaged: preppald journal check`] : []),
  ]);
  const wanted = $("filter").value.trim().toLowerCase();
  const shown = status.interviews.filter((it) => `${it.interview} ${it.user}`.toLowerCase().includes(wanted));
  rows($("interviews"), shown.map((it) => {
    const [words, bad] = state(it);
    return [`${it.interview} ${it.block}`, [
      named(it), it.user,
      { text: it.floor, who: it.floor.split(",")[0] },
      { text: words, bad: bad ? "1" : "" },
      span(it.age_seconds), span(it.left_seconds),
      it.restorations ? `${it.rotations} + ${it.restorations} restored` : String(it.rotations),
      dollars(it.cost_dollars),
    ]];
  }), (key) => row(["", "", "floor", "", "number", "number", "number", "number"], key, true));
  $("none").hidden = shown.length > 0;
  set($("none"), status.interviews.length ? "None of them fits." : "No interview runs.");
  rows($("ended"), ended.map((it) => [`${it.interview} ${it.block}`, [
    named(it), it.user, moment(it.ended_ms), span((it.ended_ms - it.started_ms) / 1000), it.ending, it.cause,
  ]]), (key) => row(["", "", "", "number", "", ""], key, false));
  $("none-ended").hidden = ended.length > 0;
  $("ended").parentElement.hidden = ended.length === 0;
  const failures = Object.entries(gemini.failures).map(([cause, times]) => `${cause} ${times}`);
  set($("gemini"), `${gemini.connects} connections set up; ${failures.length ? `failed: ${failures.join(", ")}` : "none failed"}.`);
}

function troubles(words) {
  const list = $("troubles");
  while (list.children.length > words.length) list.lastChild.remove();
  words.forEach((text, index) => set(list.children[index] ?? list.appendChild(document.createElement("li")), text));
}

// ---------------------------------------------------------------- one interview

async function openDetail(interview, block) {
  opened = [interview, block];
  $("detail-title").textContent = interview;
  $("detail-facts").textContent = "…";
  for (const id of ["picture", "numbers", "words"]) $(id).replaceChildren();
  $("detail").showModal();
  await drawDetail();
}

async function drawDetail() {
  clearTimeout(detailTimer);
  if (!opened || !$("detail").open) return;
  const [interview, block] = opened;
  try {
    const it = await ask(`interviews/${encodeURIComponent(interview)}${block ? `/${block}` : ""}`);
    if (opened?.[0] !== interview || opened[1] !== block) return;
    detail(it);
    if (it.ended_ms === null) detailTimer = setTimeout(drawDetail, DETAIL_MS);
  } catch (error) {
    $("detail-facts").textContent = error.message;
  }
}

function detail(it) {
  const end = it.ended_ms === null ? "live" : `${it.ending}${it.cause ? `: ${it.cause}` : ""}`;
  set($("detail-title"), named(it));
  set($("detail-facts"), [`user ${it.user}`, `since ${moment(it.started_ms)}`, span(it.length_ms / 1000), it.model, end].join(" · "));
  $("picture").replaceChildren(...picture(it));
  const { quality: q } = it;
  const seconds = (ms) => (ms === null ? "–" : `${(ms / 1000).toFixed(1)} s`);
  facts($("numbers"), [
    ["Turns, candidate and interviewer", `${q.candidate_turns}, ${q.interviewer_turns}`],
    ["Spoken, candidate and interviewer", `${span(q.candidate_ms / 1000)}, ${span(q.interviewer_ms / 1000)}`],
    ["The candidate's share", q.candidate_share === null ? "–" : `${Math.round(q.candidate_share * 100)} %`],
    ["The candidate's words a minute", q.words_a_minute === null ? "–" : String(Math.round(q.words_a_minute))],
    ["Waits: half, p99, longest", [q.wait_p50_ms, q.wait_p99_ms, q.wait_longest_ms].map(seconds).join(", ")],
    ["Longest silence of each", `${seconds(q.candidate_silence_ms)}, ${seconds(q.interviewer_silence_ms)}`],
    ["Cut in", String(q.interruptions)],
    ...(q.service ? service(q.service, seconds) : []),
    ["Tokens, cost", `${it.tokens}, ${dollars(it.cost_dollars)}`],
  ]);
  $("words").replaceChildren(...it.turns.filter((turn) => turn.text !== undefined).map((turn) => {
    const line = document.createElement("li");
    const who = document.createElement("b");
    who.className = turn.speaker;
    who.textContent = turn.speaker === "AI" ? "Interviewer" : "Candidate";
    const text = document.createElement("span");
    text.textContent = turn.text;
    line.append(span(turn.begin_ms / 1000), who, text);
    return line;
  }));
}

// The daemon's own part: [name, value, bad] of each number.
function service(of, seconds) {
  return [
    ["Broke off, and taken up again", String(of.false_interruptions)],
    ["Prompts to a silent interviewer", String(of.prompts)],
    ["Gaps: how many, in all, longest", `${of.gaps}, ${seconds(of.gap_ms)}, ${seconds(of.gap_longest_ms)}`],
    ["Time given back", seconds(of.credited_ms)],
    ["Sound dropped", seconds(of.dropped_ms), of.dropped_ms > 0],
    ["Connections changed, restored", `${of.rotations}, ${of.restorations}`],
  ];
}

// ---------------------------------------------------------------- orders

function confirmed(title, words, yes, reason, act) {
  $("confirm-title").textContent = title;
  $("confirm-words").textContent = words;
  $("confirm-yes").textContent = yes;
  $("confirm-problem").textContent = "";
  $("reason-label").hidden = !reason;
  $("reason").value = "";
  $("confirm").querySelector("form").onsubmit = async (event) => {
    event.preventDefault();
    $("confirm-yes").disabled = true;
    try {
      await act($("reason").value.trim());
      $("confirm").close();
    } catch (error) {
      $("confirm-problem").textContent = error.message;
    } finally {
      $("confirm-yes").disabled = false;
    }
  };
  $("confirm").showModal();
}

function confirmEnd(interview) {
  confirmed(`End ${interview}?`, "The candidate is told that the service ended the interview; what was said is delivered. This cannot be undone.",
    "End it", true, (reason) => ask("end", { method: "POST", body: JSON.stringify({ interview, reason }) }));
}

$("drain").addEventListener("click", () => {
  if (latest?.status.draining) {
    confirmed("Let interviews begin again?", "New interviews are accepted from now on.", "Let them begin", false, () => ask("undrain", { method: "POST", body: "{}" }));
  } else {
    confirmed("Drain?", "New interviews are refused from now on; those that run go on. The daemon does not stop.", "Drain", false, () => ask("drain", { method: "POST", body: "{}" }));
  }
});

$("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("door-problem").textContent = "";
  try {
    await ask("sign-in", { method: "POST", body: $("secret").value });
    $("secret").value = "";
    show(true);
  } catch (error) {
    $("door-problem").textContent = error.message;
  }
});
$("sign-out").addEventListener("click", () => ask("sign-out", { method: "POST", body: "" }).finally(() => show(false)));
$("filter").addEventListener("input", () => latest && draw());
for (const close of document.querySelectorAll("[data-close]")) close.addEventListener("click", () => close.closest("dialog").close());
$("detail").addEventListener("close", () => { opened = null; clearTimeout(detailTimer); });
document.addEventListener("visibilitychange", () => latest && !document.hidden && draw());

ask("now").then(() => show(true), () => show(false));
