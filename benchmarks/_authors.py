"""Decides how the authors' published package is found, imported and completed; does not know ours.

Its import name is `wavemix`, as ours is, and on NumPy 2 it does not import at all. Both are arranged around it, in
memory: its files stay as pip brought them.

Shapes: b = batch, c = channels, h, w = height, width.
"""

import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor, nn

HOW_TO_GET = """The authors' package is fetched once, into any folder outside of the project:
    pip download wavemix==0.2.4 --no-deps -d DIR
    pip install --target DIR einops --no-deps
Then name that folder: python -m benchmarks.models --authors DIR (or WAVEMIX_AUTHORS=DIR make bench)."""


@dataclass(frozen=True)
class Authors:
    """What the package wavemix 0.2.4 has."""

    classifier: type[nn.Module]  # classification.WaveMix
    segmenter: type[nn.Module]  # SemSegment.WaveMix
    level1_block: type[nn.Module]  # Level1Waveblock


def load_authors(location: Path) -> Authors:
    """Import the authors' package under another name.

    Args:
        location: The folder that pip downloaded the wheel into, one that it was unpacked into, or the wheel itself.
            The folder, or that of the wheel, may also hold `einops`, if it is not installed.

    Raises:
        FileNotFoundError: If neither the wheel nor the package lies there.
        ModuleNotFoundError: If einops is neither installed nor there.
    """
    hamming = ModuleType("numpy.lib.function_base")
    hamming.__dict__["hamming"] = np.hamming  # imported by theirs, and never called
    sources = {file: _read(location, file) for file in ("__init__.py", "classification.py", "SemSegment.py")}
    with _importable_from(location if location.is_dir() else location.parent):
        try:
            import einops.layers.torch  # noqa: F401, PLC0415
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(f"einops is neither installed nor beside the package.\n{HOW_TO_GET}") from error
    with _standing_in({"numpy.lib.function_base": hamming}):
        package = _executed(*sources["__init__.py"])
    with _standing_in({"wavemix": package}):
        classification = _executed(*sources["classification.py"])
        segmentation = _executed(*sources["SemSegment.py"])
    return Authors(classification.WaveMix, segmentation.WaveMix, package.Level1Waveblock)


class SuperResolution(nn.Module):
    """WaveMixSR x2, which the package lacks, with the package's own block: `wavemixsr/model.py` of its repository.

    Y is enlarged, then ``3x3 conv -> 3x3 conv -> residual blocks -> 3x3 conv -> 1x1 conv``; Cb and Cr are enlarged.
    """

    def __init__(self, block: type[nn.Module], *, dim: int = 144, depth: int = 4, dropout: float = 0.3) -> None:
        """Make the layers under the names that they have in the authors' checkpoints."""
        super().__init__()
        self.layers = nn.ModuleList(block(mult=1, ff_channel=dim, final_dim=dim, dropout=dropout) for _ in range(depth))
        self.path1 = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bicubic", align_corners=False),
            nn.Conv2d(1, dim // 2, kernel_size=3, padding=1),
            nn.Conv2d(dim // 2, dim, kernel_size=3, padding=1),
        )
        self.path2 = nn.Upsample(scale_factor=2, mode="bicubic", align_corners=False)
        self.final = nn.Sequential(
            nn.Conv2d(dim, dim // 2, kernel_size=3, padding=1), nn.Conv2d(dim // 2, 1, kernel_size=1)
        )

    def forward(self, x_b3hw: Tensor) -> Tensor:
        """YCbCr images ``[b, 3, h, w]`` to ``[b, 3, 2h, 2w]``."""
        y_bchw = self.path1(x_b3hw[:, :1])
        for layer in self.layers:
            y_bchw = layer(y_bchw) + y_bchw
        return torch.cat((self.final(y_bchw), self.path2(x_b3hw[:, 1:])), dim=1)


class Inpainting(nn.Module):
    """WavePaint, which the package lacks, with the package's own block: `wavepaint/model.py` of its repository.

    Modules refine the image one after another, each of which reads the mask as a fourth channel.
    """

    def __init__(self, block: type[nn.Module], *, num_modules: int = 3, dim: int = 128, dropout: float = 0.5) -> None:
        """Make the layers under the names that they have in the authors' checkpoints."""
        super().__init__()
        self.wavemodules = nn.ModuleList(_InpaintingModule(block, dim, dropout) for _ in range(num_modules))

    def forward(self, image_b3hw: Tensor, mask_b1hw: Tensor) -> Tensor:
        """Images with holes and masks (1 = hole) to filled images."""
        x_b3hw = image_b3hw
        for module in self.wavemodules:
            x_b3hw = module(x_b3hw, mask_b1hw) + x_b3hw
        return x_b3hw * mask_b1hw + image_b3hw * (1 - mask_b1hw)


class _InpaintingModule(nn.Module):
    def __init__(self, block: type[nn.Module], dim: int, dropout: float, depth: int = 4) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(4, dim // 2, kernel_size=3, padding=1),
            nn.Conv2d(dim // 2, dim, kernel_size=3, stride=2, padding=1),
        )
        self.layers = nn.ModuleList(block(mult=2, ff_channel=dim, final_dim=dim, dropout=dropout) for _ in range(depth))
        self.depthconv = nn.Sequential(
            nn.Conv2d(dim, dim, kernel_size=5, groups=dim, padding="same"), nn.GELU(), nn.BatchNorm2d(dim)
        )
        self.decoder1 = nn.Sequential(
            nn.ConvTranspose2d(2 * dim, dim // 2, kernel_size=4, stride=2, padding=1), nn.BatchNorm2d(dim // 2)
        )
        self.decoder2 = nn.Sequential(nn.Conv2d(dim // 2 + 3, 3, kernel_size=1))

    def forward(self, image_b3hw: Tensor, mask_b1hw: Tensor) -> Tensor:
        skip_bchw = x_bchw = self.conv(torch.cat((image_b3hw, mask_b1hw), dim=1))
        for layer in self.layers:
            x_bchw = layer(x_bchw) + x_bchw
        x_bchw = self.decoder1(torch.cat((self.depthconv(x_bchw), skip_bchw), dim=1))
        change_b3hw: Tensor = self.decoder2(torch.cat((x_bchw, image_b3hw), dim=1))
        return change_b3hw


def _read(location: Path, file: str) -> tuple[str, Path]:
    """The text of one of the package's modules, and where it lies."""
    path = location / "wavemix" / file
    if path.is_file():
        return path.read_text(encoding="utf-8"), path
    wheels = [location] if location.suffix == ".whl" else sorted(location.glob("wavemix-0.2.4-*.whl"))
    if not wheels or not wheels[0].is_file():
        raise FileNotFoundError(f"no wavemix-0.2.4-*.whl and no wavemix/{file} in {location}.\n{HOW_TO_GET}")
    with zipfile.ZipFile(wheels[0]) as wheel:
        return wheel.read(f"wavemix/{file}").decode(), wheels[0] / "wavemix" / file


def _executed(source: str, path: Path) -> ModuleType:
    """A module, run under a name that nobody imports."""
    module = ModuleType(f"authors_wavemix.{path.stem}")
    exec(compile(source, str(path), "exec"), module.__dict__)
    return module


@contextmanager
def _standing_in(modules: Mapping[str, ModuleType]) -> Iterator[None]:
    """While the block runs, these are what imports find under their names."""
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


@contextmanager
def _importable_from(folder: Path) -> Iterator[None]:
    """While the block runs, what is not installed is looked for in a folder."""
    sys.path.append(str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
