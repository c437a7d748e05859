"""Workers of this machine: they give everything back, and never outlive the one who gives the work."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wavemix.errors import WaveMixError
from wavemix.processes import in_processes


@pytest.mark.parametrize("num_workers", [1, 3])
def test_every_result_comes_back_once(num_workers: int) -> None:
    assert sorted(in_processes(num_workers)(abs, range(-20, 0))) == list(range(1, 21))
    assert list(in_processes(num_workers)(abs, [])) == []


def test_an_error_of_the_function_arrives_as_it_is() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        list(in_processes(2)(int, ["1", "2", "x", "4"]))


def test_a_worker_that_is_killed_is_told_in_a_line() -> None:
    with pytest.raises(WaveMixError, match=r"a worker process was killed .*run it again"):
        list(in_processes(2)(os._exit, [9, 9, 9]))


def test_left_early_it_waits_for_nothing() -> None:
    started = time.monotonic()
    results = in_processes(2)(time.sleep, [0.0, 600.0, 600.0, 600.0])
    next(results)
    results.close()
    assert time.monotonic() - started < 60


def test_workers_end_with_the_process_that_gives_the_work(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, time\nfrom pathlib import Path\nfrom wavemix.processes import in_processes\n"
        "def stay(number):\n"
        f"    Path({str(tmp_path)!r}, str(number)).write_text(str(os.getpid()))\n"
        "    time.sleep(600)\n"
        "if __name__ == '__main__':\n"
        "    list(in_processes(2)(stay, [1, 2]))\n"
    )
    started = subprocess.Popen([sys.executable, str(script)])
    pids: list[int] = []
    for _ in range(300):
        pids = [int(path.read_text() or 0) for path in tmp_path.glob("[12]")]
        if len(pids) == 2 and all(pids):
            break
        time.sleep(0.1)
    started.kill()
    started.wait()
    for _ in range(100):
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            break
        time.sleep(0.1)
    assert len(pids) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
