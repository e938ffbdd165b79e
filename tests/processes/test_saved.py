"""A backup of a daemon at work is worth having. The long form: ``python -m tests.processes.saved``."""

from pathlib import Path

from tests.processes.saved import saved


async def test_a_backup_under_way_is_delivered_once_from_another_host(tmp_path: Path) -> None:
    """Real processes; 20 interviews are spoken to while the copy is made."""
    found = await saved(tmp_path, 20)
    assert found.fragments > 5 * found.interviews
