"""Small pictures, and trees of files as folders, tars (also of tars), gzipped tars and zips."""

import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

Tree = Mapping[str, bytes]
"""Paths and contents."""


def picture(shade: int = 0, size: tuple[int, int] = (6, 4), *, kind: str = "JPEG", mode: str = "RGB") -> bytes:
    """A picture of one shade; ``size`` is (width, height)."""
    buffer = io.BytesIO()
    Image.new("RGB", size, (shade % 256, shade % 256, shade % 256)).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def noise(seed: int = 0, size: tuple[int, int] = (12, 8), *, kind: str = "PNG") -> bytes:
    """A picture of random colours; ``size`` is (width, height)."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def as_folder(root: Path, tree: Tree) -> Path:
    for path, content in tree.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def as_tar(tree: Tree, *, gz: bool = False) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz" if gz else "w") as tar:
        for path, content in tree.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def as_zip(tree: Tree) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in tree.items():
            archive.writestr(path, content)
    return buffer.getvalue()
