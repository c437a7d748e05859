"""Which of some given weights a network starts from. It knows names and shapes, and not where the weights came from."""

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn

from wavemix.errors import ConfigError

HEADS = ("head.", "decoder.", "final.")
"""How the names of a network's last layers begin, which belong to its classes and its kind of answer."""


def names_taken(ours: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    """The names of a network's weights that start from the given ones; the others stay as they were drawn.

    All are taken but layers of the head, which may be missing or of another shape: for other classes, or because a
    classifier's blocks go into a segmenter. A layer is taken as a whole or not at all.

    Args:
        ours: The network's state dict; nothing but shapes is looked at.
        given: Weights under the names of our networks.

    Raises:
        ConfigError: Something else is missing, left over, or of another shape; the message names the first.
    """
    fits = {name for name in ours if name in given and ours[name].shape == given[name].shape}
    wrong = [
        f"{name} has the shape {list(given[name].shape)}, the model wants {list(tensor.shape)}"
        if name in given
        else f"they have no {name}, which the model wants"
        for name, tensor in ours.items()
        if name not in fits and not name.startswith(HEADS)
    ]
    wrong += [f"{name} has no place in the model" for name in given if name not in ours and not name.startswith(HEADS)]
    if wrong:
        more = f" (and {len(wrong) - 1} more do not fit)" if len(wrong) > 1 else ""
        raise ConfigError(f"weights: {wrong[0]}{more}; give task.model the arguments that they were trained with")
    drawn = {_layer(name) for name in ours if name not in fits}
    return [name for name in ours if _layer(name) not in drawn]


def load_start(model: nn.Module, file: Path) -> None:
    """Put the weights of a safetensors file into a fresh model, as far as ``names_taken`` takes them."""
    given = load_file(file)
    taken = names_taken(model.state_dict(), given)
    model.load_state_dict({name: given[name] for name in taken}, strict=False)


def _layer(name: str) -> str:
    return name.rpartition(".")[0]
