"""What a run's folder holds, sent to MLflow: its numbers, what it used, and how it ended.

The folder is the truth and its files are the queue: nothing is kept in memory but how far they were read. It decides
what is sent and in which order, and leaves what a run is to MLflow to ``tracking.mlflow``.
"""

import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from wavemix.files import write_aside
from wavemix.tracking.jsonl import Follower, Row, read_rows
from wavemix.tracking.mlflow import MOST_METRICS, Number, Tracked, connect, find_or_create_run, log_numbers
from wavemix.tracking.resources import final_numbers

ROWS_AT_ONCE = 100


class Mirror:
    """Sends what a run's folder holds and MLflow has not; ``sent`` counts it by kind.

    Args:
        uri: Of the MLflow.
        tracked: Who the run is.
        run_dir: Its folder.
        began: When, in seconds since 1970, if its rows do not say so; None is now.
        answered: Called after each request that was.
    """

    def __init__(
        self,
        uri: str,
        tracked: Tracked,
        run_dir: Path,
        *,
        began: float | None = None,
        answered: Callable[[], None] = lambda: None,
    ) -> None:
        self.sent: Counter[str] = Counter()
        self._tracked, self._run_dir, self._began = tracked, run_dir, began or time.time()
        self._client = connect(uri, answered=answered)
        self._followers: dict[Path, Follower] = {}
        self._run_id, self._status = "", ""
        self._last_steps: dict[str, int] = {}  # in MLflow, by key

    def send(self) -> None:
        """Send what is new. It raises whatever a server, a network or a database may raise, and can be called again."""
        try:
            if not self._run_id:
                self._find_run()
            for path in sorted(self._run_dir.glob("*.jsonl")):
                while self._send_rows(self._followers.setdefault(path, Follower(path))):
                    pass
            self._send_end()
        except Exception:
            self._run_id = ""  # what failed may have been carried out: MLflow is asked what it has
            raise

    def _find_run(self) -> None:
        first = next(read_rows(self._run_dir / "metrics.jsonl"), {"time": self._began})
        run = find_or_create_run(self._client, self._tracked, began=min(first["time"], self._began), sent=self.sent)
        self._status, self._last_steps = run.status, dict(run.last_steps)
        self._followers = {}
        self._run_id = run.id

    def _send_rows(self, follower: Follower) -> bool:
        """Send the next rows; False when there were none."""
        with follower.next_rows(ROWS_AT_ONCE) as rows:
            numbers = list(self._new_numbers(rows))
            for start in range(0, len(numbers), MOST_METRICS):
                self._log(numbers[start : start + MOST_METRICS])
        return bool(rows)

    def _new_numbers(self, rows: list[Row]) -> Iterator[Number]:
        """What has a section in its name, is finite, and lies behind what MLflow has of it.

        A continued run repeats the steps after its last checkpoint: MLflow keeps what came first.
        """
        last = dict(self._last_steps)
        for row in rows:
            for key, value in row.items():
                if "/" in key and row["step"] > last.get(key, -1) and math.isfinite(value):
                    last[key] = row["step"]
                    yield Number(key, value, row["time"], row["step"])

    def _log(self, numbers: list[Number]) -> None:
        if numbers:
            log_numbers(self._client, self._run_id, numbers)
            self._last_steps.update({one.key: one.step for one in numbers})
            self.sent["numbers"] += len(numbers)

    def _send_end(self) -> None:
        """Make the run's state in MLflow that of the folder."""
        status, ended_at = _read_end(self._run_dir)
        if status == "FINISHED":  # what is final has no step
            final = {f"run/{name}": value for name, value in final_numbers(self._run_dir).items()}
            self._log(list(self._new_numbers([{"step": 0, "time": ended_at, **final}])))
        if status == self._status:
            return
        if status == "RUNNING":
            self._client.update_run(self._run_id, status=status)
        else:
            self._client.set_terminated(self._run_id, status, end_time=int(ended_at * 1000))
            self.sent["end"] += 1
        self._status = status


def note_end(run_dir: Path, status: str) -> None:
    """Say in the run's folder that it has ended: FINISHED, FAILED or KILLED."""
    write_aside(run_dir / "ended.json", json.dumps({"status": status, "time": time.time()}).encode())


def _read_end(run_dir: Path) -> tuple[str, float]:
    """Of a run that goes on, RUNNING and now."""
    path = run_dir / "ended.json"
    if not path.exists():
        return "RUNNING", time.time()
    end = json.loads(path.read_text())
    return end["status"], end["time"]
