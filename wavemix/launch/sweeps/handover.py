"""Checkpoints that are set aside for another run to go on from, while their own run goes on and drops its old ones.

It knows no trial: whoever sets one aside tells the other where it is.
"""

import contextlib
import os
import shutil
import time
from pathlib import Path

KEPT_SECONDS = 3600.0  # until another run has started and read it


def set_aside(checkpoint: Path, root: Path) -> Path:
    """A folder under ``root`` with the checkpoint's files, whole or absent; those there that are old are deleted."""
    final = root / checkpoint.name
    if not final.exists():
        aside = root / f".{checkpoint.name}.partial"
        shutil.rmtree(aside, ignore_errors=True)
        shutil.copytree(checkpoint, aside, copy_function=_link)
        aside.rename(final)
    for other in root.glob("step-*"):
        if other != final and time.time() - other.stat().st_mtime > KEPT_SECONDS:
            shutil.rmtree(other)
    return final


def _link(source: str, target: str) -> None:
    """A second name for the file, since nobody changes a checkpoint; a copy where the file system has no such thing."""
    with contextlib.suppress(OSError):
        os.link(source, target)
        return
    shutil.copy2(source, target)
