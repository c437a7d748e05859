"""Loading the authors' checkpoints: every historical name arrives, and what does not fit is refused as a whole."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from wavemix.models import (
    WaveMixBlock,
    WaveMixClassifier,
    WaveMixSegmenter,
    WaveMixSR,
    WaveMixSRV2,
    WavePaint,
    load_published,
)
from wavemix.models.published import our_name


def network(**changed: Any) -> WaveMixClassifier:
    return WaveMixClassifier(**{"num_classes": 5, "dim": 8, "depth": 2} | changed)


def segmenter(**changed: Any) -> WaveMixSegmenter:
    return WaveMixSegmenter(**{"num_classes": 5, "dim": 8, "depth": 2, "levels": 2} | changed)


def paint(**changed: Any) -> WavePaint:
    return WavePaint(**{"num_modules": 2, "blocks_per_module": 2, "dim": 8} | changed)


# The authors' names, spelled out here once more: from our name for a weight to theirs.

DECONVOLUTION = {"widen": 0, "project": 3, "upsample": 4, "norm": 5}
PIXEL_SHUFFLE = {"widen": 0, "project": 3, "upsample.conv": 5, "norm": 6}


def in_block(name: str, levels: int, inside: dict[str, int] = DECONVOLUTION) -> str:
    match name.split("."):
        case ["reduce", leaf]:
            return f"reduction.{leaf}"
        case ["feedforwards", index, *part, leaf]:
            number = "" if levels == 1 else int(index) + 1
            return f"feedforward{number}.{inside['.'.join(part)]}.{leaf}"
    raise AssertionError(name)


def in_network(name: str, levels: int, head: str = "pool.2", decoder: str = "expand") -> str:
    match name.split("."):
        case ["blocks", block, *rest]:
            return f"layers.{block}.{in_block('.'.join(rest), levels)}"
        case ["stem", "convs", index, leaf]:
            return f"conv.{index}.{leaf}"
        case ["stem", "norm", leaf]:
            return f"conv.4.{leaf}"
        case ["decoder", index, leaf]:
            return f"{decoder}.{index}.{leaf}"
        case ["final", leaf]:
            return f"final.{leaf}"
        case ["head", leaf]:
            return f"{head}.{leaf}"
    raise AssertionError(name)


def in_luma(name: str, inside: dict[str, int] = DECONVOLUTION) -> str:
    match name.split("."):
        case ["blocks", block, *rest]:
            return f"layers.{block}.{in_block('.'.join(rest), 1, inside)}"
        case ["stem", index, leaf]:
            return f"path1.{int(index) + 1}.{leaf}"
        case ["tail", index, leaf]:
            return f"final.{index}.{leaf}"
    raise AssertionError(name)


def in_stages(name: str) -> str:
    _, stage, *rest = name.split(".")
    return f"SR_blocks.{stage}.{in_luma('.'.join(rest), PIXEL_SHUFFLE)}"


def in_paint(name: str, levels: int) -> str:
    _, module, *rest = name.split(".")
    parts = {
        "depthwise.conv": "depthconv.0",
        "depthwise.norm": "depthconv.2",
        "upsample": "decoder1.0",
        "norm": "decoder1.1",
        "to_image": "decoder2.0",
    }
    match rest:
        case ["blocks", block, *inner]:
            return f"wavemodules.{module}.layers.{block}.{in_block('.'.join(inner), levels)}"
        case ["stem", index, leaf]:
            return f"wavemodules.{module}.conv.{index}.{leaf}"
        case [*part, leaf]:
            return f"wavemodules.{module}.{parts['.'.join(part)]}.{leaf}"
    raise AssertionError(name)


class Layout(NamedTuple):
    """A network, and what one of the authors' files calls its weights."""

    make: Callable[[], nn.Module]
    theirs: Callable[[str], str]


def of_package(levels: int, stem: str) -> Layout:
    return Layout(lambda: network(levels=levels, stem=stem), lambda name: in_network(name, levels))


def of_block(levels: int) -> Layout:
    return Layout(lambda: WaveMixBlock(8, levels=levels), lambda name: in_block(name, levels))


def of_segmenter(decoder: str) -> Layout:
    return Layout(segmenter, lambda name: in_network(name, 2, decoder=decoder))


def of_paint(levels: int, *, mask_input: bool) -> Layout:
    return Layout(lambda: paint(levels=levels, mask_input=mask_input), lambda name: in_paint(name, levels))


LAYOUTS = {
    **{f"block-{levels}": of_block(levels) for levels in (1, 2, 3, 4)},
    **{
        f"package-{levels}-{stem}": of_package(levels, stem)
        for levels in (1, 2, 3, 4)
        for stem in ("strided", "patchify")
    },
    "timm": Layout(network, lambda name: in_network(name, 1, head="head.2")),
    "version2": Layout(lambda: network(levels=3, stem="patchify", head_dim=12), lambda name: in_network(name, 3)),
    "lite-bilinear": Layout(lambda: network(expand="bilinear"), lambda name: in_network(name, 1)),
    "segmenter-package": of_segmenter("expand"),
    "segmenter-lite": of_segmenter("segment"),
    "segmenter-cityscapes": Layout(
        lambda: segmenter(levels=3, stem="patchify", decoder_dims=(7, 3)),
        lambda name: in_network(name, 3, decoder="pool"),
    ),
    "sr": Layout(lambda: WaveMixSR(dim=8, depth=2), lambda name: in_luma(name.removeprefix("luma."))),
    "sr-luma-alone": Layout(lambda: WaveMixSR(dim=8, depth=2).luma, in_luma),
    "sr-v2": Layout(lambda: WaveMixSRV2(scale=4, dim=8, blocks=2), in_stages),
    "paint": of_paint(1, mask_input=True),
    "paint-level-3": of_paint(3, mask_input=True),
    "paint-blind": of_paint(1, mask_input=False),
}

all_layouts = pytest.mark.parametrize("layout", [pytest.param(layout, id=name) for name, layout in LAYOUTS.items()])


def published_by(layout: Layout, model: nn.Module) -> dict[str, Tensor]:
    """A checkpoint as the authors write it, with values unlike those of any new network."""
    state_dict = {name: value + 1 for name, value in model.state_dict().items()}
    return {layout.theirs(name): value for name, value in state_dict.items()}


def as_the_authors_name_them(model: WaveMixClassifier, levels: int) -> dict[str, Tensor]:
    """The names of wavemix 0.2.4."""
    return {in_network(name, levels): value.clone() for name, value in model.state_dict().items()}


def assert_same_weights(model: nn.Module, other: nn.Module) -> None:
    others = other.state_dict()
    for name, value in model.state_dict().items():
        assert torch.equal(value, others[name]), name


@all_layouts
def test_every_name_arrives(layout: Layout) -> None:
    model = layout.make()
    published = published_by(layout, model)
    assert len(published) == len(model.state_dict())
    assert load_published(model, published) == []
    for name, value in model.state_dict().items():
        assert torch.equal(value, published[layout.theirs(name)]), name


@all_layouts
def test_names_of_our_own_stay(layout: Layout) -> None:
    model = layout.make()
    names = set(model.state_dict())
    assert {our_name(name, names) for name in names} == names
    assert load_published(layout.make(), model.state_dict()) == []


@all_layouts
def test_every_weight_is_needed_unless_not_strict(layout: Layout) -> None:
    model = layout.make()
    published = published_by(layout, model)
    name = list(model.state_dict())[-1]
    kept = model.state_dict()[name].clone()
    del published[layout.theirs(name)]
    with pytest.raises(ValueError, match=f"^weights missing: {name}$"):
        load_published(model, published)
    assert load_published(model, published, strict=False) == [name]
    assert torch.equal(model.state_dict()[name], kept)


@all_layouts
def test_nothing_is_left_over_unless_not_strict(layout: Layout) -> None:
    published = published_by(layout, layout.make()) | {"layers.0.extra.weight": torch.zeros(1)}
    with pytest.raises(ValueError, match=r"^weights left over: layers\.0\.extra\.weight$"):
        load_published(layout.make(), published)
    assert load_published(layout.make(), published, strict=False) == []


@pytest.mark.parametrize(
    ("package", "elsewhere"),
    [
        pytest.param("pool.2.", "head.2.", id="timm"),
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


@pytest.mark.parametrize(
    ("key", "make", "expected"),
    [
        ("pool.2.weight", network, "head.weight"),
        ("pool.2.weight", segmenter, "decoder.2.weight"),
        ("conv.0.weight", network, "stem.convs.0.weight"),
        ("wavemodules.1.conv.0.weight", paint, "refiners.1.stem.0.weight"),
        ("layers.0.reduction.weight", network, "blocks.0.reduce.weight"),
        ("layers.0.reduction.weight", lambda: WaveMixSR(dim=8, depth=1), "luma.blocks.0.reduce.weight"),
        ("final.weight", lambda: network(head_dim=12), "final.weight"),
        ("final.0.weight", lambda: WaveMixSR(dim=8, depth=1), "luma.tail.0.weight"),
        ("layers.0.feedforward.5.weight", network, "blocks.0.feedforwards.0.norm.weight"),
        (
            "layers.0.feedforward.5.weight",
            lambda: network(expand="pixel_shuffle"),
            "blocks.0.feedforwards.0.upsample.conv.weight",
        ),
        (
            "layers.0.feedforward.6.weight",
            lambda: network(expand="pixel_shuffle"),
            "blocks.0.feedforwards.0.norm.weight",
        ),
        (
            "wavemodules.0.depthconv.0.weight",
            paint,
            "refiners.0.depthwise.conv.weight",
        ),
        ("layers.0.depthconv.0.weight", network, "blocks.0.feedforwards.0.norm.weight"),
    ],
)
def test_the_network_decides_what_a_name_means(key: str, make: Callable[[], nn.Module], expected: str) -> None:
    assert our_name(key, make().state_dict()) == expected


@pytest.mark.parametrize("key", ["backbone.weight", "pool.3.weight", "conv.3.weight", "layers.0.feedforward5.0.weight"])
def test_a_name_without_a_place_has_none(key: str) -> None:
    names = network(levels=4).state_dict()
    assert our_name(key, names) not in names


@pytest.mark.parametrize(
    ("source", "target"),
    [
        pytest.param("sr", "sr-v2", id="sr-into-v2"),
        pytest.param("sr-v2", "sr", id="v2-into-sr"),
        pytest.param("package-1-strided", "package-1-patchify", id="stems"),
        pytest.param("package-2-strided", "package-3-strided", id="levels"),
        pytest.param("paint", "paint-blind", id="4-channels-into-3"),
        pytest.param("paint-level-3", "paint", id="paint-levels"),
        pytest.param("segmenter-package", "package-2-strided", id="segmenter-into-classifier"),
    ],
)
def test_weights_of_another_network_are_refused(source: str, target: str) -> None:
    published = published_by(LAYOUTS[source], LAYOUTS[source].make())
    model, untouched = LAYOUTS[target].make(), LAYOUTS[target].make()
    untouched.load_state_dict(model.state_dict())
    with pytest.raises(ValueError, match=r"^weights (wrong shape|missing|left over): "):
        load_published(model, published)
    assert_same_weights(model, untouched)


def test_dtypes_and_devices_of_the_network_stay() -> None:
    layout = LAYOUTS["package-1-strided"]
    model = network().double()
    published = published_by(layout, network())
    load_published(model, published)
    assert {value.dtype for value in model.state_dict().values()} == {torch.float64, torch.int64}
    assert torch.equal(model.head.bias, published["pool.2.bias"].double())


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
