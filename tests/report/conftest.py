"""Writes results trees as the train, evaluate and tune stages leave them, small and with no randomness."""

import json
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

DIGITS = tuple(str(digit) for digit in range(10))


def png(width: int = 8, height: int = 8, shade: int = 0) -> bytes:
    """A grey gradient as a PNG, written by hand so that the tests need no imaging library."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = (bytes([0, *((shade + 23 * x + 11 * y) % 256 for x in range(width))]) for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"".join(rows)))
        + chunk(b"IEND", b"")
    )


def model(experiment: str, classes: Sequence[str]) -> dict[str, Any]:
    return {
        "format": 1,
        "experiment": experiment,
        "run_key": "4f3c2b1a90" * 4,
        "task": {"name": "classification", "model": {"dim": 16, "depth": 4}, "image_size": 8},
        "classes": list(classes),
        "goal": ["top1", "max"],
        "step": 400,
        "num_parameters": 72362,
        "data": {"name": "digits", "manifest_sha256": "ab12" * 16, "samples": {"train": 1077, "val": 360, "test": 360}},
        "code_version": "9d8c7b6a",
        "world_size": 2,
        "num_steps": 500,
    }


def write_csv(path: Path, rows: Sequence[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cell = '"{}"'.format
    lines = (",".join(cell(str(v).replace('"', '""')) if v is not None else "" for v in row) for row in rows)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def counts_of(classes: Sequence[str], num_samples: int) -> dict[tuple[str, str], int]:
    """An even share for every class, with one in twelve of every third class taken for the next one."""
    k = len(classes)
    counts = {(truth, prediction): 0 for truth in classes for prediction in classes}
    for i, truth in enumerate(classes):
        total = num_samples // k + (i < num_samples % k)
        wrong = total // 12 if i % 3 == 0 else 0
        counts[truth, truth] += total - wrong
        counts[truth, classes[(i + 1) % k]] += wrong
    return counts


@dataclass(frozen=True)
class Tree:
    """A results folder and ways to put a stage's files there; each returns the folder that it wrote to."""

    root: Path

    def put(self, path: str, content: object) -> Path:
        """Write rows as CSV, bytes and text as they are, all else as JSON, under a path below the root."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes | str):
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        elif file.suffix == ".csv":
            write_csv(file, content)
        else:
            write_json(file, content)
        return file

    def change(self, path: str, **fields: object) -> None:
        """Replace some top-level fields of a JSON file below the root; ``...`` removes one."""
        data = json.loads((self.root / path).read_text(encoding="utf-8")) | fields
        write_json(self.root / path, {name: value for name, value in data.items() if value is not ...})

    def train(self, name: str, classes: Sequence[str] = DIGITS, **changes: object) -> Path:
        folder = self.root / "experiments" / name
        write_json(folder / "train" / "model.json", model(name, classes) | changes)
        rows: list[Sequence[object]] = [
            ["step", "epoch", "train/loss", "train/lr", "eval/loss", "eval/top1", "eval/top5"],
        ]
        for step in range(10, 510, 10):
            loss = 2.3 * math.exp(-step / 90) + 0.05 + 0.02 * math.sin(step * 1.7)
            rate = 1e-3 if step <= 300 else 1e-4
            measured = step % 50 == 0
            top1 = 0.985 - 0.88 * math.exp(-step / 80) - (0.004 if step > 400 else 0)
            rows.append(
                [
                    step,
                    step // 34,
                    loss,
                    rate,
                    loss * 1.15 if measured else None,
                    top1 if measured else None,
                    min(1.0, top1 + 0.02) if measured else None,
                ]
            )
        write_csv(folder / "train" / "curves.csv", rows)
        return folder

    def evaluate(self, name: str, classes: Sequence[str] = DIGITS, num_samples: int = 360, shown: int = 12) -> Path:
        evaluation = self.root / "experiments" / name / "evaluation"
        counts = counts_of(classes, num_samples)
        right = sum(counts[name, name] for name in classes)
        metrics = {"loss": 0.0712345, "top1": right / num_samples, "top5": 1.0}
        write_json(evaluation / "metrics.json", {"split": "test", "num_samples": num_samples, "metrics": metrics})
        rows: list[Sequence[object]] = [("truth", "prediction", "count"), *((*pair, n) for pair, n in counts.items())]
        write_csv(evaluation / "tables" / "confusion.csv", rows)
        samples = []
        for i in range(shown):
            truth, wrong = classes[i % len(classes)], i % 6 == 3
            prediction = classes[(i + 1) % len(classes)] if wrong else truth
            file = f"samples/{i:03d}.png"
            (evaluation / "samples").mkdir(exist_ok=True)
            (evaluation / file).write_bytes(png(shade=17 * i))
            samples.append(
                {
                    "file": file,
                    "key": f"test/{i:06d}",
                    "truth": truth,
                    "prediction": prediction,
                    "prob": 0.52 if wrong else 0.99 - i / 100,
                    "correct": not wrong,
                }
            )
        write_json(evaluation / "samples.json", samples)
        return evaluation

    def score(self, name: str, metrics: Mapping[str, float], num_samples: int = 20, other: str = "") -> Path:
        """Write a test split's scores alone, on the experiment's own data or on that of another name."""
        folder = self.root / "experiments" / name / "evaluation" / (f"others/{other}" if other else "")
        write_json(folder / "metrics.json", {"split": "test", "num_samples": num_samples, "metrics": dict(metrics)})
        return folder

    def triples(self, name: str, captions: Sequence[str], width: int, height: int) -> None:
        evaluation = self.root / "experiments" / name / "evaluation"
        nothing = dict.fromkeys(("truth", "prediction", "prob", "correct"))
        entries = [{"file": f"samples/{i:03d}.png", **nothing, "caption": text} for i, text in enumerate(captions)]
        for i, entry in enumerate(entries):
            self.put(f"experiments/{name}/evaluation/{entry['file']}", png(width, height, shade=17 * i))
        write_json(evaluation / "samples.json", entries)

    def cost(self, name: str, **changes: object) -> None:
        measured = {
            "device": "Some CPU",
            "threads": 2,
            "input": {"image": [3, 64, 64]},
            "num_parameters": 72362,
            "multiply_adds": {"written": 1_823_456_789, "executed": 912_345_678},
            "batch": 64,
            "inference_per_second": 1234.5,
            "training_per_second": 321.25,
            "peak_memory": {"kind": "resident", "bytes": 734_003_200, "batch": 64},
            "largest_batch_16gb": {"value": 1408, "how": "estimated"},
        }
        self.put(f"experiments/{name}/evaluation/cost.json", measured | changes)

    def sweep(self, name: str) -> Path:
        folder = self.root / "sweeps" / name
        names = ("recipe.phases.0.lr", "task.model.dim", "task.model.stem")
        write_csv(
            folder / "trials.csv",
            [
                (*("trial", "status", "score", "step", "epochs", "from"), *names),
                ("00002", "finished", 0.972, 400, 20.0, None, 0.00081, 32, "strided"),
                ("00005", "finished", 0.968, 400, 20.0, None, 0.00042, 64, "strided"),
                ("00003", "finished", "nan", 40, 20.0, None, 0.31, 32, "patchify"),
                ("00004", "finished", 0.955, 400, 20.0, None, 0.0121, 64, "patchify"),
                ("00000", "stopped early", 0.91, 120, 6.5, None, 0.0031622776601683794, 16, "strided"),
                ("00001", "failed", None, None, None, None, 0.5, 64, "patchify"),
            ],
        )
        (folder / "best.yaml").write_text("recipe.phases.0.lr: 0.00081\ntask.model.dim: 32\n", encoding="utf-8")
        return folder


SUPER_RESOLUTION = {
    "psnr_y": 31.243,
    "ssim_y": 0.9131,
    "psnr_y_authors": 29.9,
    "loss": 0.0004,
    "psnr_y_bicubic": 30.101,
    "ssim_y_bicubic": 0.8932,
    "psnr_y_x8": 31.351,
    "ssim_y_x8": 0.9142,
}
INPAINTING = {
    "l1_hole": 0.0431,
    "l1_hole_0_10": 0.031,
    "l1_hole_10_20": 0.0552,
    "l1_hole_20_30": math.nan,
    "psnr": 27.5,
    "loss": 0.03,
    "l1_hole_mean_fill": 0.0813,
    "l1_hole_0_10_mean_fill": 0.08,
    "l1_hole_10_20_mean_fill": 0.0828,
    "l1_hole_20_30_mean_fill": math.nan,
    "psnr_mean_fill": 24.25,
}
SEGMENTATION = {"miou": 0.6234, "pixel_accuracy": 0.91, "loss": 0.4, "miou_flip": 0.6312, "miou_ms_flip": 0.64}


def plant_full(tree: Tree) -> None:
    """One evaluated experiment, one that was trained only, one sweep."""
    tree.train("digits")
    tree.evaluate("digits")
    tree.train("digits_deep", step=500)
    tree.sweep("digits_lr")


def plant_four(tree: Tree) -> None:
    """The full tree, and an evaluated experiment with a cost for each of the other three tasks."""
    plant_full(tree)
    tree.cost("digits")
    tree.train("photos_x2", classes=(), task={"name": "super_resolution"}, goal=["psnr_y", "max"])
    tree.score("photos_x2", SUPER_RESOLUTION)
    tree.score("photos_x2", {"psnr_y": 34.5, "psnr_y_bicubic": 33.66}, num_samples=5, other="set5_x2")
    tree.triples("photos_x2", ["31.20 dB", "28.77 dB"], width=96, height=32)
    tree.cost("photos_x2", peak_memory={"kind": "device", "bytes": 1_610_612_736, "batch": 32}, largest_batch_16gb=None)
    tree.train("holes", classes=(), task={"name": "inpainting"}, goal=["l1_hole", "min"])
    tree.score("holes", INPAINTING)
    tree.triples("holes", ["hole 12 %"], width=96, height=32)
    tree.cost("holes", peak_memory=None)
    classes = ("road", "sky", "sign")
    tree.train("scenes", classes=classes, task={"name": "segmentation"}, goal=["miou", "max"])
    scenes = tree.score("scenes", SEGMENTATION)
    tree.triples("scenes", ["mIoU 0.412"], width=192, height=32)
    counts = [(truth, answer, 9_000_000 if truth == answer else 40_000) for truth in classes for answer in classes]
    write_csv(scenes / "tables" / "confusion.csv", [("truth", "prediction", "count"), *counts])
    ious = [("road", 9_160_000, 0.9825), ("sky", 9_160_000, 0.25), ("sign", 0, math.nan)]
    write_csv(scenes / "tables" / "classes.csv", [("class", "count", "iou"), *ious])
    tree.cost("scenes")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A results folder with nothing in it."""
    return Tree(tmp_path / "results")


@pytest.fixture
def full(tree: Tree) -> Tree:
    plant_full(tree)
    return tree


@pytest.fixture
def four(tree: Tree) -> Tree:
    plant_four(tree)
    return tree


@pytest.fixture(scope="session")
def standing_full(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """As ``full``, but one for all tests: to be read alone."""
    tree = Tree(tmp_path_factory.mktemp("full") / "results")
    plant_full(tree)
    return tree


@pytest.fixture(scope="session")
def standing_four(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """As ``four``, but one for all tests: to be read alone."""
    tree = Tree(tmp_path_factory.mktemp("four") / "results")
    plant_four(tree)
    return tree
