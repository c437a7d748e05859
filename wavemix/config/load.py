"""params.yaml and command-line overrides -> a validated ``Params``, or one line per mistake with its YAML path.

It knows the schema and the file, and nothing of what the numbers are used for.
"""

import difflib
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from wavemix.config.schema import Experiment, Params
from wavemix.errors import ConfigError

MOST_LINES = 3
MOST_NAMES = 8


def load_params(path: Path | str = "params.yaml", overrides: Sequence[str] = ()) -> Params:
    """Read and check the whole of params.yaml, so that no stage starts on a number that a later one refuses.

    Args:
        path: The YAML file.
        overrides: Changes such as ``experiments.digits.recipe.global_batch=32``; the value is read as YAML. Or
            ``@file`` with a mapping of such paths to values, as a sweep's ``best.yaml``.

    Raises:
        ConfigError: A line per mistake (three at most): YAML path, what was found, what is allowed.
    """
    path = Path(path)
    try:
        tree = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; run this in the project's folder, where params.yaml lies") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not readable as YAML: {_on_one_line(error)}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: found {_shown(tree)}, a mapping with the keys {_keys(Params)} is needed")
    for override in overrides:
        tree = _with_file(tree, override[1:]) if override.startswith("@") else with_override(tree, override)
    try:
        # JSON mode is strict about numbers and text, but takes a YAML list for a tuple.
        params = Params.model_validate_json(json.dumps(tree, default=str))
    except ValidationError as error:
        raise ConfigError(_report(str(path), error, tree)) from None
    _check_names(params, str(path))
    if not overrides:  # a change for one run is no mistake of a sweep that is not run
        for name in params.sweeps:
            check_sweep(params, name, where=f"{path}: ")
    return params


def check_sweep(params: Params, name: str, *, where: str = "") -> None:
    """Whether a sweep's sampler and scheduler fit each other and its experiment's recipe; ``where`` begins an error.

    Raises:
        ConfigError: They do not.
    """
    sweep = params.sweeps[name]
    base = changed_experiment(params.experiments[sweep.experiment], sweep.overrides, f"sweeps.{name}.overrides")
    if mistake := sweep.mistake(base.recipe):
        raise ConfigError(f"{where}sweeps.{name}.{mistake}")


def with_override(tree: dict[str, Any], override: str) -> dict[str, Any]:
    """A copy of the tree with one leaf changed; ``override`` is ``path.to.leaf=value`` with a YAML value."""
    dotted, equals, text = override.partition("=")
    if not equals or not dotted.strip():
        raise ConfigError(f"override {override!r}: write it as path.to.leaf=value")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"override {override!r}: not readable as YAML: {_on_one_line(error)}") from None
    changed: dict[str, Any] = with_leaf(tree, dotted.strip(), value)
    return changed


def _with_file(tree: dict[str, Any], file: str) -> dict[str, Any]:
    try:
        leaves = yaml.safe_load(Path(file).read_text())
    except OSError as error:
        raise ConfigError(f"override @{file}: cannot be read ({error.strerror})") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"override @{file}: not readable as YAML: {_on_one_line(error)}") from None
    if not isinstance(leaves, dict):
        raise ConfigError(f"override @{file}: found {_shown(leaves)}, lines such as path.to.leaf: value are needed")
    for dotted, value in leaves.items():
        tree = with_leaf(tree, str(dotted), value)
    return tree


def with_leaf(tree: Any, dotted: str, value: Any, *, above: str = "") -> Any:
    """A copy of nested mappings and lists with the value at ``dotted`` replaced (list items by their number).

    ``above`` is the path that led to this tree, for the message alone.

    Raises:
        ConfigError: A mapping on the way is missing (a new last key is allowed: the schema judges it).
    """
    head, _, rest = dotted.partition(".")
    if isinstance(tree, list) and head.isdigit() and int(head) < len(tree):
        index = int(head)
        inner = with_leaf(tree[index], rest, value, above=f"{above}{head}.") if rest else value
        return [*tree[:index], inner, *tree[index + 1 :]]
    if isinstance(tree, dict) and (head in tree or not rest):
        return {**tree, head: with_leaf(tree[head], rest, value, above=f"{above}{head}.") if rest else value}
    inside = ", ".join(map(str, tree)) if isinstance(tree, dict) else _shown(tree)
    raise ConfigError(f"override of {above}{dotted}: there is no {head!r} here; found: {inside}")


def changed_experiment(experiment: Experiment, changes: dict[str, Any], where: str) -> Experiment:
    """The experiment with some leaves changed, checked like params.yaml; ``where`` begins each line of an error."""
    tree = experiment.model_dump(mode="json")
    try:
        for dotted, value in changes.items():
            tree = with_leaf(tree, dotted, value)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    try:
        changed = Experiment.model_validate_json(json.dumps(tree))
    except ValidationError as error:
        raise ConfigError(_report(where, error, tree)) from None
    if mistake := changed.task.mistake():
        raise ConfigError(f"{where}: task.{mistake}")
    return changed


def to_yaml(tree: dict[str, Any]) -> bytes:
    """Plain values as YAML, for people and for ``load_params`` alike."""
    return yaml.safe_dump(tree, sort_keys=False).encode()


def _check_names(params: Params, path: str) -> None:
    """Names that refer to another section must be there, and ``active`` must agree with the sections it names."""

    def known(where: str, name: str, section: dict[str, Any], of: str) -> None:
        if name not in section:
            near = difflib.get_close_matches(name, section, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise ConfigError(f"{path}: {where}: found {name!r}, allowed: a name in {of}: {_some(section)}{hint}")

    for key, experiment in params.experiments.items():
        known(f"experiments.{key}.data", experiment.data, params.data, "data")
        for name in experiment.scored_on:
            known(f"experiments.{key}.scored_on", name, params.data, "data")
        for index, printed in enumerate(experiment.paper):
            if printed.data is not None:
                scored = dict.fromkeys(experiment.scored_on)
                known(f"experiments.{key}.paper.{index}.data", printed.data, scored, "its scored_on")
        if mistake := experiment.task.mistake():
            raise ConfigError(f"{path}: experiments.{key}.task.{mistake}")
    for key, sweep in params.sweeps.items():
        known(f"sweeps.{key}.experiment", sweep.experiment, params.experiments, "experiments")
        base = changed_experiment(
            params.experiments[sweep.experiment], sweep.overrides, f"{path}: sweeps.{key}.overrides"
        )
        for dotted, leaf in sweep.space.items():
            for value in next(iter(leaf.model_dump(mode="json").values())):  # the choices, or both bounds
                changed_experiment(base, {dotted: value}, f"{path}: sweeps.{key}.space")
    active = params.active
    for name in active.data:
        known("active.data", name, params.data, "data")
    for name, data in active.experiments.items():
        known("active.experiments", name, params.experiments, "experiments")
        _agree(path, f"active.experiments.{name}", data, f"experiments.{name}.data", params.experiments[name].data)
        known(f"active.experiments.{name}", data, dict.fromkeys(active.data), "active.data")
    for name, named in active.sweeps.items():
        known("active.sweeps", name, params.sweeps, "sweeps")
        of = params.sweeps[name].experiment
        _agree(path, f"active.sweeps.{name}.experiment", named.experiment, f"sweeps.{name}.experiment", of)
        data = params.experiments[of].data
        _agree(path, f"active.sweeps.{name}.data", named.data, f"experiments.{of}.data", data)
        known(f"active.sweeps.{name}.data", data, dict.fromkeys(active.data), "active.data")


def _some(names: Iterable[str]) -> str:
    """As many names as a line can hold."""
    names = list(names)
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def _agree(path: str, where: str, found: str, other: str, needed: str) -> None:
    if found != needed:
        raise ConfigError(f"{path}: {where}: found {found!r}, but {other} is {needed!r}; they must agree")


def _report(where: str, error: ValidationError, tree: Any) -> str:
    found = error.errors(include_url=False)
    # A list whose items are wrong is too short as well, to pydantic; the items say what is the matter.
    found = [one for one in found if not any(_is_above(one["loc"], other["loc"]) for other in found)]
    lines = [f"{where}: {_line(details, tree)}" for details in found[:MOST_LINES]]
    if len(found) > MOST_LINES:
        lines[-1] += f" (and {len(found) - MOST_LINES} more)"
    return "\n".join(lines)


def _is_above(loc: tuple[int | str, ...], other: tuple[int | str, ...]) -> bool:
    return len(loc) < len(other) and other[: len(loc)] == loc


def _line(details: ErrorDetails, tree: Any) -> str:
    """``experiments.digits.recipe.global_batch: found '64', allowed: a valid integer``."""
    path = _yaml_path(details["loc"], tree, is_there=details["type"] != "missing")
    if details["type"] == "missing":
        return f"{path}: missing; it has no default and must be given"
    if details["type"] == "extra_forbidden":
        return f"{path}: unknown key; remove it, or look for a misspelling"
    if details["type"].startswith("union_tag_"):  # pydantic names the mapping, and not the key that chooses its kind
        chosen = details["ctx"]
        path = f"{path}.{chosen['discriminator'].strip(chr(39))}"
        if details["type"] == "union_tag_not_found":
            return f"{path}: missing; it has no default and must be given"
        allowed = [tag.strip("'") for tag in chosen["expected_tags"].split(", ")]
        near = difflib.get_close_matches(chosen["tag"], allowed, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        return f"{path}: found {chosen['tag']!r}, allowed: {_some(map(repr, allowed))}{hint}"
    message = details["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    line = f"{path}: found {_shown(details['input'])}, allowed: {message}"
    if isinstance(details["input"], str) and details["type"] in ("float_type", "int_type"):
        line += _as_number(details["input"])
    return line


def _yaml_path(location: tuple[int | str, ...], tree: Any, *, is_there: bool) -> str:
    """The path as the user wrote it: pydantic adds names of union members, which stand in no YAML file.

    ``is_there``: whether the last part of the path, too, stands in the file if it is none of them.
    """
    parts: list[str] = []
    for index, part in enumerate(location):
        if isinstance(tree, dict | list) and part in (tree if isinstance(tree, dict) else range(len(tree))):
            tree = tree[part]  # type: ignore[index]
        elif index < len(location) - 1 or is_there:
            continue  # the name of a union member
        parts.append(str(part))
    return ".".join(parts)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _as_number(text: str) -> str:
    """How to write as a number what YAML reads as text; nothing if it is no number at all."""
    mantissa, exponential, exponent = text.strip().lower().partition("e")
    try:
        if not math.isfinite(float(text)):
            return ""
        if exponential:
            mantissa += "" if "." in mantissa else ".0"
            return f" (YAML reads this as text; write {mantissa}e{int(exponent):+d})"
    except ValueError:
        return ""
    return f" (this is text; write {mantissa} without quotes)"


def _keys(section: type[Params]) -> str:
    return ", ".join(section.model_fields)


def _on_one_line(error: Exception) -> str:
    return " ".join(str(error).split())
