/** `?auto=sample`: a whole interview without a hand, for tests and for a first look. */

/** @typedef {import("./client/preppal-client.js").InterviewClient} InterviewClient */

/** A turn is over when its text is complete and its sound has been silent this long. */
const SETTLED_MS = 800;

const LOOK_EVERY_MS = 100;

/**
 * Hears the greeting, speaks the sample answer, hears the reply, ends.
 * @param {InterviewClient} client started
 * @param {Int16Array<ArrayBuffer>} pcm
 */
export async function runSampleInterview(client, pcm) {
  await interviewerFinished(client, 1);
  const heard = completeTurns(client);
  client.answer(pcm);
  await interviewerFinished(client, heard + 1);
  client.end();
}

/** @param {InterviewClient} client */
function completeTurns(client) {
  return client.turns.filter((turn) => turn.speaker === "AI" && turn.complete).length;
}

/**
 * @param {InterviewClient} client
 * @param {number} turns of the interviewer, complete and heard out
 */
async function interviewerFinished(client, turns) {
  let settledMs = 0;
  while (settledMs < SETTLED_MS && client.state !== "ended") {
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    const finished = client.state === "listening" && completeTurns(client) >= turns;
    settledMs = finished ? settledMs + LOOK_EVERY_MS : 0;
  }
}
