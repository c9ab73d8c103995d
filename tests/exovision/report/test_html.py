"""The report of one movie: true numbers, nothing fetched, nothing unescaped, every empty case in words."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

import pytest

from exovision.records import Movie
from exovision.report import wording
from exovision.settings import Settings

FIGURES = ("overlay", "dockings", "distances", "dwell", "dockings_per_cell", "drift", "bleaching")
NUMBER = re.compile(r"\d+(?:\.\d+)?(?: × 10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?")
REMOTE = re.compile(r"\s*(https?:|//|javascript:|file:)", re.IGNORECASE)
CONFIDENCE = {"95"}
"""Printed as the name of an interval."""


class Page(HTMLParser):
    """The text of the parts that print results, every attribute, and every tag."""

    def __init__(self, html):
        super().__init__()
        self.text, self.attributes, self.tags = [], [], []
        self.open = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attributes]
        if tag not in ("meta", "img", "link", "br", "hr"):
            self.open.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        if any(attributes.get("class") == "result" for _, attributes in self.open) and not any(
            attributes.get("class") in ("warnings",) or tag == "h1" for tag, attributes in self.open
        ):
            self.text.append(data)


def leaves(content):
    if isinstance(content, dict):
        content = list(content.values())
    if isinstance(content, list):
        return [leaf for item in content for leaf in leaves(item)]
    return [content]


@pytest.fixture(scope="module")
def written(small, tmp_path_factory):
    """The report of the small movie: its folder and its text."""
    folder = tmp_path_factory.mktemp("report")
    return folder, small.write(folder)


def test_every_number_among_the_results_is_in_the_summary(small, written):
    known = {wording.number(value) for value in leaves(small.summary) if value is not None}
    texts = {
        text for value in leaves(small.summary) if isinstance(value, str) for text in NUMBER.findall(value)
    }
    printed = {text for line in Page(written[1]).text for text in NUMBER.findall(line)}
    assert len(printed) > 15
    assert printed <= known | texts | CONFIDENCE


def test_the_headline_says_what_was_found(small, written):
    found, arrivals = small.summary["movie"], small.summary["rates"]["arrival"]
    assert found["dockings"] == 3
    assert wording.headline(small.summary) in written[1]
    for part in (
        "2 cells",
        "7 exosomes followed",
        "3 of them docked",
        wording.number(arrivals["per_cell_hour_hi"]),
    ):
        assert part in wording.headline(small.summary)


def test_warnings_and_assumptions_come_before_the_first_figure(small, written):
    text = written[1]
    assert small.summary["warnings"]
    for line in (*small.summary["warnings"], *small.movie.notes):
        assert text.index(line) < text.index("<figure>")


def test_nothing_is_fetched_and_no_script_runs(written):
    page = Page(written[1])
    assert not {"script", "link", "iframe", "object", "base"} & set(page.tags)
    assert "@import" not in written[1] and "url(" not in written[1]
    for tag, name, value in page.attributes:
        assert not name.startswith("on"), f"{tag} {name}"
        if name in ("src", "href"):
            assert not REMOTE.match(value), f"{tag} {name}={value[:80]}"
    assert not page.open


def test_every_image_is_in_the_page_and_says_what_it_shows(written):
    folder, text = written
    images = re.findall(r'<img src="data:image/(png|svg\+xml);base64,([^"]+)" alt="([^"]+)">', text)
    assert len(images) == len(FIGURES) == text.count("<img")
    on_disk = {path.read_bytes() for path in (folder / "figures").iterdir()}
    assert all(base64.b64decode(content) in on_disk for _, content, _ in images)


def test_every_figure_is_there_as_png_and_svg_and_linked(written):
    folder, text = written
    names = {f"{name}.{suffix}" for name in FIGURES for suffix in ("png", "svg")}
    assert {path.name for path in (folder / "figures").iterdir()} == names
    assert all(f'href="figures/{name}"' in text for name in names)


def test_the_contents_lead_to_every_section(written):
    targets = set(re.findall(r'href="#(\w+)"', written[1]))
    assert len(targets) == 11
    assert targets == set(re.findall(r'id="(\w+)"', written[1]))


def test_the_same_study_gives_the_same_bytes(small, written, tmp_path):
    assert small.write(tmp_path) == written[1]
    for path in (tmp_path / "figures").iterdir():
        assert path.read_bytes() == (written[0] / "figures" / path.name).read_bytes()


def test_hostile_names_are_shown_as_text(study, tmp_path):
    hostile = '<script>alert("x")</script>'
    quick = study(n_frames=1, n_docked=0, n_free=0, name=hostile)
    quick.summary["warnings"].append("<img src=http://evil/x.png onerror=alert(1)>")
    record = quick.provenance() | {"facts": {"<b>donor": "<i>1"}, "notes": ["</ul><script>"]}
    text = quick.write(tmp_path, provenance=record)
    page = Page(text)
    assert "script" not in page.tags and "i" not in page.tags
    assert "<img src=http" not in text
    assert "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;" in text
    assert "&lt;b&gt;donor" in text


@pytest.mark.parametrize(
    ("parameters", "sentences"),
    [
        (
            {"n_docked": 0, "n_free": 0},
            ("no exosomes were followed", "No spots were found", "No linked spots"),
        ),
        ({"n_docked": 0}, ("none of them docked", "No docked exosomes to show", "no curve")),
        ({"n_cells": 0, "n_docked": 0}, ("No cells", "no cells were observed", "no dockings per cell")),
        ({"n_frames": 1, "n_docked": 0}, ("one frame", "No docked exosomes to show")),
        ({"n_cells": 0, "n_docked": 0, "n_free": 0, "n_frames": 1}, ("No cells; no exosomes",)),
    ],
    ids=["no exosomes", "no dockings", "no cells", "one frame", "nothing"],
)
def test_an_empty_case_is_told_in_words(study, tmp_path, parameters, sentences):
    text = study(**{"n_frames": 8} | parameters).write(tmp_path)
    for sentence in sentences:
        assert sentence in text
    assert "None" not in Page(text).text and "nan" not in " ".join(Page(text).text).split()


def test_a_movie_without_exosome_or_cell_channel_gets_a_report(study, tmp_path):
    quick = study(n_frames=3, n_docked=0, n_free=0)
    for roles in ({"exosome": 0}, {"content": 0}):
        movie = Movie(**{**vars(quick.movie), "roles": roles})
        assert "figures/overlay.png" in quick.write(tmp_path, movie=movie)


def test_a_figure_of_an_earlier_run_does_not_stay(study, tmp_path):
    (tmp_path / "figures").mkdir()
    for name in ("dockings.png", "dockings.svg", "mine.png"):
        (tmp_path / "figures" / name).write_bytes(b"old")
    text = study(n_frames=1, n_docked=0, n_free=0).write(tmp_path)
    assert not list((tmp_path / "figures").glob("dockings.*"))
    assert (tmp_path / "figures/mine.png").exists()
    assert "figures/dockings.png" not in text


def test_few_frames_are_read_each_once(study, tmp_path):
    settings = Settings.from_mapping({"report": {"overlay_frames": 2, "kymographs": 1}})
    long = study(n_frames=100, n_docked=1, n_free=1, settings=settings)
    long.write(tmp_path)
    dwell = long.tables.events.query("kind == 'docking'").iloc[0]
    assert dwell["end_frame"] - dwell["start_frame"] < 25
    assert {0, 99} <= long.frames_read
    assert len(long.frames_read) <= 2 + 40


def test_frames_without_an_image_are_passed_over(study, tmp_path):
    quick = study(n_frames=9, n_docked=0, n_free=1)
    quick.movie.times_s[::2, 0] = float("nan")
    quick.movie.times_s[1:, 1] = float("nan")
    quick.write(tmp_path)
    assert quick.frames_read == {0, 1, 7}
