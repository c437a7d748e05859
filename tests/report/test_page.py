"""The page: complete, self-contained, escaped, the same again, and whole or not there."""

import re
from html.parser import HTMLParser

import pytest

from wavemix.errors import DataError
from wavemix.report import figures_of, read_results, write_report
from wavemix.report.page import frequent_confusions
from wavemix.report.records import Confusion
from wavemix.report.scores import PROTOCOLS, sampling_interval, write_number, write_score

VOID = {"meta", "img", "link", "br", "hr", "input"}


class Page(HTMLParser):
    """The text a reader sees, every tag with its attributes, and a check that tags are closed in order."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.words = [], [], []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture
def report(full, tmp_path):
    return lambda: write_report(full.root, tmp_path / "report")


@pytest.fixture
def page(report):
    return Page(report().read_text(encoding="utf-8"))


def test_says_all_there_is_to_say(page):
    words = [
        "96.7 % top1",
        "weights of step 400 of 500",
        "94.3 % to 98.1 %",
        "360 test",
        "72 362",
        "4f3c2b1a",
        "ab12ab12",
        "not yet evaluated",
        "0.07123",
        "0 taken for 1 3 of 36",
        "✗ wrong: 3 → 4 52 %",
        "✓ 2 97 %",
        "00002 best 0.9720 400 0.00081 32 strided",
        PROTOCOLS["top1"].text,
        "dvc repro",
        "9d8c7b6a",
    ]
    assert [word for word in words if word not in page.text] == []


def test_needs_nothing_from_elsewhere(page):
    assert not page.all("script")
    assert not page.all("link")
    assert all(attrs["src"].startswith("data:image/png;base64,") for attrs in page.all("img"))
    references = [v for _, attrs in page.tags for k, v in attrs.items() if k in ("href", "xlink:href")]
    assert references
    assert all(reference.startswith("#") for reference in references)


def test_names_are_unique_and_every_reference_has_its_target(page):
    names = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(names) == len(set(names))
    used = {v[1:] for _, attrs in page.tags for k, v in attrs.items() if k in ("href", "xlink:href")}
    used |= {name for _, attrs in page.tags for name in re.findall(r"url\(#([^)]+)\)", str(attrs))}
    assert used <= set(names)


def test_is_readable_without_eyes(page):
    assert all(attrs.get("alt") for attrs in page.all("img"))
    assert all(attrs["aria-label"] for attrs in page.all("figure") if attrs.get("role") == "img")
    assert len(page.all("caption")) == len(page.all("table"))
    assert "eval top1 from" in str(page.all("figure"))


def test_figures_follow_the_page_into_the_dark(report):
    svg = re.search(r"<svg.*?</svg>", report().read_text(encoding="utf-8"), re.DOTALL)[0]
    assert "var(--ink)" in svg
    assert not re.findall(r"(?:fill|stroke): #(?!none)\w+", svg)


def test_everything_from_files_stays_text(tree, tmp_path):
    bad = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>']
    tree.train("digits", classes=bad, code_version="<b>1</b>", task={"name": "<i>task</i>", "note": "</pre><script>"})
    tree.evaluate("digits", classes=bad)
    tree.change("experiments/digits/train/model.json", goal=["<u>top1</u>", "max"])
    folder = tree.sweep("digits_lr")
    (folder / "best.yaml").write_text("</pre><script>alert(1)</script>")
    text = (folder / "trials.csv").read_text()
    (folder / "trials.csv").write_text(text.replace("task.model.stem", "<script>").replace("patchify", "</td><script>"))
    page = Page(write_report(tree.root, tmp_path / "report").read_text(encoding="utf-8"))
    assert not {"script", "i", "u"} & {tag for tag, _ in page.tags}
    assert not [attrs for _, attrs in page.tags if "onerror" in attrs]
    assert "✓ <script>alert(1)</script>" in page.text


def test_figures_lie_beside_the_page(report):
    target = report().parent
    assert [path.name for path in figures_of(target, "digits")] == ["digits-curves.png", "digits-confusion.png"]
    assert [path.name for path in figures_of(target, "digits_deep")] == ["digits_deep-curves.png"]
    assert figures_of(target, "unknown") == []
    for path in (target / "figures").iterdir():
        assert path.read_bytes().startswith(b"\x89PNG" if path.suffix == ".png" else b"<?xml")


def test_the_same_results_give_the_same_bytes(full, tmp_path):
    def content(folder):
        write_report(full.root, folder)
        return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    first = content(tmp_path / "a")
    assert len(first) == 9
    assert first == content(tmp_path / "b") == content(tmp_path / "a")


def test_figures_of_experiments_that_are_gone_go_too(full, report):
    target = report().parent
    own = target / "figures" / "notes.txt"
    own.write_text("mine")
    (full.root / "experiments" / "digits" / "evaluation" / "tables" / "confusion.csv").unlink()
    report()
    assert [path.name for path in figures_of(target, "digits")] == ["digits-curves.png"]
    assert own.exists()


def test_an_error_leaves_the_earlier_report_alone(full, report):
    before = report().read_bytes()
    full.put("experiments/digits/train/model.json", "{")
    with pytest.raises(DataError):
        report()
    index = full.root.parent / "report" / "index.html"
    assert index.read_bytes() == before
    assert not [path for path in index.parent.rglob("*") if path.name.startswith(".")]


def test_an_unknown_metric_is_shown_and_says_where_it_is_defined(full, report):
    metrics = {"psnr_y": 31.4159, "empty": float("nan")}
    full.put("experiments/digits/evaluation/metrics.json", {"split": "test", "num_samples": 360, "metrics": metrics})
    text = Page(report().read_text(encoding="utf-8")).text
    assert "psnr_y 31.42 \N{EN DASH}" in text
    assert "empty nan" in text
    assert "psnr_y as defined under this name in the wavemix.metrics module" in text


def test_a_large_report_stays_light(tree, tmp_path):
    tree.train("many", classes=[f"class {i}" for i in range(200)])
    tree.evaluate("many", classes=[f"class {i}" for i in range(200)], num_samples=4000, shown=0)
    rows = [("step", "train/loss"), *((step, 1 + (step * 7919 % 100) / 100) for step in range(50_000))]
    tree.put("experiments/many/train/curves.csv", rows)
    assert write_report(tree.root, tmp_path / "report").stat().st_size < 300_000


def test_frequent_confusions_come_most_frequent_first():
    confusion = Confusion(("a", "b", "c"), ((5, 2, 0), (9, 1, 2), (0, 0, 4)))
    assert frequent_confusions(confusion) == [("b", "a", 9, 12), ("a", "b", 2, 7), ("b", "c", 2, 12)]


def test_a_model_without_fault_has_no_confusions(tree, tmp_path):
    tree.train("digits", classes=["a", "b"])
    tree.evaluate("digits", classes=["a", "b"], num_samples=10, shown=0)
    assert frequent_confusions(read_results(tree.root).experiments[0].evaluation.confusion) == []
    assert "None: every sample was classified rightly" in write_report(tree.root, tmp_path / "report").read_text()


def test_scores_are_written_by_their_protocol():
    plain = {value: write_number(value).replace("\N{NARROW NO-BREAK SPACE}", " ") for value in (72362, 0.5, 1234.5, 0)}
    assert plain == {72362: "72 362", 0.5: "0.5000", 1234.5: "1 234", 0: "0"}
    assert write_number(0.00042) == "4.2e-4"
    assert write_score("top1", 0.98125).startswith("98.12")
    assert write_score("top1", 0.98125, num_samples=360).startswith("98.1\N{NARROW NO-BREAK SPACE}")
    assert write_score("loss", float("inf")) == "inf"
    assert write_score("loss", None) == "\N{EN DASH}"


def test_the_interval_is_wilsons():
    # By hand for 9 of 10: (0.9 + 0.19208) / 1.38416 -+ 1.96 / 1.38416 * sqrt(0.009 + 0.009604).
    low, high = sampling_interval(0.9, 10)
    assert low == pytest.approx(0.59584, abs=1e-4)
    assert high == pytest.approx(0.98212, abs=1e-4)
    assert sampling_interval(1.0, 10)[1] == 1.0
    assert sampling_interval(0.0, 10)[0] == 0.0
