"""What load_params makes of the shipped params.yaml, and of every kind of mistake: a line with path, found, allowed."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from wavemix.config import Experiment, Params, changed_experiment, load_params, to_yaml, with_leaf
from wavemix.errors import ConfigError

SHIPPED = Path(__file__).parents[2] / "params.yaml"
LR = "experiments.digits.recipe.phases.0.lr"

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def tree() -> dict[str, Any]:
    """The shipped file without the papers' experiments: what names are near must not depend on them."""
    content: dict[str, Any] = yaml.safe_load(SHIPPED.read_text())
    content["experiments"] = {"digits": content["experiments"]["digits"]}
    content["active"].update(data=["digits"], experiments={"digits": "digits"})
    return content


@pytest.fixture
def message(tmp_path: Path) -> Callable[..., str]:
    """What is wrong with a tree, without the file's name, which must begin every line."""

    def of(tree: object, *overrides: str) -> str:
        path = tmp_path / "params.yaml"
        path.write_text(yaml.safe_dump(tree))
        with pytest.raises(ConfigError) as caught:
            load_params(path, overrides)
        lines = str(caught.value).splitlines()
        assert all(line.startswith(f"{path}: ") for line in lines)
        return "\n".join(line.removeprefix(f"{path}: ") for line in lines)

    return of


def test_the_shipped_params_are_valid() -> None:
    params = load_params(SHIPPED)
    assert set(params.active.experiments) == {"digits", "scenes", "photographs_x2", "photographs_holes"}
    assert [phase.optimizer for phase in params.experiments["digits"].recipe.phases] == ["adamw", "sgd"]
    assert params.experiments["digits"].recipe.phases[0].lr == 1e-3


def test_every_leaf_of_the_shipped_params_arrives() -> None:
    tree = yaml.safe_load(SHIPPED.read_text())

    def included(part: object, whole: object, path: str) -> None:
        if isinstance(part, dict):
            assert isinstance(whole, dict)
            assert part.keys() <= whole.keys(), path
            for key, value in part.items():
                included(value, whole[key], f"{path}.{key}")
        elif isinstance(part, list):
            assert isinstance(whole, list)
            assert len(part) == len(whole), path
            for index, value in enumerate(part):
                included(value, whole[index], f"{path}.{index}")
        else:
            assert part == whole, path

    assert set(tree) == set(Params.model_fields)
    included(tree, load_params(SHIPPED).model_dump(mode="json"), "params.yaml")


NAMES = sorted(yaml.safe_load(SHIPPED.read_text())["data"])
SOME = f"{', '.join(NAMES[:8])} and {len(NAMES) - 8} more"

MISTAKES: dict[str, tuple[Change, str]] = {
    "unknown key": (
        lambda tree: tree["experiments"]["digits"]["recipe"].update(global_batsh=64),
        "experiments.digits.recipe.global_batsh: unknown key; remove it, or look for a misspelling",
    ),
    "unknown section": (
        lambda tree: tree.update(lanch={}),
        "lanch: unknown key; remove it, or look for a misspelling",
    ),
    "unknown key in a list": (
        lambda tree: tree["experiments"]["digits"]["recipe"]["phases"][0].update(momentum=0.9),
        "experiments.digits.recipe.phases.0.momentum: unknown key; remove it, or look for a misspelling",
    ),
    "wrong type": (
        lambda tree: tree["experiments"]["digits"].update(seed="first"),
        "experiments.digits.seed: found 'first', allowed: a valid integer",
    ),
    "a float for a count": (
        lambda tree: tree["launch"].update(num_workers=2.5),
        "launch.num_workers: found 2.5, allowed: a valid integer",
    ),
    "bounds the wrong way round": (
        lambda tree: tree["launch"].update(num_workers={"max": 2, "min": 3}),
        "launch.num_workers: found {'max': 2, 'min': 3}, allowed: min not above max",
    ),
    "a bound that is missing": (
        lambda tree: tree["launch"].update(num_workers={"min": 3}),
        "launch.num_workers.max: missing; it has no default and must be given",
    ),
    "a truth value for a count": (
        lambda tree: tree["launch"].update(num_workers=True),
        "launch.num_workers: found True, allowed: a valid integer",
    ),
    "a count in quotes": (
        lambda tree: tree["experiments"]["digits"]["recipe"].update(global_batch="64"),
        "experiments.digits.recipe.global_batch: found '64', allowed: a valid integer "
        "(this is text; write 64 without quotes)",
    ),
    "1e-3 read as text": (
        lambda tree: tree["experiments"]["digits"]["recipe"]["phases"][0].update(lr="1e-3"),
        f"{LR}: found '1e-3', allowed: a valid number (YAML reads this as text; write 1.0e-3)",
    ),
    "many digits and no point keep their value": (
        lambda tree: tree["experiments"]["digits"]["recipe"]["phases"][0].update(lr="1.25E4"),
        f"{LR}: found '1.25E4', allowed: a valid number (YAML reads this as text; write 1.25e+4)",
    ),
    "out of range": (
        lambda tree: tree["experiments"]["digits"]["recipe"]["phases"][0].update(lr=-1.0),
        f"{LR}: found -1.0, allowed: greater than 0",
    ),
    "not one of the choices": (
        lambda tree: tree["experiments"]["digits"]["task"]["model"].update(levels=5),
        "experiments.digits.task.model.levels: found 5, allowed: 1, 2, 3 or 4",
    ),
    "a dim that no block has": (
        lambda tree: tree["experiments"]["digits"]["task"]["model"].update(dim=30),
        "experiments.digits.task.model.dim: found 30, allowed: a multiple of 4",
    ),
    "missing key": (
        lambda tree: tree["experiments"]["digits"]["recipe"].pop("global_batch"),
        "experiments.digits.recipe.global_batch: missing; it has no default and must be given",
    ),
    "missing section": (
        lambda tree: tree.pop("storage"),
        "storage: missing; it has no default and must be given",
    ),
    "nothing in a section": (
        lambda tree: tree.update(launch=None),
        "launch: found None, allowed: an object",
    ),
    "missing data set": (
        lambda tree: tree["experiments"]["digits"].update(data="digit"),
        f"experiments.digits.data: found 'digit', allowed: a name in data: {SOME} (did you mean 'digits'?)",
    ),
    "missing data set, nothing like it": (
        lambda tree: tree["experiments"]["digits"].update(data="xyz"),
        f"experiments.digits.data: found 'xyz', allowed: a name in data: {SOME}",
    ),
    "infinite": (
        lambda tree: tree["experiments"]["digits"]["recipe"]["phases"][0].update(lr=float("inf")),
        f"{LR}: found inf, allowed: a finite number",
    ),
    "no number": (
        lambda tree: tree["experiments"]["digits"]["task"].update(mean=[float("nan")]),
        "experiments.digits.task.mean.0: found nan, allowed: a finite number",
    ),
    "nan as text": (
        lambda tree: tree["experiments"]["digits"]["recipe"]["phases"][0].update(lr="nan"),
        f"{LR}: found 'nan', allowed: a valid number",
    ),
    "wrong source": (
        lambda tree: tree["data"]["digits"]["source"].update(name="cifar"),
        "data.digits.source.name: found 'cifar', allowed: 'digits', 'photographs', 'scenes', 'image_folder', "
        "'mask_folder', 'flat_folder', 'imagenet', 'places365' and 13 more (did you mean 'cifar10'?)",
    ),
    "wrong optimizer": (
        lambda tree: tree["experiments"]["digits"]["recipe"]["phases"][1].update(optimizer="adam"),
        "experiments.digits.recipe.phases.1.optimizer: found 'adam', allowed: 'adamw', 'sgd' (did you mean 'adamw'?)",
    ),
    "missing optimizer": (
        lambda tree: tree["experiments"]["digits"]["recipe"]["phases"][1].pop("optimizer"),
        "experiments.digits.recipe.phases.1.optimizer: missing; it has no default and must be given",
    ),
    "wrong task": (
        lambda tree: tree["experiments"]["digits"]["task"].update(name="detection"),
        "experiments.digits.task.name: found 'detection', allowed: 'classification', 'super_resolution', "
        "'segmentation', 'inpainting'",
    ),
    "mean of the wrong length": (
        lambda tree: tree["experiments"]["digits"]["task"].update(mean=[0.3, 0.3]),
        "experiments.digits.task.mean: found 2 numbers, one for each of the 1 model.in_channels is needed",
    ),
    "std of the wrong length": (
        lambda tree: tree["experiments"]["digits"]["task"]["model"].update(in_channels=3),
        "experiments.digits.task.mean: found 1 numbers, one for each of the 3 model.in_channels is needed",
    ),
    "sweep of a missing experiment": (
        lambda tree: tree["sweeps"]["digits_lr"].update(experiment="digts"),
        "sweeps.digits_lr.experiment: found 'digts', allowed: a name in experiments: digits (did you mean 'digits'?)",
    ),
    "sweep path that does not exist": (
        lambda tree: tree["sweeps"]["digits_lr"].update(space={"recipe.rate": {"choice": [0.1]}}),
        "sweeps.digits_lr.space: recipe.rate: unknown key; remove it, or look for a misspelling",
    ),
    "sweep path through a phase that does not exist": (
        lambda tree: tree["sweeps"]["digits_lr"].update(space={"recipe.phases.7.lr": {"choice": [0.1]}}),
        "sweeps.digits_lr.space: override of recipe.phases.7.lr: there is no '7' here; "
        "found: [{'optimizer': 'adamw', 'num_epochs': 5, 'lr': 0.001, 'pa...",
    ),
    "one bad choice of a sweep": (
        lambda tree: tree["sweeps"]["digits_lr"].update(space={"recipe.phases.0.lr": {"choice": [0.1, -1.0]}}),
        "sweeps.digits_lr.space: recipe.phases.0.lr: found -1.0, allowed: greater than 0",
    ),
    "upper bound of a sweep out of range": (
        lambda tree: tree["sweeps"]["digits_lr"].update(space={"task.label_smoothing": {"uniform": [0.0, 1.5]}}),
        "sweeps.digits_lr.space: task.label_smoothing: found 1.5, allowed: less than 1",
    ),
    "one bound of a sweep": (
        lambda tree: tree["sweeps"]["digits_lr"].update(space={"recipe.phases.0.lr": {"log_uniform": [0.1]}}),
        "sweeps.digits_lr.space.recipe.phases.0.lr.log_uniform.1: missing; it has no default and must be given",
    ),
    "unknown way of drawing": (
        lambda tree: tree["sweeps"]["digits_lr"].update(space={"recipe.phases.0.lr": {"normal": [0.1, 0.2]}}),
        "sweeps.digits_lr.space.recipe.phases.0.lr: found {'normal': [0.1, 0.2]}, "
        "allowed: one of the keys choice, log_uniform and uniform, with a list",
    ),
    "sweep override out of range": (
        lambda tree: tree["sweeps"]["digits_lr"]["overrides"].update({"recipe.phases.0.num_epochs": 0}),
        "sweeps.digits_lr.overrides: recipe.phases.0.num_epochs: found 0, allowed: greater than 0",
    ),
    "active names another data set": (
        lambda tree: tree["active"]["experiments"].update(digits="letters"),
        "active.experiments.digits: found 'letters', but experiments.digits.data is 'digits'; they must agree",
    ),
    "active sweep names another experiment": (
        lambda tree: tree["active"]["sweeps"]["digits_lr"].update(experiment="letters"),
        "active.sweeps.digits_lr.experiment: found 'letters', but sweeps.digits_lr.experiment is 'digits'; "
        "they must agree",
    ),
    "active sweep names another data set": (
        lambda tree: tree["active"]["sweeps"]["digits_lr"].update(data="letters"),
        "active.sweeps.digits_lr.data: found 'letters', but experiments.digits.data is 'digits'; they must agree",
    ),
    "active data that are not there": (
        lambda tree: tree["active"].update(data=["digits", "diggits"]),
        f"active.data: found 'diggits', allowed: a name in data: {SOME} (did you mean 'digits'?)",
    ),
    "active experiment without its data": (
        lambda tree: tree["active"].update(data=[]),
        "active.experiments.digits: found 'digits', allowed: a name in active.data: ",
    ),
}


@pytest.mark.parametrize(("change", "line"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_one_line_with_path_found_and_allowed(
    tree: dict[str, Any], message: Callable[..., str], change: Change, line: str
) -> None:
    change(tree)
    assert message(tree) == line


@pytest.mark.parametrize(
    ("override", "line"),
    [
        (f"{LR}=1e-3", f"{LR}: found '1e-3', allowed: a valid number (YAML reads this as text; write 1.0e-3)"),
        (f"{LR}=-1.0", f"{LR}: found -1.0, allowed: greater than 0"),
        (f"{LR}=.inf", f"{LR}: found inf, allowed: a finite number"),
        (f"{LR}=", f"{LR}: found None, allowed: a valid number"),
        (f"{LR}s=0.1", f"{LR}s: unknown key; remove it, or look for a misspelling"),
        (  # and not that the list of phases is too short then
            "experiments.digits.recipe.phases.0.schedule={kind: cosin}",
            "experiments.digits.recipe.phases.0.schedule.kind: found 'cosin', allowed: 'constant', 'cosine' "
            "(did you mean 'cosine'?)",
        ),
        ("experiments.digits.data=digit", MISTAKES["missing data set"][1]),
        ("launch.launcher=slurm", "launch.launcher: found 'slurm', allowed: 'ray' or 'local'"),
        ("data.digits.source.name=cifar", MISTAKES["wrong source"][1]),
    ],
)
def test_a_mistake_in_an_override_is_told_like_one_in_the_file(
    tree: dict[str, Any], message: Callable[..., str], override: str, line: str
) -> None:
    assert message(tree, override) == line


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("nonsense", "override 'nonsense': write it as path.to.leaf=value"),
        ("=3", "override '=3': write it as path.to.leaf=value"),
        ("launch.address=[1", "override 'launch.address=[1': not readable as YAML: while parsing"),
        ("lunch.num_workers=3", "override of lunch.num_workers: there is no 'lunch' here; found: active, data"),
        (
            "experiments.digits.recipe.phases.2.lr=0.1",
            "override of experiments.digits.recipe.phases.2.lr: there is no '2' here; found: [{'optimizer'",
        ),
        ("experiments.digits.seed.x=1", "override of experiments.digits.seed.x: there is no 'x' here; found: 0"),
    ],
)
def test_an_override_that_leads_nowhere_is_told_with_its_whole_path(override: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_params(SHIPPED, [override])
    assert str(caught.value).startswith(words)
    assert len(str(caught.value).splitlines()) == 1


def test_overrides_change_leaves_and_list_items_and_nothing_else() -> None:
    changed = load_params(SHIPPED, [f"{LR}=2.0e-3", "experiments.digits.task.mean.0=0.5", "launch.address=auto"])
    expected = load_params(SHIPPED).model_dump(mode="json")
    expected["experiments"]["digits"]["recipe"]["phases"][0]["lr"] = 2e-3
    expected["experiments"]["digits"]["task"]["mean"] = [0.5]
    expected["launch"]["address"] = "auto"
    assert changed.model_dump(mode="json") == expected


def test_a_value_may_hold_equals_signs_and_a_later_override_wins() -> None:
    uri = "postgresql://host/db?sslmode=require"
    params = load_params(SHIPPED, ["tracking.mlflow_uri=none", f"tracking.mlflow_uri={uri}"])
    assert params.tracking.mlflow_uri == uri
    assert load_params(SHIPPED, ["tracking.mlflow_uri=null"]).tracking.mlflow_uri is None


def test_overrides_may_lie_in_a_file(tmp_path: Path) -> None:
    best = tmp_path / "best.yaml"
    best.write_bytes(b"# of a sweep\n" + to_yaml({LR: 2e-3, "experiments.digits.task.mean": [0.5]}))
    expected = load_params(SHIPPED, [f"{LR}=2.0e-3", "experiments.digits.task.mean=[0.5]", "launch.address=auto"])
    assert load_params(SHIPPED, [f"@{best}", "launch.address=auto"]) == expected
    assert load_params(SHIPPED, [f"@{best}", f"{LR}=0.5"]).experiments["digits"].recipe.phases[0].lr == 0.5


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read (No such file or directory)"),
        ("[1, 2", "not readable as YAML: while parsing"),
        ("- 1", "found [1], lines such as path.to.leaf: value are needed"),
    ],
)
def test_a_file_of_overrides_that_is_none_is_one_line(tmp_path: Path, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / "best.yaml").write_text(content)
    with pytest.raises(ConfigError) as caught:
        load_params(SHIPPED, [f"@{tmp_path / 'best.yaml'}"])
    assert str(caught.value).startswith(f"override @{tmp_path / 'best.yaml'}: {words}")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("more", [0, 2])
def test_several_mistakes_are_at_most_three_lines(tree: dict[str, Any], message: Callable[..., str], more: int) -> None:
    tree["launch"].update({f"unknown_{index}": 0 for index in range(3 + more)})
    lines = message(tree).splitlines()
    assert len(lines) == 3
    assert all(line.startswith(f"launch.unknown_{index}: unknown key") for index, line in enumerate(lines))
    assert lines[-1].endswith(" (and 2 more)") == bool(more)


def test_a_missing_file_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"params\.yaml: no such file; run this in the project's folder"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("active: [", "not readable as YAML: while parsing"),
        ("a: 1\n\tb: 2", "not readable as YAML: while scanning"),
        ("a: !!python/object:os.system x", "not readable as YAML: could not determine a constructor"),
        ("", "found None, a mapping with the keys active, data,"),
        ("- 1", "found [1], a mapping with the keys active, data,"),
    ],
)
def test_a_broken_file_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_params(path)
    assert str(caught.value).startswith(f"{path}: {words}")
    assert len(str(caught.value).splitlines()) == 1


def test_nothing_is_mutated(tree: dict[str, Any]) -> None:
    before = copy.deepcopy(tree)
    changed = with_leaf(tree, LR, 1.0)
    assert tree == before
    assert changed["experiments"]["digits"]["recipe"]["phases"][0]["lr"] == 1.0

    experiment = load_params(SHIPPED).experiments["digits"]
    as_it_was = experiment.model_dump(mode="json")
    assert changed_experiment(experiment, {"recipe.phases.0.lr": 1.0}, "here").recipe.phases[0].lr == 1.0
    assert experiment.model_dump(mode="json") == as_it_was


def test_a_change_of_an_experiment_is_checked_where_it_was_asked_for() -> None:
    experiment = load_params(SHIPPED).experiments["digits"]
    with pytest.raises(ConfigError, match=r"^here: recipe\.phases\.0\.lr: found 0, allowed: greater than 0$"):
        changed_experiment(experiment, {"recipe.phases.0.lr": 0}, "here")


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    params = load_params(SHIPPED, [f"{LR}=1.0e-12"])
    path = tmp_path / "params.yaml"
    path.write_bytes(to_yaml(params.model_dump(mode="json")))
    assert load_params(path) == params


def sections(kind: object) -> set[type[BaseModel]]:
    """Every section class that a field of this type can hold, however deep."""
    found: set[type[BaseModel]] = set()
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        found.add(kind)
        for field in kind.model_fields.values():
            found |= sections(field.annotation)
    for inner in get_args(kind):
        found |= sections(inner)
    return found


def test_every_section_refuses_unknown_keys_conversions_and_infinities() -> None:
    kinds = sections(Params)
    assert Experiment in kinds
    assert len(kinds) >= 18
    for kind in kinds:
        config = kind.model_config
        assert (config["extra"], config["frozen"], config["strict"], config["allow_inf_nan"]) == (
            "forbid",
            True,
            True,
            False,
        ), kind
