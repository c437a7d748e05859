"""The samples of a folder, one at a time, as a task sees them: none is left out, and one that cannot be used an error.

It knows neither the layout that they lie in nor who answers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from wavemix.data.admit import Admission, Rejected, admit
from wavemix.data.loader import stack
from wavemix.data.raw import Item
from wavemix.data.raw.items import fingerprint_of
from wavemix.data.schema import Record
from wavemix.errors import DataError
from wavemix.score.base import ANSWER, Answers, Fields, Questions
from wavemix.tasks import Batch


class Sample(NamedTuple):
    """``sha256`` is of the key and the encoded parts: the same in every layout, whatever the task makes of them."""

    key: str
    sha256: str
    batch: Batch  # of this one


@dataclass(frozen=True)
class Samples:
    """The samples in the folder's order; they may be gone through again and again."""

    questions: Questions
    folder: Path
    answers: Answers | None = None

    @property
    def items(self) -> Sequence[Item]:
        (items,) = self.questions.raw.items.values()
        return items

    def __iter__(self) -> Iterator[Sample]:
        """Raises DataError, which names the sample: it is damaged, does not fit together, or its answer does not."""
        raw, task = self.questions.raw, self.questions.task
        how = Admission(raw.schema, len(raw.classes), check=True, shortest_side=None, jpeg_quality=None)
        for item in self.items:
            try:
                record = admit(item.key, item.label, raw.read(item.what), how)
            except Rejected as why:
                raise DataError(f"{self.folder}: {item.key}: {why}") from None
            fields = self.questions.sample(task, record).fields()
            yield Sample(item.key, _digest(record), stack([{**fields, **self._answer(item.key, fields)}]))

    def _answer(self, key: str, fields: Fields) -> Fields:
        if self.answers is None:
            return {}
        try:
            return {ANSWER: self.answers.read(self.answers.by_key[key], fields)}
        except ValueError as error:
            raise DataError(f"the answer to {key} cannot be scored: {error}") from None


def check_answered(samples: Samples, where: Path) -> None:
    """See that each sample has an answer, and each answer a sample.

    Raises:
        DataError: One is alone; it names the first.
    """
    assert samples.answers is not None
    keys, answered = {item.key for item in samples.items}, samples.answers.by_key.keys()
    for some, others, what in (
        (keys, answered, f"{samples.folder}: no answer in {where} to"),
        (answered, keys, f"{where}: no sample in {samples.folder} for"),
    ):
        if alone := sorted(some - others):
            more = f" and {len(alone) - 1} more" if len(alone) > 1 else ""
            raise DataError(f"{what} {alone[0]}{more}; answers have the names of the samples")


def _digest(record: Record) -> str:
    return fingerprint_of([record.key, *chain.from_iterable(sorted(record.parts.items()))])
