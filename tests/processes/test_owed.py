"""What a candidate waits for goes before what is old. The long form: ``python -m tests.processes.owed``."""

from pathlib import Path

from tests.processes.owed import paid

OWED = 300
# On a busy machine; on an idle one it is a third of a second.
TOLD_SECONDS = 1.0


async def test_a_new_interview_is_told_at_once_while_hundreds_are_owed(tmp_path: Path) -> None:
    """Real processes: every old transcript arrives once and whole, too."""
    found = await paid(tmp_path, OWED)
    assert found.owed_then > OWED // 2
    assert found.told < TOLD_SECONDS
