"""The networks of LPIPS and FID: decides which published weights these names stand for, and accepts no others.

It knows no task. The networks come from the packages ``lpips`` and ``torch-fidelity`` (the extra ``perceptual``), which
are imported when they are needed.

Shapes: b = batch, h, w = height, width.
"""

import hashlib
import importlib
import io
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from wavemix.errors import ConfigError, DataError
from wavemix.metrics.tally import Ratio, ratio


class Published(NamedTuple):
    """A file of weights as its authors offer it."""

    url: str
    sha256: str

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


PUBLISHED: Mapping[str, Published] = {
    "alex": Published(
        "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    ),
    "vgg": Published(
        "https://download.pytorch.org/models/vgg16-397923af.pth",
        "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    ),
    "inception": Published(
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
        "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    ),
}
"""torchvision's AlexNet and VGG-16, and the Inception of the original FID, converted from TensorFlow."""

LINEAR_SHA256: Mapping[str, str] = {
    "alex": "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
    "vgg": "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
}
"""Of LPIPS 0.1's own weights, on top of the network's, which the package ``lpips`` ships."""


@dataclass(frozen=True)
class Networks:
    """The networks of all metrics here, frozen and in evaluation mode.

    ``alex``, ``vgg``: (two batches of pictures ``[b, 3, h, w]``) -> distances ``[b, 1, 1, 1]``.
    ``inception``: uint8 pictures ``[b, 3, h, w]`` -> features ``[b, 2048]``.
    """

    alex: nn.Module
    vgg: nn.Module
    inception: Callable[[Tensor], Tensor]


@cache
def published_networks(folder: str | None, device: torch.device) -> Networks:
    """All networks with their published weights, made once per process and device; no random number is drawn for it.

    Args:
        folder: Where the files of ``PUBLISHED`` lie under their own names; None: where torch.hub keeps files, and those
            that are missing there are downloaded.
        device: Where the networks will be.

    Raises:
        ConfigError: A package cannot be imported.
        DataError: A file is missing, or is not the published one.
    """
    lpips, torch_fidelity = _imported("lpips"), _imported("torch_fidelity")
    # Outside of inference mode, even if it is asked for within: training goes back through what is made here.
    with torch.inference_mode(False), torch.random.fork_rng(devices=[]):
        weights = {name: read_weights(published, folder) for name, published in PUBLISHED.items()}
        alex, vgg = (_lpips_network(lpips, net, weights[net]) for net in ("alex", "vgg"))
        file = io.BytesIO()  # of tensors alone, for this package loads whatever a file holds
        torch.save(weights["inception"], file)
        file.seek(0)
        inception = torch_fidelity.FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048"], feature_extractor_weights_path=file
        ).to(device)
    return Networks(alex.to(device), vgg.to(device), lambda picture_b3hw: inception(picture_b3hw)[0])


def read_weights(published: Published, folder: str | None) -> dict[str, Tensor]:
    """The tensors of a published file, on the CPU.

    Raises:
        DataError: It is missing, cannot be downloaded, or is another one than was published.
    """
    path = Path(folder or f"{torch.hub.get_dir()}/checkpoints", published.name)
    try:
        if folder is None and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(published.url, str(path), published.sha256, progress=False)
        content = path.read_bytes()
    except (OSError, RuntimeError) as error:
        raise DataError(f"{path}: no weights for LPIPS and FID: {error}\nget {published.url}") from None
    if (found := hashlib.sha256(content).hexdigest()) != published.sha256:
        raise DataError(
            f"{path}: not the published weights: SHA-256 {found[:16]}..., published {published.sha256[:16]}...\n"
            f"get {published.url}"
        )
    weights: dict[str, Tensor] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return weights


def lpips_distance(network: nn.Module, answer_b3hw: Tensor, truth_b3hw: Tensor) -> Ratio:
    """Mean over pictures of the LPIPS distance, which is 0 for equal ones.

    Args:
        network: ``Networks.alex`` or ``Networks.vgg``; the name of the metric must tell which.
        answer_b3hw: In [0, 1]; brought to [-1, 1] here, as the network expects it.
        truth_b3hw: The same.

    Source: Zhang et al. 2018 (arXiv 1801.03924), version 0.1 of the authors' package.
    """
    distance_b111 = network(2 * answer_b3hw - 1, 2 * truth_b3hw - 1)
    return ratio(distance_b111.double().sum(), len(distance_b111))


def _lpips_network(package: Any, net: str, weights: Mapping[str, Tensor]) -> Any:
    path = Path(package.__file__).parent / "weights" / "v0.1" / f"{net}.pth"
    if hashlib.sha256(path.read_bytes()).hexdigest() != LINEAR_SHA256[net]:
        raise DataError(f"{path}: not the weights of LPIPS 0.1; pip install --force-reinstall lpips==0.1.4")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it calls torchvision by argument names of old
        network = package.LPIPS(net=net, pnet_rand=True, verbose=False)
    # Its `slice2.3.weight` is the `features.3.weight` of the whole network.
    network.net.load_state_dict(
        {name: weights[f"features.{name.partition('.')[2]}"] for name in network.net.state_dict()}
    )
    return network.eval().requires_grad_(False)


def _imported(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except (ImportError, RuntimeError) as error:  # a torchvision made for another torch raises the latter
        raise ConfigError(
            f"LPIPS and FID: cannot import {package}: {error}\n"
            "pip install 'wavemix-train[perceptual]', or leave them out (task.perceptual: none)"
        ) from None
