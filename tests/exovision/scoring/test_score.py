import numpy as np
import pytest

from exovision.scoring.score import score

SHARES = ("precision", "recall", "f1", "purity", "alpha", "beta", "jsc", "accuracy", "pairs", "slope")
SHARES += ("pairs_where_found", "mode_right", "id_stability", "ap50", "ap75", "ap90", "f1_without_ends")
SHARES += ("unresolved_where_not_identifiable",)


def shares(scores):
    """The figures that are one when all is right."""
    return {
        name: metric.value
        for name, metric in scores.metrics.items()
        if any(part.split("[")[0] in SHARES for part in name.split(".")) or name.endswith("slope")
    }


def test_a_perfect_result_scores_one_on_everything(example, tmp_path):
    truth = example.save(tmp_path / "truth", finished=False)
    scores = score(example.save(tmp_path / "out", decoys=None), truth)
    assert len(shares(scores)) > 35
    assert shares(scores) == pytest.approx(dict.fromkeys(shares(scores), 1.0))
    zeros = [n for n in scores.metrics if any(w in n for w in ("rmse", "failure", "false", "bias", "ece"))]
    assert len(zeros) > 15
    assert all(scores[name].value == 0 for name in zeros)
    assert all("neither truth nor result" in reason for reason in scores.absent.values())
    assert scores["cells.boundary_mean_um"].value == 0.0


def test_a_folder_of_several_movies_is_pooled_without_confusing_them(example, tmp_path):
    for name in ("one", "two"):
        example.save(tmp_path / "out" / name)
        example.save(tmp_path / "sim" / name / "truth", finished=False)
    single = score(tmp_path / "out" / "one", tmp_path / "sim" / "one")
    pooled = score(tmp_path / "out", tmp_path / "sim")
    assert shares(pooled) == pytest.approx(dict.fromkeys(shares(single), 1.0))
    for name in ("spots.recall", "docking.recall", "death.recall", "division.recall", "linking.pairs"):
        assert pooled[name].n == 2 * single[name].n
    assert pooled["exposure.cell_h"].value == pytest.approx(2 * single["exposure.cell_h"].value)
    assert pooled["docking.rate_per_cell_h"].value == pytest.approx(single["docking.rate_per_cell_h"].value)


def test_a_movie_where_all_is_missed_weighs_by_its_spots(example, tmp_path):
    spots, mine = example.spots(1)
    for name, result in (("one", None), ("two", spots[mine])):
        changed = {} if result is None else {"spots": result}
        example.save(tmp_path / "out" / name, **changed)
        example.save(tmp_path / "sim" / name, finished=False)
    found = score(tmp_path / "out", tmp_path / "sim")["spots.recall"]
    assert found.value == pytest.approx((143 + 27) / 286) and found.n == 286


def test_a_spot_missed_in_one_movie_is_not_found_in_another(example, tmp_path):
    spots, mine = example.spots(1)
    for name, result, truth in (("one", spots[~mine], spots), ("two", spots, spots[~mine])):
        example.save(tmp_path / "out" / name, spots=result)
        example.save(tmp_path / "sim" / name, finished=False, spots=truth)
    scores = score(tmp_path / "out", tmp_path / "sim")
    share = pytest.approx((2 * 143 - 2 * 27) / (2 * 143 - 27))
    assert scores["spots.recall"].value == scores["spots.precision"].value == share


def test_what_is_not_in_every_folder_is_absent_with_its_reason(example, tmp_path):
    result = example.save(tmp_path / "out", events=None, fates=None)
    truth = example.save(tmp_path / "truth", finished=False)
    (truth / "cell_labels.ome.tif").unlink()
    scores = score(result, truth)
    assert scores.absent["docking.f1"] == "events.csv is not in the result folder of every movie"
    assert "cell_labels.ome.tif" in scores.absent["cells.ap50"]
    assert "fates.csv" in scores.absent["death.f1"]
    assert any("not checked" in note for note in scores.notes)
    assert scores["spots.f1"].value == 1.0


def test_states_are_compared_on_matched_spots(example):
    spots, mine = example.spots(6)
    spots.loc[mine, "state"] = "docked"
    scores = example.score(spots=spots)
    assert scores["states.recall.stuck"].value == 0.0
    assert scores["states.precision.docked"].value == pytest.approx(107 / 127)
    assert scores.tables["states_confusion"].loc["stuck", "docked"] == 20


def test_a_result_without_any_rows_scores_zero_recall(example):
    empty = {name: example.tables[name].iloc[:0] for name in ("spots", "events")}
    scores = example.score(**empty)
    for name in ("spots.recall", "docking.recall", "fusion.recall", "linking.pairs", "linking.alpha"):
        assert scores[name].value == 0.0, name
    assert "no spots in the result" in scores.absent["spots.precision"]
    assert np.isfinite(scores["docking.false_per_cell_h"].hi)


def test_truth_without_any_rows_leaves_recall_absent(example):
    empty = {name: example.tables[name].iloc[:0] for name in ("spots", "events")}
    scores = example.score(truth=empty)
    assert scores["spots.precision"].value == scores["docking.precision"].value == 0.0
    assert {"spots.recall", "docking.recall", "docking.f1"} <= set(scores.absent)
