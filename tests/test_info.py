"""``wavemix info``: what is printed for all models, for some, for one, and for none."""

import sys
from pathlib import Path

import pytest

from wavemix import cli, info
from wavemix.models.count import count_parameters, multiply_adds
from wavemix.models.fuse import layer_by_layer
from wavemix.models.zoo import ZOO, build_model


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Runs ``wavemix info`` in a folder without params.yaml; returns what it prints."""

    def run_info(*arguments: str) -> str:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["wavemix", "info", *arguments])
        cli.main()
        printed = capsys.readouterr()
        assert printed.err == ""
        return printed.out

    return run_info


def test_some(run) -> None:
    lines = run("wave*_x2").splitlines()
    assert lines[0] == "super-resolution: score in PSNR dB"
    assert lines[1].split() == ["name", "params", "printed", "written", "executed", "at", "pth", "score"]
    name, parameters, rest = lines[2].split(maxsplit=1)[0], lines[2][34:42].strip(), lines[2][42:].split()
    assert (name, parameters) == ("wavemix_sr_x2", "1.70 M")
    assert " ".join(rest[:4]) == "1.7 M 9.52 G"
    assert " ".join(rest[-4:]) == "2 33.08 BSD100, results"
    assert [line.split()[0] for line in lines[2:4]] == ["wavemix_sr_x2", "wavemix_sr_v2_x2"]


def test_all_are_there_and_fit(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(info, "_counts", lambda *_, **__: info.Counts(123_456_789, 1_234_567_890_123, 123_456_789_012))
    lines = run().splitlines()
    assert {line.split()[0] for line in lines if line} >= set(ZOO)
    for name in ZOO:
        lines += run(name).splitlines()
    assert [line for line in lines if len(line) > 120 and "https://" not in line] == []


def test_one(run) -> None:
    text = run("wavemix_lite_64_7")
    assert text.startswith("wavemix_lite_64_7 = WaveMixClassifier(\n    num_classes=10,\n")
    assert "table 10: 87.81 top-1 %, CIFAR-10\n    603,450 parameters\n    173.9 M multiply-adds as written, " in text
    assert "0.60 M parameters printed; 615,800 here: table 10 prints one count" in text


def test_one_with_weights(run) -> None:
    text = run("wavepaint_8_blind_m4")
    assert text.count("published weights: ") == text.count("https://") == 4
    assert "at 3x256x256 and 1x256x256" in text
    text = run("wavemix_lite_144_7")
    assert "build_model('wavemix_lite_144_7', num_classes=10, in_channels=3)\n    3,042,550 parameters\n" in text


def test_none(run) -> None:
    with pytest.raises(SystemExit, match="error: no model is called 'wavemix_sr_x5'; near it: wavemix_sr_x"):
        run("wavemix_sr_x5")
    with pytest.raises(SystemExit, match=r"error: no model is called '\*_nothing'"):
        run("*_nothing")


@pytest.mark.parametrize("name", ["wavemix_128_8_l3", "wavemix_lite_128_8_seg", "wavemix_sr_v2_x4", "wavepaint_2"])
def test_one_block_stands_for_all(name: str) -> None:
    model, shapes = build_model(name), ZOO[name].benchmark.input_shapes
    assert info._counts(ZOO[name], ZOO[name].benchmark) == info.Counts(
        count_parameters(model), multiply_adds(layer_by_layer(model), *shapes), multiply_adds(model, *shapes)
    )


def test_without_pywavelets(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pywt", None)
    assert "no pywt" in run("wavemix_lite_256_7_d*")
    assert "not counted: its wavelet needs PyWavelets" in run("wavemix_lite_256_7_db2")


@pytest.mark.parametrize(
    ("number", "text"), [(3_566, "3,566"), (38_550, "38.5 k"), (7_385_640, "7.39 M"), (1_083e9, "1,083 G")]
)
def test_numbers_for_people(number: int, text: str) -> None:
    assert info._in_units(number) == text
