"""Who may write into a run's folder: the attempt that began last. It knows no launcher and no file but its own.

A node that was cut off is given up and its work is begun anew elsewhere, while its processes may live on for a while,
and see the same folder.
"""

import uuid
from pathlib import Path

from wavemix.distributed import barrier, from_first_rank, rank
from wavemix.errors import GivenUpError
from wavemix.files import write_aside


class Fence:
    """Claims the folder for this attempt, which is that of all ranks; every rank makes one."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / "attempt"
        self._token = from_first_rank(uuid.uuid4().hex)
        if rank() == 0:
            run_dir.mkdir(parents=True, exist_ok=True)
            write_aside(self._path, self._token.encode())
        barrier()

    def holds(self) -> bool:
        return self._path.read_text() == self._token

    def check(self) -> None:
        """To be called before writing.

        Raises:
            GivenUpError: A later attempt has claimed the folder.
        """
        if not self.holds():
            raise GivenUpError(f"{self._path.parent}: another attempt of this run has begun; this one ends itself")
