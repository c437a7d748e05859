"""A process that hangs ends itself and says where; one that is alive is left alone."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from wavemix.training.clock import Clock
from wavemix.training.watchdog import EXIT_CODE, watchdog

HANGS = """
import sys, threading
from pathlib import Path
from wavemix.training.clock import Clock
from wavemix.training.watchdog import watchdog

def waits_for_what_never_comes():
    threading.Event().wait()

clock = Clock()
with watchdog(clock, 0.5, Path(sys.argv[1]), lambda text: print(text, flush=True)), clock.on("input"):
    waits_for_what_never_comes()
"""


def test_a_process_that_hangs_says_in_what_and_ends_itself(tmp_path: Path) -> None:
    stacks = tmp_path / "stacks.txt"
    done = subprocess.run(
        [sys.executable, "-c", HANGS, str(stacks)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == EXIT_CODE, done.stderr
    assert "no sign of life for " in done.stdout
    assert f"(launch.hang_seconds: 0.5) in input; ends itself, stacks are in {stacks}" in done.stdout
    assert "in waits_for_what_never_comes" in stacks.read_text()


def test_signs_of_life_keep_it_quiet(tmp_path: Path) -> None:
    clock, told = Clock(), list[str]()
    with watchdog(clock, 0.5, tmp_path / "stacks.txt", told.append), clock.on("evaluation"):
        for _ in clock.each(range(10)):
            time.sleep(0.1)
    assert told == []


@pytest.mark.parametrize("ends_by", [None, ValueError])
def test_it_ends_with_its_block(tmp_path: Path, ends_by: type[Exception] | None) -> None:
    try:
        with watchdog(Clock(), 0.2, tmp_path / "stacks.txt", lambda _text: None):
            if ends_by:
                raise ends_by
    except ValueError:
        pass
    time.sleep(0.5)  # this process is still there
