"""All networks against tensors that the authors' code made: outputs, gradients and batch statistics."""

from collections.abc import Callable
from typing import Any

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
    haar_dwt,
)
from wavemix.models.fuse import layer_by_layer
from wavemix.models.wavelet import dwt, wavelet_filters

Config = dict[str, Any]


def block(config: Config) -> nn.Module:
    return WaveMixBlock(config["final_dim"], levels=2, mult=config["mult"], ff_dim=config["ff_channel"])


def classifier(**others: Any) -> Callable[[Config], nn.Module]:
    return lambda config: WaveMixClassifier(
        num_classes=config["num_classes"],
        dim=config["final_dim"],
        depth=config["depth"],
        levels=config.get("level", 3),
        mult=config["mult"],
        ff_dim=config["ff_channel"],
        stem="strided" if config.get("initial_conv") == "strided" else "patchify",
        stride=config.get("stride", 2),
        patch_size=config.get("patch_size", 4),
        **others,
    )


def segmenter(**others: Any) -> Callable[[Config], nn.Module]:
    return lambda config: WaveMixSegmenter(
        dim=config["final_dim"],
        depth=config["depth"],
        levels=config["level"],
        mult=config["mult"],
        ff_dim=config["ff_channel"],
        **({"num_classes": config["num_classes"]} | others),
    )


def super_resolution(**others: Any) -> Callable[[Config], nn.Module]:
    return lambda config: WaveMixSR(
        dim=config["final_dim"],
        depth=config["depth"],
        mult=config["mult"],
        ff_dim=config["ff_channel"],
        dropout=0.0,
        **others,
    )


def super_resolution_v2(config: Config) -> nn.Module:
    return WaveMixSRV2(
        scale=config["sr"], dim=config["final_dim"], blocks=config["blocks"], mult=config["mult"], dropout=0.0
    )


def wavepaint(**others: Any) -> Callable[[Config], nn.Module]:
    return lambda config: WavePaint(
        num_modules=config["num_modules"],
        blocks_per_module=config["blocks_per_module"],
        dim=config["final_dim"],
        mult=config["mult"],
        ff_dim=config["ff_channel"],
        dropout=0.0,
        **others,
    )


NETWORKS: dict[str, Callable[[Config], nn.Module]] = {
    "block_L2": block,
    "cls_L2_patch4": classifier(),
    "cls_L4_patch4": classifier(),
    "cls_lite_strided_s1": classifier(),
    "cls_lite_upsample_bilinear": classifier(expand="bilinear"),
    "cls_version2_L3_head1024": classifier(head_dim=1024),
    "seg_L3": segmenter(),
    # Its decoder has five classes; the seven of the configuration are those of the trunk.
    "seg_cityscapes_script_L3": segmenter(stem="patchify", decoder_dims=(16, 8), num_classes=5),
    "srv2_pixelshuffle_ff4x_sr2": super_resolution_v2,
    "wavemixsr_x2_bicubic": super_resolution(scale=2),
    "wavemixsr_x3_bilinear": super_resolution(scale=3, interpolation="bilinear"),
    "wavepaint_4ch_modules1": wavepaint(),
    "wavepaint_root3ch_modules1": wavepaint(mask_input=False),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_network(name: str, reference, assert_parity) -> None:
    expected = reference(name)
    assert_parity(NETWORKS[name](expected["config"]), expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_network_layer_by_layer(name: str, reference, assert_parity) -> None:
    expected = reference(name)
    assert_parity(layer_by_layer(NETWORKS[name](expected["config"])), expected)


@pytest.mark.parametrize("name", ["dwt_db1_J1_zero", "dwt_db1_J3_zero", "dwt_db2_J1_zero", "dwt_bior1.3_J1_zero"])
def test_wavelet_transform(name: str, reference) -> None:
    expected = reference(name)
    filters = wavelet_filters(expected["config"]["wave"])
    assert_bands(expected, lambda x_bchw: dwt(x_bchw, filters))


@pytest.mark.parametrize("name", ["dwt_db1_J1_zero", "dwt_db1_J3_zero"])
def test_haar_transform(name: str, reference) -> None:
    assert_bands(reference(name), haar_dwt)


def assert_bands(expected: dict[str, Any], transform: Callable[[Tensor], Tensor]) -> None:
    """The details of every level, and the last level's ll."""
    (ll,) = expected["inputs"]
    assert len(expected["highs"]) == expected["config"]["J"]
    for highs_bc3hw in expected["highs"]:
        channels = ll.shape[1]
        bands = transform(ll)
        ll = bands[:, :channels]
        torch.testing.assert_close(bands[:, channels:], highs_bc3hw.flatten(1, 2), atol=1e-5, rtol=0)
    torch.testing.assert_close(ll, expected["low"], atol=1e-5, rtol=0)
