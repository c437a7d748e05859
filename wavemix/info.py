"""Says what the zoo knows, with counts made anew on the meta device; needs no params.yaml, no GPU and no network."""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from rich.console import Console
from rich.progress import track

from wavemix.models.count import count_parameters, multiply_adds_by_module
from wavemix.models.fuse import layer_by_layer
from wavemix.models.zoo import FAMILIES, ZOO, Benchmark, Entry, Result, Weights, find_entry, list_models

WIDTH = 120

ROW = "{:34}{:>8}{:>10}{:>9}{:>9}{:>10}{:>4}  {}"
HEADINGS = ("name", "params", "printed", "written", "executed", "at", "pth", "score")
LEGEND = """\
params    parameters by our count; printed: in the paper, with * where the two differ (see wavemix info NAME)
written   multiply-adds of the layers as the paper writes them, for one input of the size named by at
executed  the same as they are executed here, where linear layers without anything between them are computed together
pth       how many files of weights the authors published
score     of the first result; +2: there are two more"""


@dataclass(frozen=True)
class Counts:
    """Of one network, for a batch of one."""

    num_parameters: int
    written: int
    executed: int


def describe(pattern: str) -> Iterator[str]:
    """Lines of a table of the models whose names match; or, of the one with just this name, all that is known.

    Args:
        pattern: A name of the zoo, or a shell pattern like ``*_seg``.

    Raises:
        ValueError: If nothing matches; the message has the nearest names.
    """
    if pattern not in ZOO and (names := list_models(pattern)):
        yield from _table(names)
    else:
        yield from _details(pattern, find_entry(pattern))


def _table(names: list[str]) -> Iterator[str]:
    console = Console(stderr=True)
    counted = track(names, "counting", console=console, transient=True, disable=not console.is_terminal)
    rows = {name: _row(name, ZOO[name]) for name in counted}
    for family, entries in FAMILIES.items():
        shown = [name for name in entries if name in rows]
        if shown:
            yield f"{family}: score in {entries[shown[0]].benchmark.metric}"
            yield ROW.format(*HEADINGS)
            yield from (rows[name] for name in shown)
            yield ""
    yield LEGEND


def _row(name: str, entry: Entry) -> str:
    counts = _counts(entry, entry.benchmark)
    printed = next((result for result in entry.results if result.parameters), None)
    height, width = entry.benchmark.inputs[0][1:]
    cells = (
        name,
        _in_units(counts.num_parameters) if counts else "no pywt",
        f"{printed.parameters}{'*' if printed.mismatch else ' '}" if printed else "",
        _in_units(counts.written) if counts else "",
        _in_units(counts.executed) if counts else "",
        f"{height}x{width}",
        len(entry.weights) or "",
        _score_in_short(entry),
    )
    return ROW.format(*cells).rstrip()


def _score_in_short(entry: Entry) -> str:
    if not entry.results:
        return f"{entry.weights[0].score} {entry.benchmark.data}, published"
    result, *others = entry.results
    score = "" if result.score is None else f"{result.score:.2f} "
    return f"{score}{result.benchmark.data}, {result.where}" + (f" +{len(others)}" if others else "")


def _details(name: str, entry: Entry) -> Iterator[str]:
    yield f"{name} = {entry.network.func.__name__}("
    yield from (f"    {key}={value!r}," for key, value in entry.network.keywords.items())
    yield ")"
    if entry.reading:
        yield from ("", *textwrap.wrap(entry.reading, WIDTH))
    for result in entry.results:
        yield from ("", *_result(entry, result))
    for weights in entry.weights:
        yield from ("", *_weights(name, entry, weights))


def _result(entry: Entry, result: Result) -> Iterator[str]:
    yield f"{result.where}: {_scored(result.benchmark, result.score)}"
    yield from _counted(_counts(entry, result.benchmark, **result.benchmark.arguments), result.benchmark)
    if result.parameters:
        printed = f"{result.parameters} parameters printed"
        yield from _wrapped(f"{printed}; {result.mismatch}" if result.mismatch else printed)


def _weights(name: str, entry: Entry, weights: Weights) -> Iterator[str]:
    arguments = "".join(f", {key}={value!r}" for key, value in weights.overrides.items())
    yield f"published weights: {_scored(weights.benchmark, weights.score)}"
    yield f"    {weights.url}"
    yield f"    build_model({name!r}{arguments})"
    yield from _counted(_counts(entry, weights.benchmark, **weights.overrides), weights.benchmark)
    if weights.note:
        yield from _wrapped(weights.note)


def _scored(benchmark: Benchmark, score: float | None) -> str:
    return benchmark.data if score is None else f"{score:.2f} {benchmark.metric}, {benchmark.data}"


def _counted(counts: Counts | None, benchmark: Benchmark) -> Iterator[str]:
    if counts is None:
        yield "    not counted: its wavelet needs PyWavelets (pip install 'wavemix-train[wavelets]')"
        return
    yield f"    {counts.num_parameters:,} parameters"
    written, executed = _in_units(counts.written), _in_units(counts.executed)
    size = " and ".join("x".join(map(str, shape)) for shape in benchmark.inputs)
    yield f"    {written} multiply-adds as written, {executed} as executed, at {size}"


def _counts(entry: Entry, benchmark: Benchmark, **overrides: Any) -> Counts | None:
    """The counts, or None without PyWavelets, which the networks of table 13 alone need.

    Of a stack of equal blocks, one is counted and multiplied: the same numbers, in a fraction of the time.
    """
    depth = entry.network.keywords.get("depth", 1)
    try:
        with torch.device("meta"):
            model = entry.network(**overrides, **({"depth": 1} if depth > 1 else {}))
    except ModuleNotFoundError:
        return None
    block, others = "blocks.0", depth - 1
    num_parameters = count_parameters(model)
    if others:
        num_parameters += others * count_parameters(model.get_submodule(block))
    written, executed = (
        by_module[""] + others * by_module.get(block, 0)
        for by_module in (
            multiply_adds_by_module(layer_by_layer(model), *benchmark.input_shapes),
            multiply_adds_by_module(model, *benchmark.input_shapes),
        )
    )
    return Counts(num_parameters, written, executed)


def _in_units(number: int) -> str:
    """Three digits or a few more: ``3,566``, ``28.9 M``, ``1,083 G``."""
    if number < 10_000:
        return f"{number:,}"
    value, unit = next((number / size, unit) for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if number >= size)
    return f"{value:,.{2 if value < 10 else 1 if value < 1000 else 0}f} {unit}"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="    ", subsequent_indent="    ")
