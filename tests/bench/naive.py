"""The bridge that everybody would write first: trio-websocket on both sides, json, one message each.

It keeps no journal, counts nothing, checks no token and restores nothing: what preppald does beyond carrying
audio, it does on top of this.
"""

from base64 import b64decode, b64encode
import json
import os

import trio
from trio_websocket import (
    ConnectionClosed,
    WebSocketConnection,
    WebSocketRequest,
    open_websocket_url,
    serve_websocket,
)

from preppald.core import gemini
from preppald.pb.interview_pb2 import (
    AudioResponse,
    ClientToServerMessage,
    ServerToClientMessage,
    TranscriptUpdate,
)

SETUP = {
    "setup": {
        "model": "models/gemini",
        "generationConfig": {"responseModalities": ["AUDIO"]},
        "inputAudioTranscription": {},
        "outputAudioTranscription": {},
    }
}


async def up(browser: WebSocketConnection, upstream: WebSocketConnection) -> None:
    while True:
        received = await browser.get_message()
        assert isinstance(received, bytes)
        message = ClientToServerMessage.FromString(received)
        if message.WhichOneof("payload") == "end_request":
            await browser.aclose()
            return
        data = b64encode(message.audio_chunk.audio_content).decode()
        audio = {"mimeType": "audio/pcm;rate=16000", "data": data}
        await upstream.send_message(json.dumps({"realtimeInput": {"audio": audio}}))


async def down(browser: WebSocketConnection, upstream: WebSocketConnection) -> None:
    while True:
        message = json.loads(await upstream.get_message())
        content = message.get("serverContent", {})
        for part in content.get("modelTurn", {}).get("parts", []):
            audio = AudioResponse(audio_content=b64decode(part["inlineData"]["data"]))
            await browser.send_message(ServerToClientMessage(audio_response=audio).SerializeToString())
        for key, speaker in (("inputTranscription", "USER"), ("outputTranscription", "AI")):
            if key in content:
                update = TranscriptUpdate(speaker=speaker, text=content[key]["text"], is_final=True)
                shown = ServerToClientMessage(transcript_update=update)
                await browser.send_message(shown.SerializeToString())


async def bridge(request: WebSocketRequest) -> None:
    browser = await request.accept()
    try:
        async with open_websocket_url(os.environ["PREPPALD_GEMINI_URL"] + gemini.path("")) as upstream:
            await upstream.send_message(json.dumps(SETUP))
            await upstream.get_message()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(up, browser, upstream)
                nursery.start_soon(down, browser, upstream)
    except* ConnectionClosed:
        pass


async def main() -> None:
    host, _, port = os.environ["PREPPALD_LISTEN"].rpartition(":")
    await serve_websocket(bridge, host, int(port), None)


if __name__ == "__main__":
    trio.run(main)
