"""What went wrong in a run: a row each, noted by whichever process knows of it, and shown by the one that drives it."""

import time
from pathlib import Path

from wavemix.tracking.jsonl import append_row

FAULTS = "faults.jsonl"
"""In a run's folder."""


def note_fault(run_dir: Path, kind: str, text: str, *, rank: int) -> None:
    """Note what a rank met, or what befell it; ``text`` is shown to the user."""
    append_row(run_dir / FAULTS, {"time": time.time(), "rank": rank, "kind": kind, "text": text})
