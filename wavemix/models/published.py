"""Decides how names in the authors' checkpoints become ours; does not know where a checkpoint lies or how it is read.

A rule renames part of a key; all rules are applied, in this order.
"""

import re
from collections.abc import Mapping
from typing import Final

from torch import Tensor, nn

RULES: Final[tuple[tuple[str, str], ...]] = (
    # Blocks. A block of one level leaves out the number of its feed-forward network.
    (r"^layers\.", "blocks."),
    (r"\breduction\.", "reduce."),
    (r"\bfeedforward1?\.", "feedforwards.0."),
    (r"\bfeedforward2\.", "feedforwards.1."),
    (r"\bfeedforward3\.", "feedforwards.2."),
    (r"\bfeedforward4\.", "feedforwards.3."),
    (r"\b(feedforwards\.\d)\.0\.", r"\1.expand."),
    (r"\b(feedforwards\.\d)\.3\.", r"\1.project."),
    (r"\b(feedforwards\.\d)\.4\.", r"\1.upsample."),
    (r"\b(feedforwards\.\d)\.5\.", r"\1.norm."),
    # The first WaveMix-Lite scripts kept these two outside of the feed-forward network.
    (r"\bff1\.", "feedforwards.0.upsample."),
    (r"\bdepthconv\.0\.", "feedforwards.0.norm."),
    # Stem: the strided one ends with 1.
    (r"^conv\.0\.", "stem.conv1."),
    (r"^conv\.1\.", "stem.conv2."),
    (r"^conv\.2\.", "stem.patches."),
    (r"^conv\.4\.", "stem.norm."),
    # Head: `head` in the variant for timm.
    (r"^(pool|head)\.2\.", "head."),
)


def our_name(key: str) -> str:
    """The name, in our networks, of a weight or buffer of the authors' networks; names of our own stay as they are."""
    for pattern, replacement in RULES:
        key = re.sub(pattern, replacement, key)
    return key


def load_published(model: nn.Module, state_dict: Mapping[str, Tensor], strict: bool = True) -> list[str]:
    """Copy the weights of one of the authors' checkpoints into one of our networks.

    The mapping is checked as a whole first: a model that does not fit is left as it was.

    Args:
        model: The network (or a single `WaveMixBlock`), built with the arguments of the checkpoint.
        state_dict: The authors' names and tensors, already in memory (``torch.load(..., weights_only=True)``).
        strict: Whether every weight must be given and none left over. If not, those of both that match are copied;
            wrong shapes remain an error.

    Returns:
        Our names of the weights that were not given and kept their values; empty if strict.

    Raises:
        ValueError: If names are missing or left over, or shapes differ; the message has one line for each of the three
            and names the first few. Also if nothing matches at all.

    Source: classification of wavemix 0.2.4, its timm variant, and the first WaveMix-Lite scripts.
    """
    ours = model.state_dict()
    given = {key: our_name(key) for key in state_dict}
    # Of two keys that mean the same weight, the second is left over.
    keys = {name: key for key, name in reversed(given.items()) if name in ours}
    missing = [name for name in ours if name not in keys]
    left_over = [key for key, name in given.items() if keys.get(name) != key]
    wrong_shape = [
        f"{key} {list(state_dict[key].shape)} for {list(ours[name].shape)}"
        for name, key in keys.items()
        if state_dict[key].shape != ours[name].shape
    ]
    complaints = {"wrong shape": wrong_shape}
    if strict or not keys:
        complaints |= {"missing": missing, "left over": left_over}
    lines = [_in_one_line(what, items) for what, items in complaints.items() if items]
    if lines:
        raise ValueError("\n".join(lines))
    model.load_state_dict({name: state_dict[key] for name, key in keys.items()}, strict=False)
    return missing


def _in_one_line(what: str, items: list[str]) -> str:
    shown, more = items[:3], len(items) - 3
    return f"weights {what}: {', '.join(shown)}" + (f" and {more} more" if more > 0 else "")
