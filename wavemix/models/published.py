"""Decides how names in the authors' checkpoints become ours; does not know where a checkpoint lies or how it is read.

Their names depend on the file: ``pool.2`` is the classifier's linear layer in one, the decoder's last convolution in
another. So a rule may offer several names, and the network that is loaded into has one of them.
"""

import re
from collections.abc import Container, Iterator, Mapping
from typing import Final

from torch import Tensor, nn

# A rule renames part of a key, and all rules are applied, in this order. Of several names for one part, the first that
# the network has is taken.
RULES: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (r"^module\.", ("",)),  # DataParallel's
    # Networks around blocks: the stages of WaveMixSR-V2, WaveMixSR itself, the modules of WavePaint.
    (r"^SR_blocks\.(\d+)\.", (r"stages.\1.",)),
    (r"^wavemodules\.(\d+)\.", (r"refiners.\1.",)),
    (r"^(?=(layers|path1|final)\.)", ("", "luma.")),
    (r"\bpath1\.1\.", ("stem.0.",)),
    (r"\bpath1\.2\.", ("stem.1.",)),
    (r"\bfinal\.(\d)\.", (r"tail.\1.",)),
    (r"^(refiners\.\d+)\.conv\.(\d)\.", (r"\1.stem.\2.",)),
    (r"^(refiners\.\d+)\.depthconv\.0\.", (r"\1.depthwise.conv.",)),
    (r"^(refiners\.\d+)\.depthconv\.2\.", (r"\1.depthwise.norm.",)),
    (r"\bdecoder1\.0\.", ("upsample.",)),
    (r"\bdecoder1\.1\.", ("norm.",)),
    (r"\bdecoder2\.0\.", ("to_image.",)),
    # Blocks. A block of one level leaves out the number of its feed-forward network.
    (r"\blayers\.", ("blocks.",)),
    (r"\breduction\.", ("reduce.",)),
    (r"\bfeedforward1?\.", ("feedforwards.0.",)),
    (r"\bfeedforward2\.", ("feedforwards.1.",)),
    (r"\bfeedforward3\.", ("feedforwards.2.",)),
    (r"\bfeedforward4\.", ("feedforwards.3.",)),
    (r"\b(feedforwards\.\d)\.0\.", (r"\1.widen.",)),
    (r"\b(feedforwards\.\d)\.3\.", (r"\1.project.",)),
    (r"\b(feedforwards\.\d)\.4\.", (r"\1.upsample.",)),
    # The pixel-shuffle block has a convolution where the others have BN, and its BN behind.
    (r"\b(feedforwards\.\d)\.5\.", (r"\1.upsample.conv.", r"\1.norm.")),
    (r"\b(feedforwards\.\d)\.6\.", (r"\1.norm.",)),
    # The first WaveMix-Lite scripts kept these two outside of the feed-forward network.
    (r"\bff1\.", ("feedforwards.0.upsample.",)),
    (r"\bdepthconv\.0\.", ("feedforwards.0.norm.",)),
    # Stem of the classifier and the segmenter: the strided one ends with 1.
    (r"^conv\.([012])\.", (r"stem.convs.\1.",)),
    (r"^conv\.4\.", ("stem.norm.",)),
    # Decoder: `expand` in the package, `segment` in WaveMix-Lite.py, `pool` in Cityscapes.py. Head: `head` for timm.
    (r"^(?:expand|segment)\.(\d)\.", (r"decoder.\1.",)),
    (r"^pool\.([01])\.", (r"decoder.\1.",)),
    (r"^(?:pool|head)\.2\.", ("head.", "decoder.2.")),
)


def our_name(key: str, names: Container[str]) -> str:
    """The name that a weight or buffer of the authors' networks has in one of ours.

    Args:
        key: The authors' name, or one of our own, which stays as it is.
        names: All names of the network.

    Returns:
        One of these names; or, if none fits, what the rules make of the key first.
    """
    if key in names:
        return key
    candidates = list(_candidates(key))
    return next((name for name in candidates if name in names), candidates[0])


def _candidates(key: str, first_rule: int = 0) -> Iterator[str]:
    for index in range(first_rule, len(RULES)):
        pattern, replacements = RULES[index]
        if re.search(pattern, key):
            for replacement in replacements:
                yield from _candidates(re.sub(pattern, replacement, key), index + 1)
            return
    yield key


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

    Source: wavemix 0.2.4 and the scripts of the repositories WaveMix, WaveMixSR and WavePaint, old ones included.
    """
    ours = model.state_dict()
    given = {key: our_name(key, ours) for key in state_dict}
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
