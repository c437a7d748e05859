"""Overlap of regions: by hand, against two libraries, and against the official script of Cityscapes."""

import math
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics
import torch
import torchmetrics.functional.classification as reference
from PIL import Image

from wavemix.data.sources.cityscapes import CLASSES, TRAIN_IDS
from wavemix.metrics import Confusion, authors_overlap, class_iou, confusion, mean_iou, pixel_accuracy

OFFICIAL = "cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling"

# Four pixels of class 0, of which one is taken for 1; two of class 1, of which one is taken for 2; none of 2 and 3.
TRUTH = torch.tensor([[0, 0, 0, 0, 1, 1, 255]])
ANSWER = torch.tensor([[0, 0, 0, 1, 1, 2, 0]])


@pytest.fixture
def maps() -> tuple[torch.Tensor, torch.Tensor]:
    """Answers and truths of six classes, 12 pictures of 9x11; the answers are right more often than not."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(0, 6, (12, 9, 11), generator=generator)
    other = torch.randint(0, 6, truth.shape, generator=generator)
    return torch.where(torch.rand(truth.shape, generator=generator) < 0.6, truth, other), truth


def counted(answer: torch.Tensor, truth: torch.Tensor, num_classes: int) -> Confusion:
    return confusion(answer, truth, num_classes=num_classes)


def test_overlap_by_hand() -> None:
    matrix = counted(ANSWER, TRUTH, 4)
    overlap = class_iou(matrix)
    assert overlap.total.tolist() == [3, 1, 0, 0]
    assert overlap.count.tolist() == [4, 3, 1, 0]
    assert overlap.value[:3].tolist() == pytest.approx([3 / 4, 1 / 3, 0])
    assert overlap.value[3].isnan()  # neither there nor found: nothing is known of it
    assert mean_iou(matrix) == pytest.approx((3 / 4 + 1 / 3 + 0) / 3)
    assert pixel_accuracy(matrix) == pytest.approx(4 / 6)


def test_answers_that_are_no_class_are_misses_of_the_true_one() -> None:
    counts = counted(torch.tensor([0, 0, 2, 1]), torch.tensor([0, 0, 0, 1]), 3).counts[:2]  # class 2 is no class
    assert class_iou(Confusion(counts)).value.tolist() == pytest.approx([2 / 3, 1])


def test_nothing_counted_is_nan() -> None:
    nothing = counted(torch.zeros(3, dtype=torch.int64), torch.full((3,), 255), 4)
    assert math.isnan(mean_iou(nothing))
    assert math.isnan(pixel_accuracy(nothing))


def test_equals_torchmetrics_and_scikit_learn(maps: tuple[torch.Tensor, torch.Tensor]) -> None:
    answer, truth = maps
    matrix = counted(answer, truth, 6)
    overlap = class_iou(matrix).value
    torchmetrics = reference.multiclass_jaccard_index(answer, truth, num_classes=6, average="none")
    np.testing.assert_allclose(overlap.numpy(), torchmetrics.numpy(), rtol=1e-6)
    scikit = sklearn.metrics.jaccard_score(truth.flatten(), answer.flatten(), average=None)
    np.testing.assert_allclose(overlap.numpy(), scikit, rtol=1e-12)
    assert mean_iou(matrix) == pytest.approx(scikit.mean())
    found = sklearn.metrics.accuracy_score(truth.flatten(), answer.flatten())
    assert pixel_accuracy(matrix) == pytest.approx(found)


@pytest.mark.parametrize("sizes", [[1] * 12, [11, 1], [5, 5, 2]])
def test_sums_do_not_depend_on_the_batches(maps: tuple[torch.Tensor, torch.Tensor], sizes: list[int]) -> None:
    answer, truth = maps
    parts = list(zip(answer.split(sizes), truth.split(sizes), strict=True))
    matrix, overlap = counted(*parts[0], 6), class_iou(counted(*parts[0], 6))
    authors = authors_overlap(*parts[0])
    for part in parts[1:]:
        matrix, overlap = matrix + counted(*part, 6), overlap + class_iou(counted(*part, 6))
        authors = authors + authors_overlap(*part)
    whole = counted(answer, truth, 6)
    assert torch.equal(matrix.counts, whole.counts)
    assert torch.equal(overlap.value, class_iou(whole).value)
    torch.testing.assert_close(authors.value, authors_overlap(answer, truth).value, rtol=1e-12, atol=0)


@pytest.mark.parametrize("lowest", [0, 7], ids=["also void", "classes alone"])
def test_equals_the_official_script(tmp_path: Path, lowest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Label ids of all kinds as truth; as answer those of classes, and in one case of void too."""
    official = pytest.importorskip(OFFICIAL, reason="needs cityscapesscripts and pyquaternion", exc_type=ImportError)
    monkeypatch.setattr(official.args, "evalInstLevelScore", False)
    generator = np.random.default_rng(0)
    allowed = np.arange(34) if lowest == 0 else np.array(list(CLASSES))
    official_counts = official.generateMatrix(official.args)
    matrix = Confusion(torch.zeros(20, 20, dtype=torch.int64))
    for number in range(4):
        truth = generator.integers(0, 34, (40, 50)).astype(np.uint8)
        guessed = generator.choice(allowed, truth.shape).astype(np.uint8)
        answer = np.where((generator.random(truth.shape) < 0.5) & np.isin(truth, allowed), truth, guessed)
        answer[answer == 31], truth[truth == 31] = 7, 7  # train: neither there nor found
        files = [str(tmp_path / f"{name}{number}.png") for name in ("answer", "truth")]
        for file, labels in zip(files, (answer, truth), strict=True):
            Image.fromarray(labels).save(file)
        official.evaluatePair(*files, official_counts, {}, {}, official.args)
        train_ids = torch.from_numpy(TRAIN_IDS.astype(np.int64))
        answered = train_ids[torch.from_numpy(answer).long()].clamp_max(19)  # 19: void
        matrix = matrix + counted(answered, train_ids[torch.from_numpy(truth).long()], 20)
    scores = {
        label: official.getIouScoreForLabel(label, official_counts, official.args) for label in official.args.evalLabels
    }
    ours = Confusion(matrix.counts[:19])
    expected = [scores[label] for label in CLASSES]
    np.testing.assert_allclose(class_iou(ours).value.numpy(), expected, rtol=1e-12)
    assert np.isnan(expected).sum() == 1
    assert mean_iou(ours) == pytest.approx(official.getScoreAverage(scores, official.args), rel=1e-12)


def test_the_authors_overlap_by_hand() -> None:
    # AND: 5&5=5, 2&1=0, 3&2=2; OR: 5, 3, 3. 20 * (7/11 - 0.5) = 2.73, which is in the third of ten steps.
    answer, truth = torch.tensor([[[5, 2, 3]]]), torch.tensor([[[5, 1, 2]]])
    assert float(authors_overlap(answer, truth).value) == pytest.approx(0.3)
    assert float(authors_overlap(truth, truth).value) == 1
    assert float(authors_overlap(torch.tensor([[[2]]]), torch.tensor([[[1]]])).value) == 0
    void = torch.zeros(1, 1, 2, dtype=torch.int64)
    assert float(authors_overlap(void, void).value) == 1


def test_the_authors_overlap_does_not_see_most_of_a_mistake() -> None:
    """Class 18 taken for 19 everywhere: no pixel is right, and their score is nearly full."""
    truth = torch.full((1, 4, 4), 18)
    assert mean_iou(counted(truth + 1, truth, 20)) == 0
    assert float(authors_overlap(truth + 1, truth).value) == pytest.approx(0.9)  # 18/19 = 0.947: step 9 of 10


def test_the_authors_overlap_is_the_mean_over_pictures() -> None:
    answer = torch.tensor([[[5, 2, 3]], [[4, 4, 4]]])
    truth = torch.tensor([[[5, 1, 2]], [[4, 4, 4]]])
    assert float(authors_overlap(answer, truth).value) == pytest.approx((0.3 + 1) / 2)
