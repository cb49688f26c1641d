"""The bench of negative samplers: its data, its rows and its verdicts."""

import polars as pl
import pytest

from training.bench import bns
from training.bench.bns_arms import ARMS, DEFAULT_ARM, FAMILY, TABLES, Arm, Table
from training.bench.bns_data import PROTOCOLS, study_data
from training.bench.bns_plots import plot_bns
from training.bench.bns_report import (
    METRICS,
    bns_targets,
    chosen_variant,
    half_width,
    p_value,
    summarise,
)
from training.bench.bns_separation import SeparationJob, posterior_error
from training.bench.form import BenchFile, new_result
from training.bench.training import TrainingPlan
from training.objective import sampler_settings
from training.provenance import provenance
from training.samplers.bns import BayesianSettings
from vizsla.datasets import fetch, read, resolve
from vizsla.errors import UnknownNameError


def run(arm, seed, value, dataset="ml-100k", **more):
    figures = dict.fromkeys(METRICS, value)
    return {
        "kind": "run",
        "dataset": dataset,
        "arm": arm,
        "seed": seed,
        "selected_epoch": 10,
        "final": figures,
        "selected": dict.fromkeys(METRICS, value + 0.01),
        "curve": [{"epoch": 10, "ndcg_at_20": value}, {"epoch": 20, "ndcg_at_20": value}],
        **more,
    }


def selection(arm, value):
    return {"kind": "selection", "dataset": "ml-100k", "arm": arm, "epoch": 5, "ndcg_at_20": value}


def test_the_variant_is_chosen_on_validation():
    """The best selection run of the family, whatever ranks better outside of it."""
    rows = [selection("bns", 0.21), selection("bnsc-20", 0.23), selection("oracle-5", 0.3)]

    assert chosen_variant(rows) == "bnsc-20"
    assert chosen_variant([]) is None


def test_every_arm_has_valid_settings():
    """A typing error in a table of arms would show after an hour."""
    for arm in ARMS.values():
        if arm.engine == "backbone":
            sampler_settings("negatives", arm.backbone_recipe(1, 1, 1).negatives)


def test_tables_name_known_arms_and_data():
    """Tables, protocols and the family agree with each other."""
    assert TABLES.keys() == PROTOCOLS.keys()
    assert {arm for table in TABLES.values() for arm in table.arms} <= ARMS.keys()
    assert DEFAULT_ARM in FAMILY
    assert set(FAMILY) <= ARMS.keys()


def test_the_default_arm_is_what_the_sampler_does_by_itself():
    """What validation chose is what a user gets who only names ``bns``."""
    named = ARMS[DEFAULT_ARM].backbone_recipe(1, 1, 1).negatives.options

    assert BayesianSettings(**named) == BayesianSettings()


def test_a_summary_has_means_over_seeds_at_both_epochs():
    """Two seeds, 0.4 and 0.42: mean 0.41, and half a point more where validation chose."""
    rows = [run("rns", 0, 0.40, tnr=0.9), run("rns", 1, 0.42, tnr=0.8)]
    final, selected = summarise(rows)

    assert final["ndcg_at_20"] == pytest.approx(0.41)
    assert selected["ndcg_at_20"] == pytest.approx(0.42)
    assert (final["epoch"], selected["epoch"], final["seeds"]) == (20, 10, 2)
    assert final["tnr"] == pytest.approx(0.85)
    assert final["ndcg_at_20_half_width"] == half_width([0.40, 0.42])


def test_significance_is_paired_by_seed():
    """The same difference in all seeds is certain, however much seeds differ."""
    rows = [run("rns", s, 0.3 + 0.1 * s) for s in range(3)]
    rows += [run(DEFAULT_ARM, s, 0.32 + 0.1 * s + 1e-4 * s) for s in range(3)]
    final = {row["arm"]: row for row in summarise(rows) if row["at"] == "final"}

    assert final["rns"]["p_against_default"] < 1e-4
    assert final[DEFAULT_ARM]["p_against_default"] is None
    assert p_value({0: 0.4}, {0: 0.5}) is None


def test_targets_compare_what_was_asked_for():
    """Met where the figures are there, missed where nothing ran."""
    rows = [run("bns", 0, 0.42, tnr=0.92), run("dns-5", 0, 0.40, tnr=0.91)]
    rows += [run("rns", 0, 0.40, tnr=0.97), run("ease", 0, 0.45)]
    rows += [run(f"{name}-{DEFAULT_ARM}", 0, v) for name, v in (("mf64", 0.43), ("lightgcn", 0.46))]
    rows += [selection(f"{n}-{DEFAULT_ARM}", v) for n, v in (("mf64", 0.24), ("lightgcn", 0.23))]
    met = {target.name: target.met for target in bns_targets(summarise(rows), rows)}

    assert met["ml-100k: released BNS, last epoch, NDCG@20"]
    assert met["ml-100k: TNR of uniform minus BNS"]
    # validation prefers the one that is worse on test, which is the one that is reported
    chosen = "ml-100k: calibrated prior on the backbone chosen on validation minus EASE"
    assert not met[f"{chosen}, final epoch, NDCG@20"]
    assert not met[f"{chosen}, selected epoch, NDCG@20"]
    assert not met["ml-100k: oracle prior, NDCG@20"]


def test_the_posterior_is_what_it_claims():
    """Simulated pairs are true as often as the posterior says."""
    assert posterior_error(n_draws=1_500_000) < 0.01


def test_unknown_data_is_named():
    """With the nearest name."""
    with pytest.raises(UnknownNameError, match="did you mean 'ml-100k'"):
        study_data("ml-10k", lambda name: name)


@pytest.fixture
def home(tmp_path, data_dir):
    """Fetch what the bench reads."""
    for name in ("bns-ml100k", "ml-100k", "yahoo-r3"):
        fetch(name, tmp_path / "home", data_dir / name)
    return tmp_path / "home"


def occupations_by_ratings(home):
    """Find the same people in both datasets by what they rated how often, where that is unique."""
    counts = [
        read(resolve(name, home))
        .interactions.group_by("user_id")
        .agg(*(pl.col("rating").eq(stars).sum().alias(str(stars)) for stars in range(1, 6)))
        for name in ("bns-ml100k", "ml-100k")
    ]
    keys = [str(stars) for stars in range(1, 6)]
    once = [table.filter(pl.struct(keys).is_unique()) for table in counts]
    pairs = once[0].join(once[1], on=keys, suffix="_there")
    users = read(resolve("ml-100k", home)).users.rename({"user_id": "user_id_there"})
    found = pairs.join(users, on="user_id_there")
    return dict(zip(found["user_id"], found["occupation"], strict=True))


def occupations_by_code(data, home):
    """Name the codes of those people by sorting the occupations."""
    names = sorted(set(read(resolve("ml-100k", home)).users["occupation"]))
    codes = data.user_codes["occupation"].tolist()
    known = occupations_by_ratings(home)
    return {u: names[codes[data.full.users.num(u)] - 1] for u in known}


@pytest.mark.data
@pytest.mark.slow
def test_the_papers_data(home):
    """80,000 and 20,000 pairs; occupations of all users; certified dislikes of Yahoo."""
    data = study_data("ml-100k", lambda name: resolve(name, home))

    assert len(data.full.train.values) == 80_000
    assert len(data.full.test.targets.values) == 20_000
    assert len(data.hidden(data.full).keys) == 20_000
    assert int(data.user_codes["occupation"].min()) >= 1
    assert len(set(data.user_codes["occupation"].tolist())) == 21
    assert occupations_by_ratings(home) == occupations_by_code(data, home)
    union = study_data("yahoo-r3", lambda name: resolve(name, home)).full
    assert len(union.train.values) + len(union.test.targets.values) == 183_179
    random = study_data("yahoo-r3-random", lambda name: resolve(name, home))
    assert len(random.certified.keys) == 38_751  # of 41,481, without users who like nothing


@pytest.mark.data
@pytest.mark.slow
def test_a_small_bench_runs_resumes_and_draws(home, tmp_path, monkeypatch):
    """One epoch of three arms: rows, a table, pictures; the second time nothing runs."""
    table = Table(("rns", DEFAULT_ARM, "ease"), seeds=2, epochs=3, every=1)
    monkeypatch.setitem(bns.TABLES, "ml-100k", table)
    plan = TrainingPlan(
        {},
        tmp_path,
        0,
        {},
        workers=1,
        max_queries=0,
        cpu_minutes=1.0,
        home=home,
        datasets=("ml-100k",),
    )
    file = BenchFile(tmp_path / "bns.json", new_result("training", "bns", provenance(0), {}))
    verdict = bns.run_bns(plan, file)
    again = BenchFile(tmp_path / "bns.json", new_result("training", "bns", provenance(0), {}))
    n_rows = len(again.result.rows)
    bns.run_bns(plan, again)
    pictures = plot_bns(file.result.rows, file.path)

    assert {row["arm"] for row in verdict.summary} == set(table.arms)
    assert len(again.result.rows) == n_rows == 2 + 2 * 2 + 1 + 3
    assert all(path.stat().st_size > 10_000 for path in pictures)


@pytest.mark.data
@pytest.mark.slow
def test_separation_is_looked_at_three_times(home):
    """Held-out positives rank above other unseen items once something is learned."""
    rows = SeparationJob("ml-100k", "rns", Table(("rns",), epochs=12), home)()

    assert [row["epoch"] for row in rows] == [4, 8, 12]
    assert rows[-1]["order_ratio"] > 0.6
    assert rows[-1]["unbias_auc_item_item"] > rows[-1]["score_auc"]


@pytest.mark.data
@pytest.mark.slow
def test_an_arm_that_diverges_is_a_row(home, monkeypatch):
    """The others go on, and the table says why it is missing."""
    wild = Arm("uniform", {"shared": False}, {"learning_rate": 1e6})
    monkeypatch.setitem(bns.ARMS, "wild", wild)
    (row,) = bns.Job("ml-100k", "wild", 0, Table(("wild",), epochs=2, every=1), home)()

    assert row["kind"] == "failed"
    assert "last good checkpoint" in row["reason"]
