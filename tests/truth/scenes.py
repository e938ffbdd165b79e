"""Interviews in which the line, Gemini or the candidate misbehaves, each in one way."""

from collections.abc import Sequence
import json
import random

import trio

from tests.truth.player import Player
from tests.truth.script import Answer

# How long a line stalls; and for how long there is none.
STALL_SECONDS = (1.0, 3.0)
AWAY_SECONDS = (0.3, 1.5)
# How much of a reply is heard before the candidate speaks over it.
INTERRUPTS_SECONDS = (0.8, 1.6)
# How long the candidate thinks before an answer.
THINKS_SECONDS = (0.1, 0.9)
CONDITIONS = ("plain", "rotations", "cuts", "bursts", "reconnects")
# The interviewer's lines, hummed for so many seconds.
REPLIES = (
    ("Thank you. And what did you learn from that?", 2.4),
    ("I see. How did the others take it?", 3.0),
    ("Good. Who else was there?", 2.0),
)


def scenario(answers: Sequence[Answer], *, rotates: bool) -> str:
    """Return, as TOML, a Gemini that writes the answers down as they are; ``rotates``: its connections live nine seconds."""
    texts = ", ".join(json.dumps(text, ensure_ascii=False) for it in answers for text in it.texts)
    replies = "".join(
        f"[[reply]]\ntext = {json.dumps(text)}\nseconds = {seconds}\n" for text, seconds in REPLIES
    )
    # An answer's second utterance begins before the reply to its first would.
    scenario = f"speech = [{texts}]\n{replies}[timing]\nreply_delay = 0.8\n"
    return scenario + ("[limits]\nconnection = 9.0\n[go_away]\nbefore = 4.0\n" if rotates else "")


async def talk(player: Player, answers: Sequence[Answer], condition: str, chance: random.Random) -> None:
    """Say every answer and hear the reply to it out, as the condition has it. The microphone is on."""
    await player.join()
    answered = trio.current_time()
    for number, answer in enumerate(answers):
        if condition == "cuts" and number:
            reply = await player.reply(answered)
            await trio.sleep_until(reply.begin + chance.uniform(*INTERRUPTS_SECONDS))
        else:
            await player.heard_out(answered)
            await trio.sleep(chance.uniform(*THINKS_SECONDS))
        begin, end = player.speak(answer)
        if condition == "bursts":
            await _stall(player, begin, end, chance)
        elif condition == "reconnects":
            await _break(player, begin, begin + answer.first, chance)
        await trio.sleep_until(end)
        answered = end
    await player.heard_out(answered)


async def _stall(player: Player, begin: float, end: float, chance: random.Random) -> None:
    """Let the line stall around the answer's beginning, within it, or around its end."""
    length = chance.uniform(*STALL_SECONDS)
    await trio.sleep_until(chance.uniform(begin - 0.1, end - 0.1))
    player.stall()
    await trio.sleep(length)
    player.flow()


async def _break(player: Player, begin: float, end: float, chance: random.Random) -> None:
    """Break the line in the middle of the answer's first utterance, and be back before Gemini would reply to that."""
    await trio.sleep_until(begin + chance.uniform(0.3, 0.7) * (end - begin))
    await player.drop()
    await trio.sleep(chance.uniform(*AWAY_SECONDS))
    await player.join()
