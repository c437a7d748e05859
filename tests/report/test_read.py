"""What read_results makes of whole, half and damaged trees."""

import math

import pytest

from wavemix.errors import DataError
from wavemix.report.read import read_results
from wavemix.report.records import Confusion, Goal, LargestBatch, Memory

MODEL = "experiments/digits/train/model.json"
CURVES = "experiments/digits/train/curves.csv"
METRICS = "experiments/digits/evaluation/metrics.json"
CONFUSION = "experiments/digits/evaluation/tables/confusion.csv"
SAMPLES = "experiments/digits/evaluation/samples.json"


def test_reads_what_the_stages_wrote(full):
    results = read_results(full.root)
    digits, deep = results.experiments
    assert (digits.name, deep.name) == ("digits", "digits_deep")
    assert digits.training.goal == Goal("top1", "max")
    assert digits.training.num_samples == {"train": 1077, "val": 360, "test": 360}
    assert digits.training.step == 400
    assert digits.evaluation.metrics["loss"] == 0.0712345
    assert sum(map(sum, digits.evaluation.confusion.counts)) == 360
    assert digits.evaluation.samples[3].correct is False
    assert digits.evaluation.samples[3].size == (8, 8)
    assert deep.evaluation is None
    assert results.sweeps[0].best.startswith("recipe.phases.0.lr")


def test_a_curve_holds_the_steps_where_it_was_measured(full):
    curves = read_results(full.root).experiments[0].curves
    assert curves["eval/top1"].steps == tuple(range(50, 501, 50))
    assert len(curves["train/loss"].steps) == 50
    assert "epoch" not in curves


def test_a_step_measured_again_after_a_restart_counts_once(full):
    full.put(CURVES, "step,train/loss\n10,3\n20,2\n30,9\n20,1.5\n30,nan\n")
    curve = read_results(full.root).experiments[0].curves["train/loss"]
    assert curve.steps == (10, 20, 30)
    assert curve.values[:2] == (3, 1.5)
    assert math.isnan(curve.values[2])


def test_the_confusion_follows_the_order_of_the_model_s_classes(tree):
    tree.train("digits", classes=["b", "a"])
    tree.put(METRICS, {"split": "test", "num_samples": 6, "metrics": {"top1": 0.5}})
    tree.put(CONFUSION, "truth,prediction,count\na,a,1\na,b,0\nb,a,3\nb,b,2\n")
    assert read_results(tree.root).experiments[0].evaluation.confusion == Confusion(("b", "a"), ((2, 3), (0, 1)))


def test_trials_keep_their_order_but_for_those_without_a_score(tree):
    tree.sweep("digits_lr")
    sweep = read_results(tree.root).sweeps[0]
    assert [trial.name[-1] for trial in sweep.trials] == ["2", "5", "4", "0", "3", "1"]
    assert sweep.parameters == ("recipe.phases.0.lr", "task.model.dim", "task.model.stem")


@pytest.mark.parametrize("field", ["world_size", "num_steps", "classes"])
def test_what_a_model_may_leave_out(full, field):
    (full.root / CONFUSION).unlink()
    full.change(MODEL, **{field: ...})
    assert not getattr(read_results(full.root).experiments[0].training, field)


def test_pictures_of_a_task_without_classes_need_no_answer(full):
    full.put(SAMPLES, [{"file": "samples/000.png"}])
    sample = read_results(full.root).experiments[0].evaluation.samples[0]
    assert sample.key == "samples/000.png"
    assert (sample.truth, sample.prediction, sample.prob, sample.correct) == (None, None, None, None)


def test_what_another_task_leaves_out_is_none(four):
    holes, _, scenes = read_results(four.root).experiments[2:]
    assert holes.training.classes == ()
    assert holes.evaluation.confusion is None
    assert holes.evaluation.classes is None
    assert holes.evaluation.samples[0].caption == "hole 12 %"
    assert scenes.evaluation.classes.classes == ("road", "sky", "sign")
    assert math.isnan(scenes.evaluation.classes.scores["iou"][2])


def test_the_confusion_of_pixels_counts_more_than_the_samples(four):
    scenes = read_results(four.root).experiments[-1]
    assert scenes.training.counted == "pixels"
    assert sum(map(sum, scenes.evaluation.confusion.counts)) == 27_240_000
    assert scenes.evaluation.num_samples == 20


def test_infinite_and_missing_scores_are_read(full):
    (full.root / CONFUSION).unlink()
    full.put(METRICS, '{"split": "test", "num_samples": 2, "metrics": {"psnr_y": Infinity, "l1_hole_0_10": NaN}}')
    metrics = read_results(full.root).experiments[0].evaluation.metrics
    assert metrics["psnr_y"] == math.inf
    assert math.isnan(metrics["l1_hole_0_10"])


def test_other_data_are_read_by_their_names(four):
    photos = read_results(four.root).experiments[3]
    assert {name: other.num_samples for name, other in photos.others.items()} == {"set5_x2": 5}
    assert photos.others["set5_x2"].metrics["psnr_y_bicubic"] == 33.66


def test_a_cost_has_gaps_where_nothing_could_be_measured(four):
    digits, deep, holes, photos, _ = read_results(four.root).experiments
    assert digits.cost.multiply_adds_executed == 912_345_678
    assert digits.cost.memory == Memory("resident", 734_003_200)
    assert digits.cost.largest_batch == LargestBatch(1408, "estimated")
    assert deep.cost is None
    assert holes.cost.memory is None
    assert photos.cost.largest_batch is None


def test_folders_without_files_are_passed_over(full):
    (full.root / "experiments" / "failed" / "train").mkdir(parents=True)
    full.put("experiments/failed/.gitignore", "/train\n")
    assert len(read_results(full.root).experiments) == 2


def test_sweeps_alone_are_results(tree):
    tree.sweep("digits_lr")
    assert read_results(tree.root).experiments == ()


@pytest.mark.parametrize("made", [False, True])
def test_no_results_at_all(tree, made):
    if made:
        (tree.root / "experiments").mkdir(parents=True)
    with pytest.raises(DataError, match=r"No results under .*results\n.*model\.json.*\n.*dvc repro"):
        read_results(tree.root)


CLASSES_OF_WORDS = "class,count,accuracy\n" + "".join(f"{digit},36,good\n" for digit in range(10))
DAMAGE = {
    "cut off JSON": (MODEL, '{"format": 1, ', "Not JSON"),
    "not an object": (MODEL, "[]", "No field 'format'"),
    "not text": (MODEL, b"\xff\xfe\x00", "UTF-8"),
    "no step column": (CURVES, "epoch,train/loss\n1,2\n", "No column 'step'"),
    "empty curves": (CURVES, "", "No column 'step'"),
    "cut off line": (CURVES, "step,train/loss\n10,2\n20\n", "Line 3 has 1 cells"),
    "column twice": (CURVES, "step,step\n1,1\n", "twice"),
    "word for a number": (CURVES, "step,train/loss\n10,low\n", "should hold numbers"),
    "half a step": (CURVES, "step,train/loss\n1.5,2\n", "whole numbers"),
    "endless step": (CURVES, "step,train/loss\ninf,2\n", "whole numbers"),
    "metrics are words": (METRICS, {"split": "test", "num_samples": 1, "metrics": {"top1": "good"}}, "Field 'top1'"),
    "other number of samples": (METRICS, {"split": "test", "num_samples": 9, "metrics": {}}, "counts 360 samples"),
    "a pair is missing": (CONFUSION, "truth,prediction,count\n0,0,360\n", "every pair of the 10 classes"),
    "classes in another order": (
        "experiments/digits/evaluation/tables/classes.csv",
        "class,count,accuracy\n1,36,0.5\n0,36,0.5\n",
        "the 10 classes in model.json once each",
    ),
    "a score is a word": ("experiments/digits/evaluation/tables/classes.csv", CLASSES_OF_WORDS, "should hold numbers"),
    "cost without speed": ("experiments/digits/evaluation/cost.json", {"device": "Some CPU"}, "No field 'input'"),
    "another set's metrics are words": (
        "experiments/digits/evaluation/others/digits_2/metrics.json",
        {"split": "test", "num_samples": 1, "metrics": {"top1": "good"}},
        "Field 'top1'",
    ),
    "samples are no list": (SAMPLES, {}, "list of samples"),
    "no such picture": (SAMPLES, [{"file": "samples/999.png", "key": "a"}], "which is not there"),
    "a picture elsewhere": (SAMPLES, [{"file": "../train/model.json", "key": "a"}], "outside the folder"),
    "a broken picture": ("experiments/digits/evaluation/samples/000.png", b"\x89PNG\r\n\x1a\n\0\0", "Not a whole PNG"),
    "no trial column": ("sweeps/digits_lr/trials.csv", "score,step\n1,2\n", "No column 'trial'"),
}


@pytest.mark.parametrize(("path", "content", "message"), DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_named_with_its_place(full, path, content, message):
    full.put(path, content)
    with pytest.raises(DataError, match=message) as caught:
        read_results(full.root)
    lines = str(caught.value).splitlines()
    assert len(lines) <= 3
    assert str(full.root) in lines[1]
    assert "dvc repro" in lines[2]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("format", 2, "Format 2"),
        ("step", ..., "No field 'step'"),
        ("step", "400", "'step' should be of type int"),
        ("step", True, "'step' should be of type int"),
        ("data", {"name": "digits"}, "No field 'samples'"),
        ("goal", ["top1"], "Field 'goal'"),
        ("goal", ["top1", "up"], "Field 'goal'"),
        ("task", {"model": {}}, "No field 'name'"),
    ],
)
def test_every_field_of_the_model_is_checked(full, field, value, message):
    full.change(MODEL, **{field: value})
    with pytest.raises(DataError, match=message):
        read_results(full.root)


@pytest.mark.parametrize("path", [MODEL, CURVES])
def test_half_a_training_is_an_error(full, path):
    (full.root / path).unlink()
    with pytest.raises(DataError, match="No file"):
        read_results(full.root)
