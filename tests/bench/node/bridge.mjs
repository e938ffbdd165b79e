// The bridge that one would write on Node: ws towards the browser, Google's SDK towards Gemini, protobufjs between.
//
// It keeps no journal, counts nothing, checks no token and restores nothing: preppald does all that on top of this.
import { readFileSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import { createServer as createHttps } from 'node:https';

import { GoogleGenAI, Modality } from '@google/genai';
import protobuf from 'protobufjs';
import { WebSocketServer } from 'ws';

const SCHEMA = new URL('../../../proto/interview.proto', import.meta.url).pathname;
const contract = protobuf.loadSync(SCHEMA).lookup('preppal');
const ClientToServer = contract.lookupType('ClientToServerMessage');
const ServerToClient = contract.lookupType('ServerToClientMessage');
const MIME = 'audio/pcm;rate=16000';

const { PREPPALD_GEMINI_URL, PREPPALD_LISTEN, PREPPALD_TLS_CERT, PREPPALD_TLS_KEY, GEMINI_API_KEY } = process.env;
// The SDK takes an HTTP URL and dials the WebSocket of the same host.
const ai = new GoogleGenAI({
  apiKey: GEMINI_API_KEY,
  httpOptions: { baseUrl: PREPPALD_GEMINI_URL.replace(/^ws/, 'http') },
});

async function bridge(browser) {
  const early = [];
  let gemini = null;
  const send = (payload) => {
    if (browser.readyState === browser.OPEN) browser.send(ServerToClient.encode(payload).finish());
  };
  const up = (data) => {
    const message = ClientToServer.decode(data);
    if (message.endRequest) {
      browser.close(1000, 'Interview ended by user');
      return;
    }
    const audio = { data: message.audioChunk.audioContent.toString('base64'), mimeType: MIME };
    gemini.sendRealtimeInput({ audio });
  };
  browser.on('message', (data) => (gemini === null ? early.push(data) : up(data)));
  browser.on('close', () => gemini?.close());
  browser.on('error', () => browser.terminate());

  gemini = await ai.live.connect({
    model: 'gemini',
    config: { responseModalities: [Modality.AUDIO], inputAudioTranscription: {}, outputAudioTranscription: {} },
    callbacks: {
      onmessage: (message) => {
        const content = message.serverContent;
        if (!content) return;
        for (const part of content.modelTurn?.parts ?? []) {
          if (part.inlineData) {
            send({ audioResponse: { audioContent: Buffer.from(part.inlineData.data, 'base64') } });
          }
        }
        for (const [said, speaker] of [
          [content.inputTranscription, 'USER'],
          [content.outputTranscription, 'AI'],
        ]) {
          if (said) send({ transcriptUpdate: { speaker, text: said.text, isFinal: true } });
        }
      },
      onerror: () => browser.terminate(),
      onclose: () => browser.close(),
    },
  });
  early.splice(0).forEach(up);
}

const server = PREPPALD_TLS_CERT
  ? createHttps({ cert: readFileSync(PREPPALD_TLS_CERT), key: readFileSync(PREPPALD_TLS_KEY) })
  : createHttp();
const sockets = new WebSocketServer({
  server,
  perMessageDeflate: false,
  handleProtocols: (offered) => (offered.has('preppal.v1') ? 'preppal.v1' : false),
});
sockets.on('connection', (browser) => bridge(browser).catch(() => browser.terminate()));
const [host, port] = PREPPALD_LISTEN.split(':');
server.listen(Number(port), host);
