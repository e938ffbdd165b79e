// Google's JavaScript SDK holds conversations with `preppald simulate`; SIMULATOR is its http:// origin.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ActivityHandling, Behavior, EndSensitivity, StartSensitivity, TurnCoverage } from '@google/genai';
import { client, content, handle, heard, pcm, spoken, Talk } from './talk.mjs';

const TRANSCRIBED = { inputAudioTranscription: {}, outputAudioTranscription: {} };
const GREET = (session) => session.sendRealtimeInput({ text: '(The candidate has joined.)' });
const SECOND_OF_SPEECH_BYTES = 48_000;

/** Everything that a setup may hold on this model, and the SDK sends. */
const EVERYTHING = {
  ...TRANSCRIBED,
  temperature: 0.7,
  topP: 0.9,
  topK: 40,
  maxOutputTokens: 8192,
  seed: 7,
  mediaResolution: 'MEDIA_RESOLUTION_LOW',
  speechConfig: { languageCode: 'en-US', voiceConfig: { prebuiltVoiceConfig: { voiceName: 'Kore' } } },
  systemInstruction: 'You are an interviewer.',
  tools: [
    {
      functionDeclarations: [
        {
          name: 'end_interview',
          description: 'Ends the interview.',
          behavior: Behavior.NON_BLOCKING,
          parametersJsonSchema: { type: 'object', properties: { reason: { type: 'string' } } },
        },
      ],
    },
  ],
  sessionResumption: {},
  realtimeInputConfig: {
    automaticActivityDetection: {
      disabled: false,
      startOfSpeechSensitivity: StartSensitivity.START_SENSITIVITY_LOW,
      endOfSpeechSensitivity: EndSensitivity.END_SENSITIVITY_LOW,
      prefixPaddingMs: 100,
      silenceDurationMs: 800,
    },
    activityHandling: ActivityHandling.START_OF_ACTIVITY_INTERRUPTS,
    turnCoverage: TurnCoverage.TURN_INCLUDES_ONLY_ACTIVITY,
  },
  contextWindowCompression: { triggerTokens: '80000', slidingWindow: { targetTokens: '40000' } },
};

test('a spoken conversation, with every option of the setup', async () => {
  const talk = await Talk.begin(EVERYTHING, { key: 'scenario:interview/js' });
  const greeting = await talk.turn(GREET);
  assert.match(spoken(greeting), /^Hello/);
  assert.ok(pcm(greeting).length > SECOND_OF_SPEECH_BYTES);
  const last = greeting.findLast((message) => message.usageMetadata);
  assert.ok(last.usageMetadata.responseTokenCount > 0);
  assert.equal(last.serverContent.interactionStatus, 'IDLE');

  const reply = await talk.turn(() => talk.speak());
  assert.match(heard(reply), /durable queue, and the losses went to zero/);
  assert.ok(pcm(reply).length > SECOND_OF_SPEECH_BYTES);
  assert.notEqual(spoken(reply), spoken(greeting));
  const kinds = content(reply).map((it) => Object.keys(it)[0]);
  assert.ok(kinds.indexOf('inputTranscription') < kinds.indexOf('modelTurn'));
  assert.ok(kinds.indexOf('generationComplete') < kinds.indexOf('turnComplete'));

  talk.session.close();
  await talk.ended();
});

test('text is answered as content, too', async () => {
  const talk = await Talk.begin(TRANSCRIBED);
  const reply = await talk.turn((session) =>
    session.sendClientContent({ turns: [{ role: 'user', parts: [{ text: 'Begin.' }] }], turnComplete: true }),
  );
  assert.match(spoken(reply), /^Hello/);
  talk.session.close();
});

test('the candidate speaks over the interviewer', async () => {
  const talk = await Talk.begin(TRANSCRIBED);
  GREET(talk.session);
  await talk.until((message) => message.serverContent?.modelTurn);
  talk.speak();
  await talk.until((message) => message.serverContent?.interrupted);
  const before = content(talk.messages);
  assert.ok(!before.some((it) => it.generationComplete));
  talk.session.close();
});

test('the client says itself when somebody speaks', async () => {
  const talk = await Talk.begin({
    ...TRANSCRIBED,
    realtimeInputConfig: { automaticActivityDetection: { disabled: true } },
  });
  const reply = await talk.turn((session) => {
    session.sendRealtimeInput({ activityStart: {} });
    talk.speak();
    session.sendRealtimeInput({ activityEnd: {} });
  });
  assert.match(heard(reply), /durable queue/);
  talk.session.close();
});

test('a stream that ends is an utterance that ends', async () => {
  const talk = await Talk.begin(TRANSCRIBED);
  const reply = await talk.turn((session) => {
    const second = Buffer.alloc(32_000);
    for (let at = 0; at < second.length; at += 2) second.writeInt16LE(at % 64 < 32 ? 8000 : -8000, at);
    talk.speak(second);
    session.sendRealtimeInput({ audioStreamEnd: true });
  });
  assert.match(heard(reply), /s of speech/);
  talk.session.close();
});

test('the model calls a function and takes its answer', async () => {
  const talk = await Talk.begin(EVERYTHING, { key: 'scenario:tools/js' });
  await talk.turn(GREET);
  await talk.turn(GREET);
  GREET(talk.session);
  const { toolCall } = await talk.until((message) => message.toolCall);
  const [call] = toolCall.functionCalls;
  assert.equal(call.name, 'end_interview');
  assert.deepEqual(call.args, { reason: 'all questions were answered' });
  const from = talk.messages.length;
  talk.session.sendToolResponse({
    functionResponses: [{ id: call.id, name: call.name, response: { ok: true } }],
  });
  await talk.until((message) => message.serverContent?.turnComplete, from);
  talk.session.close();
});

test('goAway in time, and the session goes on over the next connection', async () => {
  const options = { key: 'scenario:rotation/js' };
  const first = await Talk.begin(EVERYTHING, options);
  await first.turn(GREET);
  const { goAway } = await first.until((message) => message.goAway);
  assert.match(goAway.timeLeft, /^\d+s$/);
  const given = handle(first.messages);
  first.session.close();
  await first.ended();

  const second = await Talk.begin({ ...EVERYTHING, sessionResumption: { handle: given } }, options);
  const reply = await second.turn(() => second.speak());
  assert.doesNotMatch(spoken(reply), /^Hello/, 'nobody greets twice');
  assert.match((await second.ended()).reason, /GoAway/, 'who ignores it is closed');
});

for (const [name, config, options, code, reason] of [
  ['a bad key', {}, { key: 'scenario:bad-key/js' }, 1007, /^API key not valid/],
  ['a quota that is used up', {}, { key: 'scenario:quota/js' }, 1011, /^You exceeded your current quota/],
  ['another model', {}, { model: 'gemini-2.0-flash-exp' }, 1008, /is not found for API version v1beta/],
  ['thinking', { thinkingConfig: { thinkingBudget: 0 } }, {}, 1007, /^Thinking level is not supported/],
  ['text only', { responseModalities: ['TEXT'] }, {}, 1007, /^The requested combination of response mod/],
  ['a foreign handle', { sessionResumption: { handle: 'x' } }, {}, 1008, /^BidiGenerateContent session not/],
]) {
  test(`refused as the service does: ${name}`, async () => {
    const talk = await Talk.begin(config, options);
    assert.equal(talk.session, null);
    assert.equal(talk.closed.code, code);
    assert.match(talk.closed.reason, reason);
  });
}

test('an upgrade that is refused', async () => {
  const talk = await Talk.begin({}, { key: 'scenario:overloaded/js' });
  assert.equal(talk.closed.code, 1006);
  assert.match(talk.error, /503/);
});

test('frames as odd as they come are read all the same', async () => {
  for (const scenario of ['odd-frames', 'odd-audio', 'odd-turns']) {
    const talk = await Talk.begin(TRANSCRIBED, { key: `scenario:${scenario}/js` });
    assert.match(spoken(await talk.turn(GREET)), /^Hello/, scenario);
    talk.session.close();
  }
});

test('a text model writes JSON by a schema', async () => {
  const answer = await client().models.generateContent({
    model: 'gemini-3.5-flash-lite',
    contents: 'Candidate: I fixed it.',
    config: {
      systemInstruction: 'You give feedback.',
      temperature: 0.2,
      responseMimeType: 'application/json',
      responseJsonSchema: { type: 'object', properties: { summary: { type: 'string' } }, required: ['summary'] },
    },
  });
  assert.deepEqual(JSON.parse(answer.text), { summary: '(summary, simulated)' });
  assert.equal(answer.candidates[0].finishReason, 'STOP');
  assert.ok(answer.usageMetadata.promptTokenCount > 0);
  await assert.rejects(client().models.generateContent({ model: 'gemini-3.8-live', contents: 'x' }), { status: 400 });
});
