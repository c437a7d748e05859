"""LPIPS and FID: the distance on known Gaussians and against others' formula, and that no other weights are taken."""

import hashlib
import io
import math
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor, nn

from wavemix.errors import ConfigError, DataError
from wavemix.metrics import FrechetDistance, frechet_distance, lpips_distance, perceptual, published_networks
from wavemix.metrics.perceptual import PUBLISHED, Published, read_weights

CPU = torch.device("cpu")


def mean_colours(picture_b3hw: Tensor) -> Tensor:
    return picture_b3hw.float().mean(dim=(2, 3))


def exact_moments(mean: Tensor, deviations: Tensor) -> Tensor:
    """Feature vectors whose mean and unbiased covariance ``diag(deviations**2)`` are exactly these."""
    num_vectors = 2 * len(mean)
    steps = torch.diag(deviations * math.sqrt((num_vectors - 1) / 2))
    return torch.cat((mean + steps, mean - steps))


def between(one_bd: Tensor, two_bd: Tensor) -> FrechetDistance:
    """Of features that are handed in as pictures of one pixel would be, without their rounding."""
    features = iter((one_bd, two_bd))
    nothing = torch.zeros(1, 3, 1, 1)
    return frechet_distance(lambda _picture: next(features), nothing, nothing)


def as_others_do(one_bd: Tensor, two_bd: Tensor) -> float:
    """The formula of pytorch-fid, torch-fidelity and torchmetrics, in NumPy and SciPy."""
    one, two = one_bd.numpy(), two_bd.numpy()
    covariances = [np.cov(features, rowvar=False) for features in (one, two)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1])
    apart = one.mean(axis=0) - two.mean(axis=0)
    return float(apart @ apart + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * np.trace(root).real)


def test_the_distance_of_known_gaussians() -> None:
    """Between diagonal covariances it is ``|m1 - m2|**2 + sum((s1 - s2)**2)``."""
    one = exact_moments(torch.tensor([1.0, 2.0, 3.0]).double(), torch.tensor([1.0, 2.0, 3.0]).double())
    two = exact_moments(torch.tensor([1.0, 0.0, 4.0]).double(), torch.tensor([2.0, 2.0, 0.5]).double())
    assert between(one, two).value == pytest.approx((4 + 1) + (1 + 0 + 6.25), rel=1e-12)
    assert between(one, one).value == pytest.approx(0, abs=1e-6)


def test_the_distance_does_not_change_when_both_are_turned() -> None:
    generator = torch.Generator().manual_seed(0)
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    one = exact_moments(torch.zeros(3).double(), torch.tensor([1.0, 2.0, 3.0]).double())
    two = exact_moments(torch.ones(3).double(), torch.tensor([3.0, 1.0, 0.0]).double())
    assert between(one @ turn, two @ turn).value == pytest.approx(3 + 4 + 1 + 9, rel=1e-9)


def test_the_distance_equals_that_of_others() -> None:
    generator = torch.Generator().manual_seed(0)
    one_bd, two_bd = (torch.rand(200, 24, generator=generator, dtype=torch.float64) ** power for power in (1, 2))
    one_bd = one_bd @ torch.rand(24, 24, generator=generator, dtype=torch.float64)
    assert between(one_bd, two_bd).value == pytest.approx(as_others_do(one_bd, two_bd), rel=1e-9)


def test_few_pictures_give_a_distance_too() -> None:
    """With fewer vectors than features both covariances are singular; the closed form is of one direction each."""
    one_bd, two_bd = torch.zeros(2, 64, dtype=torch.float64), torch.zeros(2, 64, dtype=torch.float64)
    one_bd[:, 0], two_bd[:, 0] = torch.tensor([-1.0, 1.0]), torch.tensor([-2.0, 2.0])
    assert between(one_bd, two_bd).value == pytest.approx((math.sqrt(8) - math.sqrt(2)) ** 2, rel=1e-6)
    assert math.isnan(between(one_bd[:1], two_bd[:1]).value)


@pytest.mark.parametrize("sizes", [[30], [1] * 30, [29, 1]])
def test_the_distance_does_not_depend_on_the_batches(sizes: list[int]) -> None:
    generator = torch.Generator().manual_seed(0)
    answer, truth = (torch.rand(30, 3, 4, 4, generator=generator) for _ in range(2))
    whole = frechet_distance(mean_colours, answer, truth)
    first, *others = (
        frechet_distance(mean_colours, *part) for part in zip(answer.split(sizes), truth.split(sizes), strict=True)
    )
    for other in others:
        first = first + other
    assert first.answers.count == 30
    assert first.value == pytest.approx(whole.value, rel=1e-9)


def test_the_network_sees_pictures_of_8_bits() -> None:
    seen = []

    def look(picture_b3hw: Tensor) -> Tensor:
        seen.append(picture_b3hw)
        return mean_colours(picture_b3hw)

    frechet_distance(look, torch.tensor([-1.0, 0.499, 2.0]).reshape(1, 3, 1, 1), torch.zeros(1, 3, 1, 1))
    assert seen[0].dtype == torch.uint8
    assert seen[0].flatten().tolist() == [0, 127, 255]


def test_lpips_is_given_what_it_was_made_for() -> None:
    class Distance(nn.Module):
        def forward(self, one_b3hw: Tensor, other_b3hw: Tensor) -> Tensor:
            assert one_b3hw.min() == -1
            assert one_b3hw.max() == 1
            return (one_b3hw - other_b3hw).abs().mean(dim=(1, 2, 3), keepdim=True)

    answer = torch.tensor([0.0, 0.5, 1.0])[:, None, None, None].expand(3, 3, 2, 2)
    found = lpips_distance(Distance(), answer, torch.full_like(answer, 0.5))
    assert float(found.count) == 3
    assert float(found.value) == pytest.approx((1 + 0 + 1) / 3)


def saved(folder: Path, weights: object) -> Published:
    file = io.BytesIO()
    torch.save(weights, file)
    (folder / "weights.pth").write_bytes(file.getvalue())
    return Published("https://example.org/weights.pth", hashlib.sha256(file.getvalue()).hexdigest())


def test_reads_the_published_file(tmp_path: Path) -> None:
    published = saved(tmp_path, {"a": torch.arange(3)})
    assert read_weights(published, str(tmp_path))["a"].tolist() == [0, 1, 2]


def test_refuses_another_file_under_the_name_of_the_published_one(tmp_path: Path) -> None:
    published = saved(tmp_path, {"a": torch.arange(3)})
    saved(tmp_path, {"a": torch.arange(4)})
    with pytest.raises(DataError, match=r"weights.pth: not the published weights: SHA-256 .*\nget https://example.org"):
        read_weights(published, str(tmp_path))


def test_says_where_weights_are_looked_for_and_where_they_are_had(tmp_path: Path) -> None:
    for name, published in PUBLISHED.items():
        with pytest.raises(DataError) as error:
            read_weights(published, str(tmp_path))
        assert str(tmp_path / published.name) in str(error.value)
        assert f"get {published.url}" in str(error.value), name
        assert len(str(error.value).splitlines()) <= 3


def test_the_names_of_the_files_begin_with_their_digests() -> None:
    """So torchvision and torch-fidelity name them: a typing error in a digest would not go unseen."""
    for published in PUBLISHED.values():
        assert published.name.removesuffix(".pth").rpartition("-")[2] == published.sha256[:8]
        assert len(published.sha256) == 64


def test_says_which_package_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "lpips", None)
    with pytest.raises(ConfigError, match=r"cannot import lpips.*\n.*wavemix-train\[perceptual\]"):
        published_networks(str(tmp_path), CPU)


@pytest.mark.slow
def test_networks_with_published_weights_are_frozen_and_can_be_trained_through(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Random weights take the place of the published ones, of which none is here: all but the numbers is the same."""
    try:
        import lpips  # noqa: F401, PLC0415
        import torch_fidelity  # noqa: PLC0415
        import torchvision  # noqa: PLC0415
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"needs the extra `perceptual`: {error}")
    networks = {"alex": torchvision.models.alexnet(), "vgg": torchvision.models.vgg16()}
    with monkeypatch.context() as patched:
        patched.setattr(torch_fidelity.FeatureExtractorInceptionV3, "load_state_dict", lambda *_args: None)
        patched.setattr(torch, "load", lambda *_args, **_kwargs: None)
        networks["inception"] = torch_fidelity.FeatureExtractorInceptionV3("a", ["2048"], "")
    for name, network in networks.items():
        folder = tmp_path / name
        folder.mkdir()
        published = saved(folder, network.state_dict())
        (folder / "weights.pth").rename(tmp_path / f"{name}.pth")
        monkeypatch.setitem(perceptual.PUBLISHED, name, Published(f"https://example.org/{name}.pth", published.sha256))

    before = torch.get_rng_state()
    with torch.inference_mode():
        made = published_networks(str(tmp_path), CPU)
    assert torch.equal(before, torch.get_rng_state())
    assert published_networks(str(tmp_path), CPU) is made
    truth = torch.rand(2, 3, 64, 64)
    for network in (made.alex, made.vgg):
        assert not network.training
        assert not any(parameter.requires_grad for parameter in network.parameters())
        answer = torch.rand(2, 3, 64, 64, requires_grad=True)
        network(answer, truth).mean().backward()
        assert answer.grad is not None
        assert answer.grad.abs().sum() > 0
        assert float(network(truth, truth).abs().max()) == 0
    torch.testing.assert_close(made.alex.net.slice3.get_submodule("6").weight, networks["alex"].features[6].weight)
    assert made.inception(torch.zeros(2, 3, 64, 64, dtype=torch.uint8)).shape == (2, 2048)
