"""Writes results trees as the train, evaluate and tune stages leave them, small and with no randomness."""

import json
import math
import struct
import zlib
from collections.abc import Sequence
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

    def sweep(self, name: str) -> Path:
        folder = self.root / "sweeps" / name
        write_csv(
            folder / "trials.csv",
            [
                ("trial", "score", "step", "recipe.phases.0.lr", "task.model.dim", "task.model.stem"),
                ("00002", 0.972, 400, 0.00081, 32, "strided"),
                ("00005", 0.968, 400, 0.00042, 64, "strided"),
                ("00003", "nan", 40, 0.31, 32, "patchify"),
                ("00004", 0.955, 400, 0.0121, 64, "patchify"),
                ("00000", 0.91, 120, 0.0031622776601683794, 16, "strided"),
                ("00001", None, None, 0.5, 64, "patchify"),
            ],
        )
        (folder / "best.yaml").write_text("recipe.phases.0.lr: 0.00081\ntask.model.dim: 32\n", encoding="utf-8")
        return folder


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A results folder with nothing in it."""
    return Tree(tmp_path / "results")


@pytest.fixture
def full(tree: Tree) -> Tree:
    """One evaluated experiment, one that was trained only, one sweep."""
    tree.train("digits")
    tree.evaluate("digits")
    tree.train("digits_deep", step=500)
    tree.sweep("digits_lr")
    return tree
