"""Loading the authors' checkpoints: every historical name arrives, and what does not fit is refused as a whole."""

import pytest
import torch
from torch import Tensor

from wavemix.models import WaveMixClassifier, load_published
from wavemix.models.published import our_name


def network(*, levels: int = 1, stem: str = "strided") -> WaveMixClassifier:
    return WaveMixClassifier(num_classes=5, dim=8, depth=2, levels=levels, stem=stem)


def as_the_authors_name_them(model: WaveMixClassifier, levels: int) -> dict[str, Tensor]:
    """The names of wavemix 0.2.4, spelled out here once more."""
    inside = {"expand": 0, "project": 3, "upsample": 4, "norm": 5}
    stem = {"conv1": 0, "conv2": 1, "patches": 2, "norm": 4}
    published = {}
    for name, value in model.state_dict().items():
        match name.split("."):
            case ["blocks", block, "reduce", leaf]:
                key = f"layers.{block}.reduction.{leaf}"
            case ["blocks", block, "feedforwards", index, part, leaf]:
                number = "" if levels == 1 else int(index) + 1
                key = f"layers.{block}.feedforward{number}.{inside[part]}.{leaf}"
            case ["stem", part, leaf]:
                key = f"conv.{stem[part]}.{leaf}"
            case ["head", leaf]:
                key = f"pool.2.{leaf}"
        published[key] = value.clone()
    return published


def assert_same_weights(model: WaveMixClassifier, other: WaveMixClassifier) -> None:
    others = other.state_dict()
    for name, value in model.state_dict().items():
        assert torch.equal(value, others[name]), name


@pytest.mark.parametrize("stem", ["strided", "patchify"])
@pytest.mark.parametrize("levels", [1, 2, 3, 4])
def test_names_of_the_package(levels: int, stem: str) -> None:
    source, target = network(levels=levels, stem=stem), network(levels=levels, stem=stem)
    assert load_published(target, as_the_authors_name_them(source, levels)) == []
    assert_same_weights(target, source)


@pytest.mark.parametrize(
    ("package", "elsewhere"),
    [
        pytest.param(r"pool.2.", "head.2.", id="timm"),
        pytest.param(".feedforward.4.", ".ff1.", id="first-lite-deconvolution"),
        pytest.param(".feedforward.5.", ".depthconv.0.", id="first-lite-batch-norm"),
    ],
)
def test_names_elsewhere(package: str, elsewhere: str) -> None:
    source, target = network(), network()
    published = as_the_authors_name_them(source, 1)
    renamed = {key.replace(package, elsewhere): value for key, value in published.items()}
    assert renamed.keys() != published.keys()
    load_published(target, renamed)
    assert_same_weights(target, source)


def test_names_of_our_own_stay() -> None:
    for levels, stem in ((1, "strided"), (4, "patchify")):
        for name in network(levels=levels, stem=stem).state_dict():
            assert our_name(name) == name


def test_what_does_not_fit_is_refused_as_a_whole() -> None:
    source, target, untouched = network(levels=2), network(levels=2), network(levels=2)
    untouched.load_state_dict(target.state_dict())
    published = as_the_authors_name_them(source, 2)
    published |= {f"final.{index}.weight": torch.zeros(1) for index in range(5)}
    published["pool.2.bias"] = torch.zeros(7)
    del published["layers.1.reduction.weight"]
    with pytest.raises(ValueError, match="weights") as caught:
        load_published(target, published)
    assert str(caught.value).splitlines() == [
        "weights wrong shape: pool.2.bias [7] for [5]",
        "weights missing: blocks.1.reduce.weight",
        "weights left over: final.0.weight, final.1.weight, final.2.weight and 2 more",
    ]
    assert_same_weights(target, untouched)


def test_deeper_blocks_do_not_fit_shallower_ones() -> None:
    with pytest.raises(ValueError, match=r"wrong shape.*\n.*left over: layers\.0\.feedforward2\.0\.weight"):
        load_published(network(levels=1), as_the_authors_name_them(network(levels=2), 2))


def test_two_keys_for_one_weight_are_refused() -> None:
    published = as_the_authors_name_them(network(), 1)
    published["head.2.bias"] = torch.zeros(5)
    with pytest.raises(ValueError, match=r"^weights left over: head\.2\.bias$"):
        load_published(network(), published)


def test_not_strict_takes_what_is_there() -> None:
    source, target = network(), network()
    kept = target.head.bias.detach().clone()
    published = as_the_authors_name_them(source, 1) | {"final.weight": torch.zeros(1)}
    del published["pool.2.bias"]
    assert load_published(target, published, strict=False) == ["head.bias"]
    assert torch.equal(target.head.bias, kept)
    assert torch.equal(target.head.weight, source.head.weight)


def test_not_strict_still_refuses_wrong_shapes_and_strangers() -> None:
    published = as_the_authors_name_them(network(), 1)
    published["pool.2.weight"] = torch.zeros(7, 8)
    with pytest.raises(ValueError, match=r"^weights wrong shape: pool\.2\.weight \[7, 8\] for \[5, 8\]$"):
        load_published(network(), published, strict=False)
    with pytest.raises(ValueError, match="left over: backbone"):
        load_published(network(), {"backbone.weight": torch.zeros(1)}, strict=False)
