"""Tiny copies of the data sets of pictures without classes of their own: Cityscapes, DIV2K, CelebA-HQ, benchmarks.

Each function returns what lies in the user's folder: paths and contents.
"""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from factories.large import below
from factories.pack import Tree, as_tar, as_zip, noise, picture


def mask(values: Sequence[Sequence[int]]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.array(values, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


# --- Cityscapes -----------------------------------------------------------------------------------------------------

LABEL_IDS = [[0, 7, 8, 11], [33, 26, 29, 34]]
CITYSCAPES = {
    "train": ("aachen/aachen_000000_000019", "aachen/aachen_000001_000019", "zurich/zurich_000121_000019"),
    "val": ("frankfurt/frankfurt_000000_000294",),
    "test": ("berlin/berlin_000000_000019",),
}


def cityscapes() -> dict[str, bytes]:
    """The unpacked trees, with what else lies in them."""
    tree = {}
    for split, keys in CITYSCAPES.items():
        for shade, key in enumerate(keys):
            tree[f"leftImg8bit/{split}/{key}_leftImg8bit.png"] = picture(shade, (4, 2), kind="PNG")
            tree[f"gtFine/{split}/{key}_gtFine_labelIds.png"] = mask(LABEL_IDS)
            tree[f"gtFine/{split}/{key}_gtFine_instanceIds.png"] = b"instances"
            tree[f"gtFine/{split}/{key}_gtFine_color.png"] = b"colours"
            tree[f"gtFine/{split}/{key}_gtFine_polygons.json"] = b"{}"
    return tree


def cityscapes_zips() -> dict[str, bytes]:
    return {
        f"{folder}_trainvaltest.zip": as_zip({"README": b"", "license.txt": b"", **of(cityscapes(), folder)})
        for folder in ("leftImg8bit", "gtFine")
    }


def of(tree: Tree, start: str) -> dict[str, bytes]:
    return {path: content for path, content in tree.items() if path.startswith(start)}


def without(tree: Tree, start: str) -> dict[str, bytes]:
    return {path: content for path, content in tree.items() if not path.startswith(start)}


# --- DIV2K: pictures of 25x19 pixels, of which x2 covers 24x18 and x4 24x16 -------------------------------------------


def div2k(scales: Sequence[int] = (2, 4)) -> dict[str, bytes]:
    tree = {}
    for split, numbers in {"train": (1, 2, 800), "valid": (801, 900)}.items():
        for number in numbers:
            tree[f"DIV2K_{split}_HR/{number:04d}.png"] = noise(number, (25, 19))
            for scale in scales:
                low = noise(number + scale, (25 // scale, 19 // scale))
                tree[f"DIV2K_{split}_LR_bicubic/X{scale}/{number:04d}x{scale}.png"] = low
    return tree


def div2k_zips(scales: Sequence[int] = (2, 4)) -> dict[str, bytes]:
    folders = {f"DIV2K_{split}_{part}" for split in ("train", "valid") for part in ("HR", "LR_bicubic")}
    zips = {}
    for folder in folders:
        for scale in scales if folder.endswith("bicubic") else [0]:
            name = f"{folder}_X{scale}.zip" if scale else f"{folder}.zip"
            zips[name] = as_zip(of(div2k(scales), f"{folder}/X{scale}/" if scale else f"{folder}/"))
    return zips


# --- benchmarks of super-resolution: two pictures of 24x12 pixels ----------------------------------------------------

HIGH = {"baby": noise(1, (24, 12)), "bird": noise(2, (24, 12))}
LOW = {(name, scale): noise(scale, (24 // scale, 12 // scale)) for name in HIGH for scale in (2, 3, 4)}


def edsr(scales: Sequence[int] = (2, 4)) -> dict[str, bytes]:
    tree = {f"HR/{name}.png": high for name, high in HIGH.items()}
    return tree | {f"LR_bicubic/X{s}/{name}x{s}.png": LOW[name, s] for name in HIGH for s in scales}


def basicsr(scales: Sequence[int] = (2, 4), high: str = "GTmod12") -> dict[str, bytes]:
    tree = {f"{high}/{name}.png": content for name, content in HIGH.items()}
    return tree | {f"LRbicx{s}/{name}.png": LOW[name, s] for name in HIGH for s in scales}


def selfexsr(scales: Sequence[int] = (2, 4)) -> dict[str, bytes]:
    tree = {f"image_SRF_{s}/{name}_SRF_{s}_HR.png": high for s in scales for name, high in HIGH.items()}
    return tree | {f"image_SRF_{s}/{name}_SRF_{s}_LR.png": LOW[name, s] for s in scales for name in HIGH}


def edsr_tar(folder: str) -> dict[str, bytes]:
    return {"benchmark.tar": as_tar(below(f"benchmark/{folder}", edsr()))}


# --- CelebA-HQ: five of its pictures, at the bounds of CelebA's partition ---------------------------------------------

CELEBA = {0: 119_613, 1: 162_769, 2: 162_770, 28_000: 182_636, 29_999: 182_637}
"""Their numbers, and those of the originals."""
FACES = {number: picture(number, (4, 4)) for number in CELEBA}


def celeba_mapping(originals: Mapping[int, int] = CELEBA) -> bytes:
    lines = [f"{number:<11d} {original:<14d} {original + 1:06d}.jpg" for number, original in originals.items()]
    return "\n".join(["idx         orig_idx       orig_file", *lines, ""]).encode()


def celebamask_hq() -> dict[str, bytes]:
    pictures = {f"CelebA-HQ-img/{number}.jpg": face for number, face in FACES.items()}
    others = {"CelebAMask-HQ-mask-anno/0/00000_skin.png": b"a mask", "README.txt": b""}
    return below("CelebAMask-HQ", {**pictures, **others, "CelebA-HQ-to-CelebA-mapping.txt": celeba_mapping()})


def counted_from_one() -> dict[str, bytes]:
    return {f"{number + 1:05d}.jpg": face for number, face in FACES.items()}


def flat_faces() -> dict[str, bytes]:
    return {f"{number:05d}.jpg": face for number, face in FACES.items()}
