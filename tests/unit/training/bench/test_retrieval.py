"""The bench of the walk and its rivals: choosing on validation, targets, and one whole run."""

import json

import numpy as np
import pytest

from graph_index.attach import load_graph, search_settings
from training.bench.retrieval.choose import choose, coverage_tag, share_tag
from training.bench.retrieval.points import SYSTEMS, System, points_of
from training.bench.retrieval.presets import PRESETS, RetrievalPreset
from training.bench.retrieval.scorers import DeepOnly, HistoryProxy, NoTables
from training.bench.retrieval.targets import recommended, retrieval_targets
from vizsla.bundles import load
from vizsla.cli import main
from vizsla.contracts.index import Query
from vizsla.models.recommender.loading import load_matcher
from vizsla.models.recommender.scorer import TorchScorer

QUERIES = [Query(np.array([1, 2, 3])), Query(np.array([40, 5]))]


def validation(point, coverage, scored, cpu_ms):
    return {
        "point": point,
        "k": 200,
        "coverage_at_200": coverage,
        "scored_ratio": scored,
        "cpu_ms_per_query_batch_8": cpu_ms,
    }


def report(system, coverage=0.985, qps=100.0, **more):
    row = {"system": system, "k": 200, "part": "test", "chosen_for": [coverage_tag(0.98)]}
    row |= {"coverage_at_200": coverage, "qps_1core": qps, "scored_ratio": 0.02, "step": "test"}
    return row | {"point": system, "search": {"proxy_seeds": 700, "beam_width": 700}} | more


@pytest.fixture(scope="module")
def matcher(world):
    model = world.bundle.manifest.model
    return load_matcher(model.name, model.config, world.bundle.weights())


def test_the_cheapest_point_of_a_coverage_is_chosen_with_a_margin():
    """0.981 on validation is not enough for 0.98 on test; of those that are, the cheapest."""
    rows = [
        validation("near", 0.981, 0.01, 1.0),
        validation("cheap", 0.985, 0.03, 2.0),
        validation("dear", 0.985, 0.02, 3.0),
    ]

    chosen = choose(rows, [0.0205])

    assert coverage_tag(0.98) in chosen["cheap"]
    assert coverage_tag(0.97) in chosen["near"]
    assert chosen["near"][-1] == share_tag(0.0205)


def test_where_no_point_is_good_the_best_one_is_reported():
    """A rival that collapses still gets its row."""
    rows = [validation("bad", 0.2, 0.5, 1.0), validation("worse", 0.1, 0.5, 0.5)]

    assert choose(rows) == {"bad": []}


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_points_differ_and_fit_the_catalogue(system):
    """Every system has some, each once, none above half of the catalogue or below ``k``."""
    points = points_of(system, 50, 300)

    assert len({point.name for point in points}) == len(points) > 0
    assert all(value <= 150 for point in points for _, value in point.options)


def test_the_rivals_are_compared_at_equal_coverage():
    """Twice the rival's queries per second meets the target; a rival without the coverage has no row."""
    rows = [report("walk_proxy", qps=200.0), report("proxy_scan", qps=400.0)]
    rows.append(report("two_stage", coverage=0.9, chosen_for=[]))
    found = {t.name: t for t in retrieval_targets(RetrievalPreset(8, (), {}), rows)}
    by_rival = {name.split(",")[0].split()[-1]: target for name, target in found.items()}

    assert by_rival["proxy_scan"].value == 0.5
    assert not by_rival["proxy_scan"].met
    assert "two_stage" not in by_rival


def test_auto_takes_the_settings_of_the_winner():
    """A rival's candidates become ``auto_rescores``, its scan the seeds' scan, whatever the size."""
    rows = [report("walk_proxy", qps=200.0), report("proxy_scan_int8", qps=400.0)]
    exact = [*rows, report("proxy_scan", qps=800.0, n_items=300_000)]

    wide = [*rows, report("two_stage", qps=500.0)]

    assert recommended(rows)[0]["search"] == {"auto_rescores": 700, "seed_search": 1}
    assert recommended(wide)[0]["search"] == {
        "auto_rescores": 700,
        "seed_search": 2,
        "beam_width": 700,
    }
    assert recommended(exact)[0]["search"] == {
        "auto_rescores": 700,
        "seed_search": 0,
        "proxy_scan_below": 300_000,
    }
    assert recommended(rows[:1])[0]["search"]["proxy_seeds"] == 700
    assert recommended([]) == []


def test_auto_takes_an_index_of_its_own_only_where_it_pays():
    """A tenth more queries per second is not worth an HNSW index beside the graph, half more is."""
    walk = report("walk_proxy", qps=400.0)

    assert recommended([walk, report("two_stage", qps=430.0)])[0]["system"] == "walk_proxy"
    assert recommended([walk, report("two_stage", qps=600.0)])[0]["system"] == "two_stage"
    assert recommended([report("two_stage", qps=430.0)])[0]["system"] == "two_stage"


def test_without_tables_the_scores_are_the_same(matcher):
    """The ablation takes time away, nothing else."""
    query_of, items = np.array([0, 0, 1]), np.array([3, 4, 3])
    scores = [
        scorer.score(scorer.user_state(QUERIES), query_of, items)
        for scorer in (TorchScorer(matcher), NoTables(matcher))
    ]

    assert np.allclose(*scores, atol=1e-5)


def test_a_hidden_proxy_is_the_mean_of_the_history(matcher):
    """The scores stay."""
    own = TorchScorer(matcher)
    hidden = HistoryProxy(own, own.item_vectors)
    state = hidden.user_state(QUERIES)

    assert np.allclose(hidden.proxy(state)[1], own.item_vectors[[40, 5]].mean(axis=0), atol=1e-6)
    assert hidden.score(state, np.array([1]), np.array([7])) == pytest.approx(
        own.score(own.user_state(QUERIES), np.array([1]), np.array([7]))
    )


def test_the_deep_part_and_the_proxy_make_the_score(matcher):
    """Of scores and of derivatives."""
    own = TorchScorer(matcher)
    deep = DeepOnly(own, own.item_vectors)
    query_of, items = np.array([0, 1]), np.array([7, 7])
    state, full = deep.user_state(QUERIES), own.user_state(QUERIES)
    products = deep.proxy(state) @ own.item_vectors[7]

    assert deep.score(state, query_of, items) + products == pytest.approx(
        own.score(full, query_of, items), abs=1e-5
    )
    assert np.allclose(
        deep.gradient(state, query_of, items) + deep.proxy(state),
        own.gradient(full, query_of, items),
        atol=1e-5,
    )


@pytest.mark.slow
def test_a_whole_run_writes_everything_and_resumes(world, monkeypatch, capsys, tmp_path):
    """Rows, targets, table and picture; the second run finds every step in the file."""
    monkeypatch.setenv("VIZSLA_HOME", str(world.home))
    file = tmp_path / "retrieval.json"
    arguments = ["bench", "retrieval", "--preset", "tiny", "--bundle", world.bundle.path]
    arguments += ["--queries", "16", "--device", "cpu", "--json", file]
    arguments += ["--beside", f"other={world.bundle.path}"]
    outputs = [_run(arguments, capsys) for _ in range(2)]
    found = json.loads(file.read_text())
    test = [row for row in found["rows"] if row["step"] == "test"]

    assert "two_stage" in outputs[0]
    assert "test: already in" in outputs[1]
    assert {"walk_proxy", "walk_device", "two_stage", "proxy_scan", "random", "exhaustive"} <= {
        row["system"] for row in test
    }
    assert all(row["coverage_at_50"] == 1.0 for row in test if row["system"] == "exhaustive")
    assert all(row["gemm_efficiency_ratio"] > 0 for row in test)
    assert file.with_suffix(".png").stat().st_size > 10_000
    assert len(found["targets"]) > 3
    beside = {row["system"] for row in found["rows"] if row["step"] == "beside other"}
    assert "exhaustive, other" in beside
    assert {row["step"] for row in found["rows"]} >= {"filters", "shards", "churn"}
    (memory, _) = [row for row in found["rows"] if row["step"] == "memory"]
    assert memory["resident_bytes_per_item"] > 64
    assert any(target["name"].startswith("churn, start proxy") for target in found["targets"])


@pytest.mark.slow
def test_the_best_settings_can_be_stored(world, capsys, tmp_path):
    """``index configure`` writes a new bundle whose search has them; a wrong name is one line."""
    arguments = ["index", "configure", world.bundle.path, "--out", tmp_path]
    _run([*arguments, "--search", "auto_rescores=30"], capsys)
    (made,) = [path for path in tmp_path.iterdir() if path.is_dir()]
    settings = search_settings(load_graph(load(made))[1])

    assert settings.auto_rescores == 30
    assert "known:" in _run([*arguments, "--search", "nonsense=3"], capsys, status=2)
    assert "NAME=NUMBER" in _run([*arguments, "--search", "nonsense"], capsys, status=2)


def _run(arguments, capsys, status=0):
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    assert ended.value.code == status
    return "".join(capsys.readouterr())


def test_every_preset_names_known_systems():
    """A target for a system that is not measured could never be met."""
    names = {system.name for system in SYSTEMS}
    for preset in PRESETS.values():
        assert {name for name, *_ in preset.shares} | set(preset.speedups) <= names


def test_a_system_is_only_a_value():
    """Equal systems share a retriever."""
    assert System("a", "graph", "seeded") == System("a", "graph", "seeded")
