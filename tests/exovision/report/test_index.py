"""The overview of a batch: a row a movie, failures with their reason, the pooled rate."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from scipy import stats

from exovision.report.index import pooled_rate, write_index
from exovision.report.wording import number

HEADLINE = {
    "cells": 4,
    "exosomes": 20,
    "dockings": 7,
    "arrivals": 6,
    "cell_hours": 1.5,
    "arrivals_per_cell_hour": 4.0,
    "arrivals_per_cell_hour_lo": 1.47,
    "arrivals_per_cell_hour_hi": 8.71,
    "median_dwell_s": 33.25,
    "enrichment": 7.31,
    "chance_p": 2.5e-5,
}
FAILURE = {"movie": "bad", "path": "/data/bad.tif", "error": "a TIFF was expected, got text <&>"}


def movies(*rows):
    return pd.DataFrame([{"path": "x.tif", **HEADLINE, **row} for row in rows])


def test_each_movie_has_a_row_with_its_numbers_and_a_link(tmp_path):
    table = movies({"movie": "a", "condition": "NK"}, {"movie": "b c#1", "cells": 9, "median_dwell_s": None})
    report = write_index(tmp_path, movies=table, failures=[])
    text = report.read_text(encoding="utf-8")
    assert report == tmp_path / "report.html"
    assert 'href="a/report.html">a</a>' in text
    assert 'href="b%20c%231/report.html">b c#1</a>' in text
    for value in HEADLINE.values():
        assert f">{number(value)}</td>" in text
    assert ">NK</td>" in text and ">9</td>" in text and ">–</td>" in text
    assert "Failed" not in text


def test_failures_are_listed_with_their_reason_escaped(tmp_path):
    text = write_index(tmp_path, movies=movies({"movie": "a"}), failures=[FAILURE]).read_text(
        encoding="utf-8"
    )
    assert "1 movie analysed, 1 failed" in text
    assert "a TIFF was expected, got text &lt;&amp;&gt;" in text
    assert "/data/bad.tif" in text


def test_a_batch_in_which_every_movie_failed_has_an_overview(tmp_path):
    none = pd.DataFrame({"movie": pd.Series(dtype="string")})
    text = write_index(tmp_path, movies=none, failures=[FAILURE]).read_text(encoding="utf-8")
    assert "0 movies analysed, 1 failed" in text
    assert "no pooled rate" in text


def test_the_overview_fetches_nothing_and_escapes_names(tmp_path):
    table = movies({"movie": '"><script>alert(1)</script>', "condition": "<i>"})
    text = write_index(tmp_path, movies=table, failures=[]).read_text(encoding="utf-8")
    assert "<script" not in text and "<i>" not in text
    for address in re.findall(r'(?:src|href)="([^"]*)"', text):
        assert not re.match(r"\s*(https?:|//|javascript:|file:)", address)


@pytest.mark.parametrize("counts", [(6, 9), (0, 0), (1, 0)])
def test_the_pooled_rate_is_all_arrivals_over_all_cell_hours_with_the_exact_interval(counts):
    rows = [{"arrivals": n, "cell_hours": hours} for n, hours in zip(counts, (1.5, 2.5))]
    pooled = pooled_rate([*rows, {"arrivals": None, "cell_hours": None}])
    total = sum(counts)
    assert pooled["per_cell_hour"] == pytest.approx(total / 4)
    assert stats.poisson.cdf(total, 4 * pooled["per_cell_hour_hi"]) == pytest.approx(0.025)
    if total:
        assert stats.poisson.sf(total - 1, 4 * pooled["per_cell_hour_lo"]) == pytest.approx(0.025)
    else:
        assert pooled["per_cell_hour_lo"] == 0


def test_without_exposure_there_is_no_pooled_rate():
    pooled = pooled_rate([{"cells": 0, "arrivals": 0, "cell_hours": 0.0}])
    assert pooled["per_cell_hour"] is None and pooled["per_cell_hour_hi"] is None
