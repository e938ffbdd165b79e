"""Google's Python SDK holds conversations with ``preppald simulate``, as it comes from PyPI.

Run by check_sdks.py in the SDK's own environment. What points it at the simulator is the environment alone:
GOOGLE_GEMINI_BASE_URL, and SSL_CERT_FILE because the SDK speaks nothing but wss.
"""
# mypy: disable-error-code="import-not-found, import-untyped, attr-defined, misc, unused-ignore"
# ruff: noqa: PT009, PT027 - pytest is not installed there

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
import json
from pathlib import Path
from typing import Any
import unittest
import wave

from google import genai
from google.genai import errors, types
from websockets.exceptions import InvalidStatus

MODEL = "gemini-3.8-live"
RATE_HZ = 16_000
# 100 ms of audio a message; the simulator's ear counts samples, so they need not come at their own pace.
STEP_BYTES = RATE_HZ // 10 * 2
SECOND_OF_SPEECH_BYTES = 48_000
ANSWER = Path(__file__).parent.parent.parent / "preppald/candidate/answer.wav"

Say = Callable[[Any], Awaitable[None]]

TRANSCRIBED: dict[str, Any] = {
    "response_modalities": ["AUDIO"],
    "input_audio_transcription": {},
    "output_audio_transcription": {},
}
# Everything that a setup may hold on this model, and the SDK sends.
EVERYTHING: dict[str, Any] = TRANSCRIBED | {
    "temperature": 0.7,
    "top_p": 0.9,
    "top_k": 40,
    "max_output_tokens": 8192,
    "seed": 7,
    "media_resolution": "MEDIA_RESOLUTION_LOW",
    "speech_config": {
        "language_code": "en-US",
        "voice_config": {"prebuilt_voice_config": {"voice_name": "Kore"}},
    },
    "system_instruction": "You are an interviewer.",
    "tools": [
        {
            "function_declarations": [
                {
                    "name": "end_interview",
                    "description": "Ends the interview.",
                    "behavior": "NON_BLOCKING",
                    "parameters": {"type": "OBJECT", "properties": {"reason": {"type": "STRING"}}},
                }
            ]
        }
    ],
    "session_resumption": {},
    "realtime_input_config": {
        "automatic_activity_detection": {
            "disabled": False,
            "start_of_speech_sensitivity": "START_SENSITIVITY_LOW",
            "end_of_speech_sensitivity": "END_SENSITIVITY_LOW",
            "prefix_padding_ms": 100,
            "silence_duration_ms": 800,
        },
        "activity_handling": "START_OF_ACTIVITY_INTERRUPTS",
        "turn_coverage": "TURN_INCLUDES_ONLY_ACTIVITY",
    },
    "context_window_compression": {"trigger_tokens": 80_000, "sliding_window": {"target_tokens": 40_000}},
}


@asynccontextmanager
async def talking(
    config: dict[str, Any] = TRANSCRIBED, *, key: str = "any-key", model: str = MODEL
) -> AsyncIterator[Any]:
    async with genai.Client(api_key=key).aio.live.connect(model=model, config=config) as session:
        yield session


async def greet(session: Any) -> None:
    await session.send_realtime_input(text="(The candidate has joined.)")


async def speak(session: Any, pcm: bytes | None = None) -> None:
    if pcm is None:
        with wave.open(str(ANSWER)) as recording:
            pcm = recording.readframes(recording.getnframes()) + bytes(2 * RATE_HZ * 2)
    for at in range(0, len(pcm), STEP_BYTES):
        data = types.Blob(data=pcm[at : at + STEP_BYTES], mime_type=f"audio/pcm;rate={RATE_HZ}")
        await session.send_realtime_input(audio=data)


async def turn(session: Any, say: Say) -> list[Any]:
    """What is said to it, and everything that comes until the turn is over."""
    await say(session)
    return [message async for message in session.receive()]


def content(messages: Sequence[Any]) -> list[Any]:
    return [message.server_content for message in messages if message.server_content]


def heard(messages: Sequence[Any]) -> str:
    return "".join(it.input_transcription.text or "" for it in content(messages) if it.input_transcription)


def spoken(messages: Sequence[Any]) -> str:
    return "".join(it.output_transcription.text or "" for it in content(messages) if it.output_transcription)


def pcm(messages: Sequence[Any]) -> bytes:
    return b"".join(message.data for message in messages if message.data)


class Conversations(unittest.IsolatedAsyncioTestCase):
    async def test_a_spoken_conversation_with_every_option_of_the_setup(self) -> None:
        async with talking(EVERYTHING, key="scenario:interview/python") as session:
            greeting = await turn(session, greet)
            self.assertRegex(spoken(greeting), "^Hello")
            self.assertGreater(len(pcm(greeting)), SECOND_OF_SPEECH_BYTES)
            self.assertGreater(greeting[-1].usage_metadata.response_token_count, 0)

            reply = await turn(session, speak)
            self.assertRegex(heard(reply), "durable queue, and the losses went to zero")
            self.assertGreater(len(pcm(reply)), SECOND_OF_SPEECH_BYTES)
            self.assertNotEqual(spoken(reply), spoken(greeting))
            self.assertTrue(any(it.generation_complete for it in content(reply)))
            self.assertTrue(content(reply)[-1].turn_complete)

    async def test_text_is_answered_as_content_too(self) -> None:
        async with talking() as session:

            async def say(session: Any) -> None:
                begin = types.Content(role="user", parts=[types.Part(text="Begin.")])
                await session.send_client_content(turns=begin, turn_complete=True)

            self.assertRegex(spoken(await turn(session, say)), "^Hello")

    async def test_an_initial_history_is_not_answered(self) -> None:
        history = EVERYTHING | {"history_config": {"initial_history_in_client_content": True}}
        async with talking(history) as session:
            said = [
                types.Content(role="model", parts=[types.Part(text="Where did you work?")]),
                types.Content(role="user", parts=[types.Part(text="At a bank.")]),
            ]
            await session.send_client_content(turns=said, turn_complete=True)
            self.assertRegex(spoken(await turn(session, greet)), "^Hello")

    async def test_the_candidate_speaks_over_the_interviewer(self) -> None:
        async with talking() as session:
            await greet(session)
            async for message in session.receive():
                if message.data:
                    break
            await speak(session)
            interrupted = [message async for message in session.receive()]
            self.assertTrue(any(it.interrupted for it in content(interrupted)))
            self.assertFalse(any(it.generation_complete for it in content(interrupted)))

    async def test_the_client_says_itself_when_somebody_speaks(self) -> None:
        manual = TRANSCRIBED | {"realtime_input_config": {"automatic_activity_detection": {"disabled": True}}}
        async with talking(manual) as session:

            async def say(session: Any) -> None:
                await session.send_realtime_input(activity_start=types.ActivityStart())
                await speak(session)
                await session.send_realtime_input(activity_end=types.ActivityEnd())

            self.assertRegex(heard(await turn(session, say)), "durable queue")

    async def test_a_stream_that_ends_is_an_utterance_that_ends(self) -> None:
        async with talking() as session:

            async def say(session: Any) -> None:
                await speak(session, b"\x00\x20\x00\xe0" * (RATE_HZ // 2))
                await session.send_realtime_input(audio_stream_end=True)

            self.assertRegex(heard(await turn(session, say)), "s of speech")

    async def test_the_instruction_changes_in_mid_session(self) -> None:
        async with talking() as session:
            await turn(session, greet)
            await session.send_context_update(system_instruction="Close the interview.")
            self.assertTrue(spoken(await turn(session, greet)))

    async def test_the_model_calls_a_function_and_takes_its_answer(self) -> None:
        async with talking(EVERYTHING, key="scenario:tools/python") as session:
            await turn(session, greet)
            await turn(session, greet)
            await greet(session)
            async for message in session.receive():
                if message.tool_call:
                    break
            (call,) = message.tool_call.function_calls
            self.assertEqual(
                (call.name, call.args), ("end_interview", {"reason": "all questions were answered"})
            )
            done = types.FunctionResponse(id=call.id, name=call.name, response={"ok": True})
            await session.send_tool_response(function_responses=[done])
            self.assertTrue([message async for message in session.receive()])

    async def test_go_away_in_time_and_the_session_goes_on_over_the_next_connection(self) -> None:
        handle = None
        async with talking(EVERYTHING, key="scenario:rotation/python") as session:
            await greet(session)
            going = False
            while not going:
                async for message in session.receive():
                    update = message.session_resumption_update
                    handle = update.new_handle if update and update.resumable else handle
                    if message.go_away:
                        self.assertRegex(message.go_away.time_left, r"^\d+s$")
                        going = True
                        break
        resumed = EVERYTHING | {"session_resumption": {"handle": handle}}
        async with talking(resumed, key="scenario:rotation/python") as session:
            self.assertNotRegex(spoken(await turn(session, speak)), "^Hello")
            with self.assertRaises(errors.APIError) as caught:
                while True:
                    await turn(session, _nothing)
        self.assertEqual(caught.exception.code, 1008)

    async def test_refused_as_the_service_does(self) -> None:
        for config, options, code, reason in (
            ({}, {"key": "scenario:bad-key/python"}, 1007, "^API key not valid"),
            ({}, {"key": "scenario:quota/python"}, 1011, "^You exceeded your current quota"),
            ({}, {"model": "gemini-2.0-flash-exp"}, 1008, "is not found for API version v1,"),
            ({"thinking_config": {"thinking_budget": 0}}, {}, 1007, "^Thinking level is not supported"),
            ({"response_modalities": ["TEXT"]}, {}, 1007, "^The requested combination of response mod"),
            ({"session_resumption": {"handle": "x"}}, {}, 1008, "^BidiGenerateContent session not found"),
            ({"proactivity": {"proactive_audio": True}}, {}, 1007, "^Invalid JSON payload received. Unknown"),
        ):
            with self.subTest(reason):
                with self.assertRaises(errors.APIError) as caught:
                    async with talking(TRANSCRIBED | config, **options):
                        pass
                self.assertEqual(caught.exception.code, code)
                self.assertRegex(str(caught.exception.details), reason)

    async def test_an_upgrade_that_is_refused(self) -> None:
        with self.assertRaises(InvalidStatus) as caught:
            async with talking(key="scenario:overloaded/python"):
                pass
        self.assertEqual(caught.exception.response.status_code, 503)

    async def test_frames_as_odd_as_they_come_are_read_all_the_same(self) -> None:
        for scenario in ("odd-frames", "odd-audio", "odd-turns"):
            with self.subTest(scenario):
                async with talking(key=f"scenario:{scenario}/python") as session:
                    self.assertRegex(spoken(await turn(session, greet)), "^Hello")

    async def test_a_text_model_writes_json_by_a_schema(self) -> None:
        models = genai.Client(api_key="any-key").aio.models
        schema = {"type": "object", "properties": {"summary": {"type": "string"}}, "required": ["summary"]}
        answer = await models.generate_content(
            model="gemini-3.5-flash-lite",
            contents="Candidate: I fixed it.",
            config={
                "system_instruction": "You give feedback.",
                "response_mime_type": "application/json",
                "response_json_schema": schema,
            },
        )
        self.assertEqual(json.loads(answer.text), {"summary": "(summary, simulated)"})
        self.assertGreater(answer.usage_metadata.prompt_token_count, 0)
        with self.assertRaises(errors.ClientError) as caught:
            await models.generate_content(model="gemini-3.8-live", contents="x")
        self.assertEqual(caught.exception.code, 400)


async def _nothing(_session: Any) -> None:
    """Only listens."""


if __name__ == "__main__":
    unittest.main()
