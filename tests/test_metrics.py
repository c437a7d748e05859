"""Each metric against a value worked out by hand, against another library, and however the samples are split."""

import math

import numpy as np
import pytest
import sklearn.metrics
import torch
import torchmetrics.functional.classification as reference

from wavemix.metrics import Ratio, add_tallies, class_accuracy, confusion, mean_of, over_ranks, ratio, top_k

LOGITS = torch.tensor([[3.0, 2.0, 1.0], [1.0, 3.0, 2.0], [1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])
LABELS = torch.tensor([0, 2, 2, 2])  # first, second, first and third choice


@pytest.fixture
def many() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(200, 7, generator=generator), torch.randint(0, 7, (200,), generator=generator)


@pytest.mark.parametrize(("k", "share"), [(1, 2 / 4), (2, 3 / 4), (3, 1), (5, 1)])
def test_top_k_by_hand(k: int, share: float) -> None:
    assert float(top_k(LOGITS, LABELS, k=k).value) == share


def test_confusion_by_hand() -> None:
    matrix = confusion(LOGITS.argmax(dim=1), LABELS, num_classes=3)
    assert matrix.counts.tolist() == [[1, 0, 0], [0, 0, 0], [1, 1, 1]]
    assert matrix.counts.dtype == torch.int64


def test_what_is_no_class_is_left_out_of_the_confusion() -> None:
    label_b = torch.tensor([0, 255, -1, 2])
    assert confusion(LOGITS.argmax(dim=1), label_b, num_classes=3).counts.tolist() == [[1, 0, 0], [0, 0, 0], [1, 0, 0]]


def test_class_accuracy_by_hand() -> None:
    found = class_accuracy(LOGITS, LABELS)
    assert found.count.tolist() == [1, 0, 3]
    assert found.value[[0, 2]].tolist() == pytest.approx([1, 1 / 3])
    assert found.value[1].isnan()  # of a class without samples nothing is known


def test_mean_of_by_hand() -> None:
    both = mean_of(torch.tensor(2.0), 3) + mean_of(torch.tensor(6.0), 1)
    assert float(both.value) == 3.0


@pytest.mark.parametrize("k", [1, 5])
def test_top_k_equals_torchmetrics(many: tuple[torch.Tensor, torch.Tensor], k: int) -> None:
    logits_bk, label_b = many
    expected = reference.multiclass_accuracy(logits_bk, label_b, num_classes=7, top_k=k, average="micro")
    assert float(top_k(logits_bk, label_b, k=k).value) == pytest.approx(float(expected))


def test_top_k_equals_scikit_learn(many: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits_bk, label_b = many
    expected = sklearn.metrics.top_k_accuracy_score(label_b.numpy(), logits_bk.numpy(), k=3)
    assert float(top_k(logits_bk, label_b, k=3).value) == pytest.approx(expected)


def test_confusion_equals_scikit_learn_and_torchmetrics(many: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits_bk, label_b = many
    matrix = confusion(logits_bk.argmax(dim=1), label_b, num_classes=7)
    counts = sklearn.metrics.confusion_matrix(label_b.numpy(), logits_bk.argmax(dim=1).numpy())
    np.testing.assert_array_equal(matrix.counts.numpy(), counts)
    others = reference.multiclass_confusion_matrix(logits_bk, label_b, num_classes=7)
    np.testing.assert_array_equal(matrix.counts.numpy(), others.numpy())


def test_class_accuracy_equals_torchmetrics(many: tuple[torch.Tensor, torch.Tensor]) -> None:
    expected = reference.multiclass_accuracy(*many, num_classes=7, average="none")
    np.testing.assert_allclose(class_accuracy(*many).value.numpy(), expected.numpy(), rtol=1e-6)


@pytest.mark.parametrize("sizes", [[200], [1] * 200, [199, 1], [64, 64, 64, 8]])
def test_sums_do_not_depend_on_the_batches(many: tuple[torch.Tensor, torch.Tensor], sizes: list[int]) -> None:
    def measured(logits_bk: torch.Tensor, label_b: torch.Tensor) -> dict[str, Ratio]:
        value = logits_bk.gather(1, label_b[:, None]).double().mean()
        return {
            "top1": top_k(logits_bk, label_b, k=1),
            "class_accuracy": class_accuracy(logits_bk, label_b),
            "mean": mean_of(value, len(label_b)),
        }

    total: dict[str, Ratio] = {}
    for logits_bk, label_b in zip(*(part.split(sizes) for part in many), strict=True):
        total = add_tallies(total, measured(logits_bk, label_b))
    for name, whole in measured(*many).items():
        torch.testing.assert_close(total[name].value, whole.value, rtol=1e-12, atol=1e-12)


def test_the_ratio_of_nothing_is_nan() -> None:
    empty = top_k(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64), k=1)
    assert math.isnan(float(empty.value))
    assert float((empty + top_k(LOGITS, LABELS, k=1)).value) == 0.5


def test_a_ratio_is_exact_for_many_samples() -> None:
    """A float32 sum would stop counting at 2**24."""
    total = ratio(torch.tensor(2**24, dtype=torch.float32), 2**24) + ratio(torch.tensor(1.0), 1)
    assert total.total.dtype == total.count.dtype == torch.float64
    assert float(total.total) == 2**24 + 1


def test_a_ratio_holds_no_graph() -> None:
    assert not ratio(torch.ones((), requires_grad=True) * 2, 1).total.requires_grad


def test_a_name_that_one_side_lacks_counts_as_nothing_there() -> None:
    one, two = ratio(torch.tensor(1.0), 2), ratio(torch.tensor(3.0), 4)
    total = add_tallies({"a": one, "b": one}, {"b": two, "c": two})
    assert {name: float(value.value) for name, value in total.items()} == {"a": 0.5, "b": 4 / 6, "c": 0.75}
    assert add_tallies({}, {}) == {}


def test_without_a_process_group_the_sum_over_ranks_is_ones_own() -> None:
    mine = {"a": ratio(torch.tensor(1.0), 2)}
    assert float(over_ranks(mine)["a"].value) == 0.5
