"""Scores as a person reads them: a table, and what its names mean."""

import textwrap
from collections.abc import Iterator

from wavemix.report.scores import glossary
from wavemix.report.writing import write_score
from wavemix.score.folder import Scores

WIDTH = 120


def lines_of(scores: Scores) -> Iterator[str]:
    who, name = scores.answered_by
    protocol = "".join(f", {rule} {value}" for rule, value in scores.protocol.items())
    yield f"{scores.folder}: {scores.task}{protocol}, {scores.num_samples} samples, {who} {name}"
    width = max(map(len, scores.metrics))
    for metric, value in scores.metrics.items():
        yield f"{metric:{width}}  {write_score(metric, value, scores.num_samples):>10}"
    yield ""
    for term, text in glossary(scores.metrics):
        yield from textwrap.wrap(f"{term}: {text}", WIDTH, subsequent_indent="    ")
