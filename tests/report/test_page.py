"""The page: complete, self-contained, escaped, the same again, and whole or not there."""

import re
from html.parser import HTMLParser

import pytest

from wavemix.errors import DataError
from wavemix.report import figures_of, read_results, write_report
from wavemix.report.page import KINDS, frequent_confusions, render_page
from wavemix.report.records import Confusion
from wavemix.report.scores import PROTOCOLS

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


@pytest.fixture(scope="module")
def page(standing_full, tmp_path_factory):
    return Page(write_report(standing_full.root, tmp_path_factory.mktemp("report")).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page_of_four(standing_four, tmp_path_factory):
    return Page(write_report(standing_four.root, tmp_path_factory.mktemp("report")).read_text(encoding="utf-8"))


@pytest.fixture(params=["page", "page_of_four"])
def any_page(request):
    return request.getfixturevalue(request.param)


def page_without_figures(tree):
    """The page in less time, for tests of what stands beside the figures."""
    results = read_results(tree.root)
    names = [f"{one.name}-{kind}" for one in (*results.experiments, *results.sweeps) for kind in KINDS]
    return Page(render_page(results, dict.fromkeys(names, b"<svg></svg>")))


def test_says_all_there_is_to_say(page):
    words = [
        "96.7 % top1",
        "weights of step 400 of 500",
        "94.3 % to 98.1 %",
        "360 test",
        "72 362",
        "4f3c2b1a",
        "ab12ab12",
        "Classification digits 96.7 % top1",
        "digits_deep not yet evaluated",
        "0.07123",
        "0 taken for 1 3 of 36",
        "✗ wrong: 3 → 4 52 %",
        "✓ 2 97 %",
        "00002 best finished 0.9720 400 20 0.00081 32 strided",
        "6 trials: 1 failed, 4 finished, 1 stopped early; 86.50 epochs in all.",
        PROTOCOLS["top1"].text,
        "dvc repro",
        "9d8c7b6a",
    ]
    assert [word for word in words if word not in page.text] == []


def test_every_task_says_what_its_score_is_worth(page_of_four):
    words = [
        # the overview, by task
        "Inpainting holes 0.04310 l1_hole 0.08130 mean fill \N{MINUS SIGN}47 %",
        "Segmentation scenes 62.34 % miou",
        "Super resolution photos_x2 31.24 dB psnr_y 30.10 dB bicubic +1.14 dB",
        # the headline
        "31.24 dB psnr_y bicubic 30.10 dB (+1.14 dB)",
        # other data and shares of the hole
        "set5_x2 5 test 34.50 dB 33.66 dB (+0.84 dB)",
        "10 to 20 % 0.05520 0.08280 (\N{MINUS SIGN}33 %)",
        # classes, worst first and those that were not there last
        "sky 9 160 000 25.00 % road 9 160 000 98.25 % sign 0 \N{EN DASH}",
        "road taken for sky 40 000 of 9 080 000 pixels",
        # pictures
        "what went in, the answer, the truth",
        "28.77 dB",
        # cost
        "photos_x2 31.24 dB psnr_y 72 362 1.82 G 912 M executed 1 234 321.2 1.50 GiB device",
        "700 MiB resident 1 408 estimated Some CPU 2 threads, batch 64, image 3x64x64",
        # protocols
        PROTOCOLS["psnr_y"].text,
        "\N{HORIZONTAL ELLIPSIS}_bicubic bicubic interpolation in the model's place: the baseline",
        "\N{HORIZONTAL ELLIPSIS}_ms_flip",
        PROTOCOLS["iou"].text,
    ]
    assert [word for word in words if word not in page_of_four.text] == []


def test_a_picture_is_told_to_those_who_cannot_see_it(page_of_four):
    alts = [attrs["alt"] for attrs in page_of_four.all("img")]
    assert "Sample samples/001.png: input, answer and truth side by side, 28.77 dB" in alts
    assert "Sample test/000003: taken for 4" in alts


def test_tiny_pictures_keep_their_pixels_and_long_strips_a_line_of_their_own(four):
    four.triples("holes", ["large"], width=576, height=192)
    page = page_without_figures(four)
    looks = {attrs["width"]: attrs.get("class") for attrs in page.all("img")}
    assert looks == {"8": "small", "96": "small", "192": "small", "576": None}
    assert [attrs["class"] for attrs in page.all("li") if "strip" in attrs.get("class", "")] == ["strip"]


def test_the_page_holds_only_as_many_large_pictures_as_can_be_sent(four, monkeypatch):
    four.triples("holes", ["first", "second", "third", "fourth"], width=96, height=32)
    pictures = sorted((four.root / "experiments" / "holes" / "evaluation" / "samples").iterdir())
    monkeypatch.setattr("wavemix.report.page.MAX_BYTES", sum(path.stat().st_size for path in pictures[:2]))
    text = page_without_figures(four).text
    assert "first second" in text
    assert "third" not in text
    assert "2 more lie beside the scores" in text


def test_needs_nothing_from_elsewhere(any_page):
    assert not any_page.all("script")
    assert not any_page.all("link")
    assert all(attrs["src"].startswith("data:image/png;base64,") for attrs in any_page.all("img"))
    references = [v for _, attrs in any_page.tags for k, v in attrs.items() if k in ("href", "xlink:href")]
    assert references
    assert all(reference.startswith("#") for reference in references)


def test_names_are_unique_and_every_reference_has_its_target(any_page):
    names = [attrs["id"] for _, attrs in any_page.tags if "id" in attrs]
    assert len(names) == len(set(names))
    used = {v[1:] for _, attrs in any_page.tags for k, v in attrs.items() if k in ("href", "xlink:href")}
    used |= {name for _, attrs in any_page.tags for name in re.findall(r"url\(#([^)]+)\)", str(attrs))}
    assert used <= set(names)


def test_is_readable_without_eyes(any_page):
    assert all(attrs.get("alt") for attrs in any_page.all("img"))
    assert all(attrs["aria-label"] for attrs in any_page.all("figure") if attrs.get("role") == "img")
    assert len(any_page.all("caption")) == len(any_page.all("table"))
    assert "eval top1 from" in str(any_page.all("figure"))


def test_figures_follow_the_page_into_the_dark(report):
    svg = re.search(r"<svg.*?</svg>", report().read_text(encoding="utf-8"), re.DOTALL)[0]
    assert "var(--ink)" in svg
    assert not re.findall(r"(?:fill|stroke): #(?!none)\w+", svg)


def test_everything_from_files_stays_text(tree, tmp_path):
    bad = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>']
    tree.train("digits", classes=bad, code_version="<b>1</b>", task={"name": "<i>task</i>", "note": "</pre><script>"})
    tree.evaluate("digits", classes=bad)
    tree.change("experiments/digits/train/model.json", goal=["<u>top1</u>", "max"])
    tree.triples("digits", ["<s>caption</s>"], width=8, height=8)
    tree.cost("digits", device="<q>device</q>")
    tree.score("digits", {"<s>metric</s>": 1.0, "<s>metric</s>_bicubic": 1.0}, other="<q>data<q>")
    classes = [("class", "count", "<s>score"), *((name, 1, 1.0) for name in bad)]
    tree.put("experiments/digits/evaluation/tables/classes.csv", classes)
    folder = tree.sweep("digits_lr")
    (folder / "best.yaml").write_text("</pre><script>alert(1)</script>")
    text = (folder / "trials.csv").read_text()
    (folder / "trials.csv").write_text(text.replace("task.model.stem", "<script>").replace("patchify", "</td><script>"))
    page = Page(write_report(tree.root, tmp_path / "report").read_text(encoding="utf-8"))
    assert not {"script", "i", "u", "s", "q"} & {tag for tag, _ in page.tags}
    assert not [attrs for _, attrs in page.tags if "onerror" in attrs]
    assert "<script>alert(1)</script> taken for" in page.text
    assert "<s>caption</s>" in page.text


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


def test_an_unknown_metric_is_shown_and_says_where_it_is_defined(full):
    metrics = {"sharpness": 31.4159, "empty": float("nan")}
    full.put("experiments/digits/evaluation/metrics.json", {"split": "test", "num_samples": 360, "metrics": metrics})
    text = page_without_figures(full).text
    assert "sharpness 31.42 empty nan" in text
    assert "sharpness as defined under this name in the wavemix.metrics module" in text


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
    assert "None: all samples were classified rightly" in write_report(tree.root, tmp_path / "report").read_text()
