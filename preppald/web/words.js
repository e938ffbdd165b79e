/**
 * All words of this page, by language. Sentences about endings and troubles are the client's own (client/words.js).
 *
 * Rule: each language has the same names; a page in the document's English needs no script to be read.
 */

const EN = {
  title: "Practise your interview, out loud.",
  intro: "An AI interviewer will greet you and ask questions. Answer as you would across a table: pause when you need to, and speak over the interviewer when you want to. If your connection drops, the interview waits for you.",
  start: "Start the interview",
  startSilent: "Start without a microphone",
  hint: "Your browser will ask for your microphone. Headphones give the best sound. Without a microphone you can answer in writing.",
  check: "Check microphone and sound",
  checkTitle: "Check your sound",
  microphone: "Microphone",
  loudspeaker: "Loudspeaker",
  systemChoice: "The system's choice",
  unnamed: "Device",
  level: "Say something: the bar should move.",
  sound: "Sound",
  soundTitle: "Microphone and sound",
  volume: "Volume of the interviewer",
  done: "Done",
  chooseMicrophone: "Choose another microphone",
  tryOut: "Record three seconds and play them back",
  recording: "Speak now…",
  playing: "This is what the interviewer will hear.",
  asking: "Your browser is asking for your microphone now. Choose “Allow”, or go on without one.",
  withoutMicrophone: "Go on without a microphone",
  liveTitle: "Your interview is still going on",
  liveIntro: "This page was closed or reloaded in the middle of it. Nothing that was said is lost.",
  continueLive: "Continue the interview",
  leaveLive: "Begin a new one instead",
  interview: "Interview",
  connecting: "Calling the interviewer…",
  ready: "The interviewer is about to begin.",
  yourTurn: "Your turn. Take your time.",
  hearsYou: "I'm listening.",
  microphoneOff: "Your turn. Your microphone is off.",
  sampleSpoken: "The sample answer is being spoken.",
  speaking: "The interviewer is speaking.",
  paused: "Paused. Take your time.",
  reconnecting: "Reconnecting…",
  connectionLost: "The connection was lost. Your interview is held while it is restored. Please wait: you may not be heard.",
  backAgain: "You are connected again. Anything you missed is in the transcript.",
  ended: "The interview has ended.",
  mute: "Mute",
  unmute: "Unmute",
  turnMicrophoneOn: "Mic on",
  pause: "Pause",
  goOn: "Go on",
  type: "Write",
  writeLabel: "Your answer in writing",
  writePlaceholder: "Your answer. Enter sends it.",
  send: "Send",
  sample: "Use sample answer",
  samplePlaying: "Speaking…",
  end: "End",
  endWide: "End interview",
  takeTurns: "Take turns",
  timeLeft: "{time} left",
  clock: "Time left",
  announcer: "What was said",
  transcript: "Transcript",
  emptyTranscript: "What is said appears here.",
  you: "You",
  interviewer: "Interviewer",
  cutHere: "You cut in here",
  cutOff: "Interrupted here",
  confirmTitle: "End the interview?",
  confirm: "The transcript so far is kept. This interview cannot be continued afterwards.",
  keepGoing: "Keep going",
  endedTitle: "Interview ended",
  movedTitle: "Your interview has moved",
  notStartedTitle: "The interview did not start",
  again: "Start another interview",
  length: "Length",
  answers: "Your answers",
  copy: "Copy transcript",
  copied: "Copied",
  download: "Save as text",
  downloadVtt: "Save as subtitles",
  feedback: "Feedback",
};

/** @typedef {keyof typeof EN} Word */

/** @type {Record<Word, string>} */
const DE = {
  title: "Üben Sie Ihr Interview, laut.",
  intro: "Ein KI-Gegenüber begrüßt Sie und stellt Fragen. Antworten Sie wie an einem Tisch: Machen Sie Pausen, wenn Sie sie brauchen, und sprechen Sie dazwischen, wenn Sie wollen. Bricht die Verbindung ab, wartet das Interview auf Sie.",
  start: "Interview beginnen",
  startSilent: "Ohne Mikrofon beginnen",
  hint: "Ihr Browser wird nach dem Mikrofon fragen. Mit Kopfhörern klingt es am besten. Ohne Mikrofon können Sie schriftlich antworten.",
  check: "Mikrofon und Ton prüfen",
  checkTitle: "Ton prüfen",
  microphone: "Mikrofon",
  loudspeaker: "Lautsprecher",
  systemChoice: "Wie im System eingestellt",
  unnamed: "Gerät",
  level: "Sagen Sie etwas: Der Balken sollte sich bewegen.",
  sound: "Ton",
  soundTitle: "Mikrofon und Ton",
  volume: "Lautstärke des Gegenübers",
  done: "Fertig",
  chooseMicrophone: "Anderes Mikrofon wählen",
  tryOut: "Drei Sekunden aufnehmen und abspielen",
  recording: "Sprechen Sie jetzt …",
  playing: "So hört Sie Ihr Gegenüber.",
  asking: "Ihr Browser fragt jetzt nach dem Mikrofon. Wählen Sie „Zulassen“, oder machen Sie ohne weiter.",
  withoutMicrophone: "Ohne Mikrofon weiter",
  liveTitle: "Ihr Interview läuft noch",
  liveIntro: "Diese Seite wurde mittendrin geschlossen oder neu geladen. Nichts Gesagtes ist verloren.",
  continueLive: "Interview fortsetzen",
  leaveLive: "Stattdessen ein neues beginnen",
  interview: "Interview",
  connecting: "Ihr Gegenüber wird angerufen …",
  ready: "Gleich geht es los.",
  yourTurn: "Sie sind dran. Lassen Sie sich Zeit.",
  hearsYou: "Ich höre zu.",
  microphoneOff: "Sie sind dran. Ihr Mikrofon ist aus.",
  sampleSpoken: "Die Beispielantwort wird gesprochen.",
  speaking: "Ihr Gegenüber spricht.",
  paused: "Pause. Lassen Sie sich Zeit.",
  reconnecting: "Verbindung wird wiederhergestellt …",
  connectionLost: "Die Verbindung ging verloren. Ihr Interview wird gehalten, bis sie wieder da ist. Bitte warten Sie: Vielleicht werden Sie nicht gehört.",
  backAgain: "Sie sind wieder verbunden. Was Sie verpasst haben, steht in der Mitschrift.",
  ended: "Das Interview ist beendet.",
  mute: "Stumm",
  unmute: "Mikro an",
  turnMicrophoneOn: "Mikro an",
  pause: "Pause",
  goOn: "Weiter",
  type: "Schreiben",
  writeLabel: "Ihre Antwort, schriftlich",
  writePlaceholder: "Ihre Antwort. Die Eingabetaste sendet sie.",
  send: "Senden",
  sample: "Beispielantwort",
  samplePlaying: "Läuft …",
  end: "Ende",
  endWide: "Interview beenden",
  takeTurns: "Abwechselnd sprechen",
  timeLeft: "noch {time}",
  clock: "Verbleibende Zeit",
  announcer: "Was gesagt wurde",
  transcript: "Mitschrift",
  emptyTranscript: "Hier erscheint, was gesagt wird.",
  you: "Sie",
  interviewer: "Gegenüber",
  cutHere: "Hier fielen Sie ins Wort",
  cutOff: "Hier unterbrochen",
  confirmTitle: "Interview beenden?",
  confirm: "Die Mitschrift bis hierher bleibt erhalten. Das Interview kann danach nicht fortgesetzt werden.",
  keepGoing: "Weitermachen",
  endedTitle: "Interview beendet",
  movedTitle: "Ihr Interview ist umgezogen",
  notStartedTitle: "Das Interview hat nicht begonnen",
  again: "Noch ein Interview",
  length: "Dauer",
  answers: "Ihre Antworten",
  copy: "Mitschrift kopieren",
  copied: "Kopiert",
  download: "Als Text speichern",
  downloadVtt: "Als Untertitel speichern",
  feedback: "Rückmeldung",
};

export const PAGE_WORDS = Object.freeze({ en: Object.freeze(EN), de: Object.freeze(DE) });

/**
 * Return the page's language: `?lang=`, or the browser's first that there are words for.
 * @param {string} search location.search
 * @param {readonly string[]} preferred navigator.languages
 * @returns {"en" | "de"}
 */
export function languageOf(search, preferred) {
  const wanted = [new URLSearchParams(search).get("lang") ?? "", ...preferred].map((tag) => tag.toLowerCase().split("-")[0]);
  return wanted.find((language) => language === "en" || language === "de") === "de" ? "de" : "en";
}

/** @type {"en" | "de"} */
export const language = languageOf(globalThis.location?.search ?? "", globalThis.navigator?.languages ?? []);

/** The page's words in its language. @type {Readonly<Record<Word, string>>} */
export const words = PAGE_WORDS[language];

/** Put the words where the document names them. @param {Document} page */
export function speakLanguage(page) {
  page.documentElement.lang = language;
  for (const node of page.querySelectorAll("[data-word]")) {
    node.textContent = words[/** @type {Word} */ (/** @type {HTMLElement} */ (node).dataset.word)];
  }
  for (const node of page.querySelectorAll("[data-label]")) {
    node.setAttribute("aria-label", words[/** @type {Word} */ (/** @type {HTMLElement} */ (node).dataset.label)]);
  }
  for (const node of page.querySelectorAll("[data-placeholder]")) {
    const field = /** @type {HTMLTextAreaElement} */ (node);
    field.placeholder = words[/** @type {Word} */ (field.dataset.placeholder)];
  }
}
