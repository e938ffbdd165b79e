"""A setup that Gemini refuses over an optional field: the interview is held without it, and the next asks for none."""

import trio

from preppald.simulator.faults import Close
from preppald.simulator.scenario import Reply, Scenario
from tests.overheard import overhear
from tests.world import World

HELLO = (Reply(text="Hello there.", seconds=1),)
REASON = (
    "Invalid JSON payload received. Unknown name \"customVocabulary\" at 'setup.input_audio_transcription': "
    "Cannot find field."
)
SETTINGS = {"PREPPALD_LANGUAGE": "German", "PREPPALD_VOCABULARY": "Acme"}


async def test_an_interview_never_fails_for_a_hint(nursery: trio.Nursery, autojump_clock: object) -> None:
    """One more dial at once, one line in the log, and the second interview's setup is without the field."""
    scenario = Scenario(reply=HELLO, fault=(Close(code=1007, reason=REASON, at="setup"),))
    world = World(SETTINGS, scenario)
    heard = overhear(world, scenario)
    await world.start(nursery)
    candidate = await world.candidate()
    await candidate.heard_out()
    asked = [setup["inputAudioTranscription"] for setup in heard.setups.values()]
    assert asked == [{"languageCodes": ["de"], "customVocabulary": ["Acme"]}, {"languageCodes": ["de"]}]
    assert world.events("upstream.failed") == []
    (line,) = world.events("upstream.hints_refused")
    assert line["fields"] == ["customVocabulary"]
    assert "customVocabulary" in str(line["words"])
    second = await world.candidate("iv-2")
    await second.heard_out()
    assert world.dials == 3
    assert world.events("upstream.hints_refused") == [line]
