"""Evaluation: bytes become numbers in [0, 1], scores do not depend on the batches, the model is left as it was."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from wavemix.metrics import Ratio, scalars, top_k
from wavemix.training.evaluation import evaluate, to_device

CPU = torch.device("cpu")


class Brightest:
    """The least of a task that evaluation asks for: the class is the channel with the highest mean."""

    def predict(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        scores: Tensor = model(batch["image"]).mean(dim=(2, 3))
        return scores

    def loss(self, prediction: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        return -prediction.gather(1, batch["label"][:, None]).mean()

    def metrics(self, prediction: Tensor, batch: Mapping[str, Tensor], *, full: bool = False) -> Mapping[str, Ratio]:
        del full
        return {"top1": top_k(prediction, batch["label"], k=1)}


@pytest.fixture
def batch() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {"image": torch.randint(0, 256, (10, 3, 2, 2), dtype=torch.uint8), "label": torch.arange(10) % 3}


def test_bytes_become_numbers_between_0_and_1() -> None:
    moved = to_device({"image": torch.tensor([0, 51, 255], dtype=torch.uint8), "label": torch.tensor([3])}, CPU)
    assert moved["image"].dtype == torch.float32
    assert moved["image"].tolist() == pytest.approx([0, 0.2, 1])
    assert (moved["label"].dtype, moved["label"].item()) == (torch.int64, 3)


def split(batch: dict[str, Tensor], size: int) -> list[dict[str, Tensor]]:
    return [{name: value[at : at + size] for name, value in batch.items()} for at in range(0, 10, size)]


@pytest.mark.parametrize("size", [1, 3, 10])
def test_scores_do_not_depend_on_the_batches(batch: dict[str, Tensor], size: int) -> None:
    means = batch["image"].double().mean(dim=(2, 3)) / 255
    found = scalars(evaluate(nn.Identity(), Brightest(), split(batch, size), CPU))
    assert found["top1"] == (means.argmax(dim=1) == batch["label"]).double().mean()
    assert found["loss"] == pytest.approx(float(-means[range(10), batch["label"]].mean()), abs=1e-6)


def test_an_empty_share_has_no_scores() -> None:
    assert scalars(evaluate(nn.Identity(), Brightest(), [], CPU)) == {}


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_evaluated_in_evaluation_mode_and_left_as_it_was(batch: dict[str, Tensor], training: bool) -> None:
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5)).train(training)
    modes: list[bool] = []
    seen: list[int] = []
    model.register_forward_hook(lambda module, *_: modes.append(module.training))
    evaluate(model, Brightest(), split(batch, 5), CPU, lambda prediction, _batch: seen.append(len(prediction)))
    assert modes == [False, False]
    assert seen == [5, 5]
    assert model.training is training
    assert model[0].num_batches_tracked == 0


def test_a_matrix_is_no_scalar() -> None:
    matrix = Ratio(torch.ones(2, 2), torch.ones(2, 1))
    assert scalars({"a": Ratio(torch.tensor(1.0), torch.tensor(4.0)), "confusion": matrix}) == {"a": 0.25}


def test_rows_that_only_fill_a_batch_count_for_nothing(batch: dict[str, Tensor]) -> None:
    shown: list[int] = []

    def show(prediction: Tensor, shown_batch: Mapping[str, Tensor]) -> None:
        assert set(shown_batch) == {"image", "label"}
        shown.append(len(prediction))

    valid = torch.tensor([True] * 7 + [False] * 3)
    padded = [{**batch, "valid": valid}, {**batch, "valid": torch.zeros(10, dtype=torch.bool)}]
    found = evaluate(nn.Identity(), Brightest(), padded, CPU, show)
    alone = evaluate(nn.Identity(), Brightest(), [{name: value[:7] for name, value in batch.items()}], CPU)
    assert scalars(found) == scalars(alone)
    assert shown == [7]
