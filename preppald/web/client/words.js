/**
 * All sentences of the client for the candidate, by language and name. An application may bring its own: any part of a
 * language's words, given to InterviewClient as `words`.
 *
 * Rule 1: a sentence says what happened and what the candidate can do, and blames nobody for what is ours.
 * Rule 2: each language has the same names.
 */

/** The endings of an interview. */
const ENDINGS_EN = {
  "ended-by-user": "You ended the interview.",
  "time-is-up": "The time is up. Thank you for taking part.",
  "interviewer-finished": "The interviewer has ended the interview.",
  "ended-by-operator": "The interview was ended by those who run this service. What was said so far has been kept; please ask them how to go on.",
  ended: "The interview has ended.",
  "ai-unreachable": "The AI interviewer could not be reached. Nothing was lost; please try again in a few minutes.",
  "ai-failed": "The AI interviewer failed and could not be brought back. What was said so far has been kept.",
  replaced: "This interview is now open in another tab or on another device, and goes on there.",
  draining: "The server is being restarted. What was said so far has been kept.",
  refused: "The server did not accept this page's link: it has expired or is incomplete. Please open the interview again.",
  "another-interview": "This link belongs to another interview. Please open the interview again from where you got the link.",
  "wrong-page": "This page is not set up to hold interviews on this server. Please tell whoever runs it: nothing you did is wrong.",
  "not-understood": "The server did not understand this page's request. Please reload the page; if that does not help, tell whoever runs it.",
  "over-meanwhile": "The interview was over before the connection came back. What was said so far has been kept.",
  "too-many": "Too many connections came from your network at once, perhaps from others there. Please wait a minute and try again.",
  full: "The server takes no new interviews at the moment. Please try again in a few minutes.",
  "blocked-between": "Something between you and the server, such as a company's proxy or firewall, does not let the interview's connection through. Please try another network.",
  unreachable: "The server cannot be reached. If other pages open, the fault is ours: please try again in a few minutes.",
  "connection-lost": "The connection was lost and did not come back in time. What was said so far has been kept.",
  protocol: "The server did not understand this page. Please reload it and try again.",
  "server-error": "Something went wrong on the server. What was said so far has been kept.",
};

/** Troubles during an interview, or before it begins; the most urgent first. */
const TROUBLES_EN = {
  "audio-paused": "The device has paused the sound. Touch the page or press a key to go on.",
  "sound-stopped": "The device's sound has stopped. Touch the page or press a key to start it again.",
  "microphone-withdrawn": "The permission to use the microphone was taken back. Allow it in the browser's settings for this page, then turn it on again.",
  "microphone-lost": "The microphone was disconnected. Connect it again, then turn it on.",
  "microphone-changed": "Your microphone was disconnected. Another one is in use now; say something, and see whether the bar moves.",
  "microphone-muted": "Your microphone is muted by the device. Look for a mute key on the headset or keyboard.",
  "microphone-silent": "Nothing comes from your microphone. Check its switch, or choose another microphone.",
  "line-silent": "The connection is not getting through. Please wait: you may not be heard.",
  "waiting-for-server": "The server is busy. This page tries again by itself; please wait.",
  "slow-connection": "Your connection is slow: you may be heard late, and the interviewer's voice may break up.",
  echo: "Your microphone hears the interviewer. Use headphones, or take turns: your microphone then rests while the interviewer speaks.",
  "speech-dropped": "Some of what you said did not get through. Please say it again.",
  "audio-dropped": "A part of the interviewer's reply was too long to keep and is missing.",
  "server-complaint": "The server reported a problem.",
  "microphone-denied": "The browser does not let this page use the microphone. Allow it in the address bar or the page's settings, then try again.",
  "microphone-denied-by-system": "The system does not let this browser use the microphone. Allow it in the system's privacy settings, then try again.",
  "microphone-denied-by-page": "The page around this one does not pass the microphone on to it. Please tell whoever runs it: it must allow the microphone.",
  "microphone-missing": "No microphone was found. Please connect one, then try again.",
  "microphone-busy": "The microphone does not start. Another program may be using it.",
  "insecure-context": "Browsers allow a microphone only on secure pages. Open this page by https, or on localhost.",
  "audio-unavailable": "The browser could not start its sound. Check that a loudspeaker or headphones are connected, then try again.",
  "sound-not-loaded": "A part of this page did not load. Please check your internet connection, then try again.",
  "interview-over": "The interview is over.",
};

/** Reasons for which a typed answer is not taken. */
const TEXT_PROBLEMS_EN = {
  "text-too-long": "Your answer is too long to be sent at once: 2,000 characters at most. Please send it in parts.",
  "text-too-often": "That was more than ten answers in a minute. Please wait a moment, then send it again.",
  "text-not-taken": "There is nothing to send yet. Please write your answer first.",
  "text-not-available": "Answers cannot be written just now. Please speak, or try again once the interview has begun.",
};

/** @typedef {keyof typeof ENDINGS_EN} Ending */
/** @typedef {keyof typeof TROUBLES_EN} Trouble */
/** @typedef {keyof typeof TEXT_PROBLEMS_EN} TextProblem */
/** @typedef {Readonly<Record<Ending | Trouble | TextProblem, string>>} Words */

/** @type {Record<Ending, string>} */
const ENDINGS_DE = {
  "ended-by-user": "Sie haben das Interview beendet.",
  "time-is-up": "Die Zeit ist um. Vielen Dank für Ihre Teilnahme.",
  "interviewer-finished": "Das Interview wurde vom Gegenüber beendet.",
  "ended-by-operator": "Das Interview wurde vom Betreiber dieses Dienstes beendet. Was bisher gesagt wurde, ist gespeichert; bitte fragen Sie dort, wie es weitergeht.",
  ended: "Das Interview ist beendet.",
  "ai-unreachable": "Das KI-Gegenüber war nicht zu erreichen. Nichts ging verloren; bitte versuchen Sie es in einigen Minuten noch einmal.",
  "ai-failed": "Das KI-Gegenüber ist ausgefallen und kam nicht zurück. Was bisher gesagt wurde, ist gespeichert.",
  replaced: "Dieses Interview ist jetzt in einem anderen Tab oder auf einem anderen Gerät offen und geht dort weiter.",
  draining: "Der Server wird neu gestartet. Was bisher gesagt wurde, ist gespeichert.",
  refused: "Der Server hat den Link dieser Seite nicht angenommen: Er ist abgelaufen oder unvollständig. Bitte öffnen Sie das Interview noch einmal.",
  "another-interview": "Dieser Link gehört zu einem anderen Interview. Bitte öffnen Sie das Interview noch einmal dort, wo Sie den Link bekommen haben.",
  "wrong-page": "Diese Seite ist für Interviews auf diesem Server nicht eingerichtet. Bitte melden Sie das dem Betreiber: Sie haben nichts falsch gemacht.",
  "not-understood": "Der Server hat die Anfrage dieser Seite nicht verstanden. Bitte laden Sie die Seite neu; wenn das nicht hilft, melden Sie es dem Betreiber.",
  "over-meanwhile": "Das Interview war zu Ende, bevor die Verbindung wiederkam. Was bisher gesagt wurde, ist gespeichert.",
  "too-many": "Aus Ihrem Netz kamen zu viele Verbindungen auf einmal, vielleicht von anderen dort. Bitte warten Sie eine Minute und versuchen Sie es noch einmal.",
  full: "Der Server nimmt gerade keine neuen Interviews an. Bitte versuchen Sie es in einigen Minuten noch einmal.",
  "blocked-between": "Etwas zwischen Ihnen und dem Server, etwa ein Proxy oder eine Firewall, lässt die Verbindung des Interviews nicht durch. Bitte versuchen Sie es in einem anderen Netz.",
  unreachable: "Der Server ist nicht zu erreichen. Wenn andere Seiten sich öffnen, liegt es an uns: Bitte versuchen Sie es in einigen Minuten noch einmal.",
  "connection-lost": "Die Verbindung ging verloren und kam nicht rechtzeitig wieder. Was bisher gesagt wurde, ist gespeichert.",
  protocol: "Der Server hat diese Seite nicht verstanden. Bitte laden Sie sie neu und versuchen Sie es noch einmal.",
  "server-error": "Auf dem Server ist etwas schiefgegangen. Was bisher gesagt wurde, ist gespeichert.",
};

/** @type {Record<Trouble, string>} */
const TROUBLES_DE = {
  "audio-paused": "Das Gerät hat den Ton angehalten. Berühren Sie die Seite oder drücken Sie eine Taste, dann geht es weiter.",
  "sound-stopped": "Der Ton des Geräts ist stehen geblieben. Berühren Sie die Seite oder drücken Sie eine Taste, um ihn neu zu starten.",
  "microphone-withdrawn": "Die Erlaubnis für das Mikrofon wurde zurückgenommen. Erlauben Sie es in den Browser-Einstellungen für diese Seite und schalten Sie es wieder ein.",
  "microphone-lost": "Das Mikrofon wurde getrennt. Schließen Sie es wieder an und schalten Sie es ein.",
  "microphone-changed": "Ihr Mikrofon wurde getrennt. Jetzt ist ein anderes in Gebrauch: Sagen Sie etwas und sehen Sie, ob der Balken sich bewegt.",
  "microphone-muted": "Ihr Mikrofon ist am Gerät stummgeschaltet. Suchen Sie die Stummtaste an Headset oder Tastatur.",
  "microphone-silent": "Von Ihrem Mikrofon kommt nichts. Prüfen Sie seinen Schalter oder wählen Sie ein anderes Mikrofon.",
  "line-silent": "Die Verbindung kommt gerade nicht durch. Bitte warten Sie: Vielleicht werden Sie nicht gehört.",
  "waiting-for-server": "Der Server ist beschäftigt. Diese Seite versucht es von selbst noch einmal; bitte warten Sie.",
  "slow-connection": "Ihre Verbindung ist langsam: Sie werden vielleicht verspätet gehört, und die Stimme des Interviewers kann aussetzen.",
  echo: "Ihr Mikrofon hört Ihr Gegenüber mit. Nehmen Sie Kopfhörer, oder sprechen Sie abwechselnd: Ihr Mikrofon pausiert dann, während das Gegenüber spricht.",
  "speech-dropped": "Ein Teil dessen, was Sie sagten, kam nicht an. Bitte sagen Sie es noch einmal.",
  "audio-dropped": "Ein Teil der Antwort war zu lang zum Aufheben und fehlt.",
  "server-complaint": "Der Server hat ein Problem gemeldet.",
  "microphone-denied": "Der Browser lässt diese Seite das Mikrofon nicht benutzen. Erlauben Sie es in der Adresszeile oder den Einstellungen der Seite und versuchen Sie es noch einmal.",
  "microphone-denied-by-system": "Das System lässt diesen Browser das Mikrofon nicht benutzen. Erlauben Sie es in den Datenschutz-Einstellungen des Systems und versuchen Sie es noch einmal.",
  "microphone-denied-by-page": "Die umgebende Seite gibt das Mikrofon nicht an diese weiter. Bitte melden Sie das dem Betreiber: Sie muss das Mikrofon erlauben.",
  "microphone-missing": "Kein Mikrofon gefunden. Bitte schließen Sie eines an und versuchen Sie es noch einmal.",
  "microphone-busy": "Das Mikrofon startet nicht. Vielleicht benutzt es ein anderes Programm.",
  "insecure-context": "Browser erlauben ein Mikrofon nur auf sicheren Seiten. Öffnen Sie diese Seite über https oder auf localhost.",
  "audio-unavailable": "Der Browser konnte seinen Ton nicht starten. Prüfen Sie, ob Lautsprecher oder Kopfhörer angeschlossen sind, und versuchen Sie es noch einmal.",
  "sound-not-loaded": "Ein Teil dieser Seite wurde nicht geladen. Bitte prüfen Sie Ihre Internetverbindung und versuchen Sie es noch einmal.",
  "interview-over": "Das Interview ist zu Ende.",
};

/** @type {Record<TextProblem, string>} */
const TEXT_PROBLEMS_DE = {
  "text-too-long": "Ihre Antwort ist zu lang, um sie auf einmal zu senden: höchstens 2.000 Zeichen. Bitte senden Sie sie in Teilen.",
  "text-too-often": "Das waren mehr als zehn Antworten in einer Minute. Bitte warten Sie einen Moment und senden Sie sie dann noch einmal.",
  "text-not-taken": "Es gibt noch nichts zu senden. Bitte schreiben Sie zuerst Ihre Antwort.",
  "text-not-available": "Antworten lassen sich gerade nicht schreiben. Bitte sprechen Sie, oder versuchen Sie es, wenn das Interview begonnen hat.",
};

export const ENDINGS = Object.freeze(ENDINGS_EN);
export const TROUBLES = Object.freeze(TROUBLES_EN);

/** By language; the first is for all others. @type {Readonly<Record<string, Words>>} */
export const WORDS = Object.freeze({
  en: Object.freeze({ ...ENDINGS_EN, ...TROUBLES_EN, ...TEXT_PROBLEMS_EN }),
  de: Object.freeze({ ...ENDINGS_DE, ...TROUBLES_DE, ...TEXT_PROBLEMS_DE }),
});

/**
 * Return a language's words, with an application's own in front.
 * @param {string} [language] a BCP 47 tag, of which the first part counts; unknown ones get English
 * @param {Partial<Words>} [own]
 * @returns {Words}
 */
export function wordsIn(language = "en", own = {}) {
  const known = WORDS[language.toLowerCase().split("-")[0] ?? ""] ?? /** @type {Words} */ (WORDS.en);
  return { ...known, ...own };
}

/**
 * Return an ending, a trouble or a text problem in a sentence for the candidate.
 * @param {Ending | Trouble | TextProblem} name
 * @param {string} [language] as for wordsIn
 * @returns {string}
 */
export function explain(name, language = "en") {
  return wordsIn(language)[name];
}
