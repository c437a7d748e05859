"""The command ``wavemix score``: what it is given, and what it prints. It loads torch only when there is work to do."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from wavemix.errors import DataError


def add_arguments(score: argparse.ArgumentParser) -> None:
    """A sub-command for each task, which has the options of this task alone."""
    tasks = score.add_subparsers(dest="task", required=True, metavar="TASK")
    for name, form in FORMS.items():
        one = tasks.add_parser(name, help=form.folder, description=f"Scores {form.folder}.")
        one.add_argument("folder", type=Path, metavar="DIR", help=form.folder)
        who = one.add_mutually_exclusive_group(required=True)
        who.add_argument("--model", type=Path, metavar="M", help="a trained model: a folder that the stage train wrote")
        if form.methods:
            who.add_argument("--method", metavar="NAME", help=f"what needs no model: {form.methods}")
        who.add_argument("--predictions", type=Path, metavar="P", help=f"what any program answered: {form.predictions}")
        one.add_argument("--json", action="store_true", help="print one JSON object, and nothing else")
        form.add_options(one)


def run(arguments: argparse.Namespace) -> None:
    """Score, and print.

    Raises:
        DataError: As ``score_folder`` does, or the file of classes cannot be used.
    """
    from wavemix.score.base import Rules  # noqa: PLC0415  (it loads torch, which other commands need not)
    from wavemix.score.folder import score_folder  # noqa: PLC0415

    given = vars(arguments)
    scores = score_folder(
        arguments.task,
        arguments.folder,
        Rules(
            scale=given.get("scale"),
            classes=_classes(arguments.classes) if given.get("classes") else (),
            void=tuple(given.get("void") or ()),
            masks=given.get("masks"),
            size=given.get("size"),
            perceptual=given.get("perceptual", False) or given.get("weights") is not None,
            weights=given.get("weights"),
        ),
        model=arguments.model,
        method=given.get("method"),
        predictions=arguments.predictions,
        save=given.get("save"),
    )
    if arguments.json:
        print(scores.to_json())
        return
    from wavemix.score.table import lines_of  # noqa: PLC0415  (it loads what draws figures)

    for line in lines_of(scores):
        print(line)


class Form(NamedTuple):
    """What the command says of a task, and the options that this task alone has."""

    folder: str
    predictions: str
    add_options: Callable[[argparse.ArgumentParser], None]
    methods: str = ""


def _no_options(_parser: argparse.ArgumentParser) -> None:
    """Classes are known to who answers."""


def _segmentation(parser: argparse.ArgumentParser) -> None:
    _save(parser)
    parser.add_argument(
        "--classes", type=Path, metavar="FILE", help="names of the numbers in masks, a line each; a model knows them"
    )
    parser.add_argument(
        "--void", type=int, action="append", metavar="N", help="a number in masks that is ignored, as 255 is anyway"
    )


def _super_resolution(parser: argparse.ArgumentParser) -> None:
    _save(parser)
    parser.add_argument("--scale", type=int, choices=(2, 3, 4), help="how many times as wide; a model knows it")


def _inpainting(parser: argparse.ArgumentParser) -> None:
    _save(parser)
    parser.add_argument("--masks", choices=("thin", "medium", "thick"), help="what to draw, where no masks are given")
    parser.add_argument(
        "--size", type=_side, metavar="N", help="side of the centre square that is scored then; 256, or as trained"
    )
    parser.add_argument(
        "--perceptual", action="store_true", help="measure LPIPS and FID too; torch.hub has the weights"
    )
    parser.add_argument("--weights", metavar="W", help="the same, by the weights in this folder")


def _save(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--save", type=Path, metavar="S", help="a folder for the answers, as PNG by the samples' names")


FORMS: Mapping[str, Form] = {
    "classification": Form(
        "a folder of pictures for each class",
        "a CSV file with the header name,<class>,<class>,... and a row of scores for each picture",
        _no_options,
    ),
    "inpainting": Form(
        "pictures with masks as LaMa names them (x.png, x_mask000.png), or pictures alone, on which masks are drawn",
        "a folder of whole RGB pictures by the samples' names (with masks: by those of the masks)",
        _inpainting,
        methods="mean_fill",
    ),
    "segmentation": Form(
        "pictures in images/ with masks of the same names in masks/, or the tree of Cityscapes, of which val is taken",
        "PNGs of numbers as in the masks (of Cityscapes: label ids), by the samples' names",
        _segmentation,
    ),
    "super_resolution": Form(
        "a benchmark as EDSR, BasicSR or SelfExSR pack it, or high resolutions alone, made smaller as MATLAB does",
        "a folder of RGB PNGs by the samples' names",
        _super_resolution,
        methods="bicubic",
    ),
}


def _side(text: str) -> int:
    if not text.isdecimal() or int(text) < 64:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 64 on")
    return int(text)


def _classes(path: Path) -> tuple[str, ...]:
    try:
        classes = tuple(line.strip() for line in path.read_text().splitlines())
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    if len(classes) < 2 or "" in classes or len(set(classes)) < len(classes):
        raise DataError(f"{path}: needed is the name of a class in each line, at least two of them, and none twice")
    return classes
