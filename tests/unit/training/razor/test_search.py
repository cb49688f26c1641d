import numpy as np
import pytest

from training.razor import PruneSettings, RazorSettings, SearchResult, prune, search
from training.razor.prune import widths_at
from vizsla.errors import CorruptArtifactError, DataError, NotFoundError
from vizsla.fields import EncodedRows

SETTINGS = RazorSettings(batch_size=128)


def test_noise_gets_no_column_and_what_decides_labels_is_kept(searched):
    widths = widths_at(searched, 0.3)

    assert widths["noise_few"] == widths["noise_many"] == 0
    assert min(widths["strong"], widths["weak"], widths["tags"]) >= 1


def test_a_constant_field_keeps_one_column_at_most(searched):
    assert widths_at(searched, 0.3)["constant"] <= 1


def test_a_sequence_that_decides_nothing_is_dropped_though_its_table_stays(searched):
    widths = widths_at(searched, 0.3)

    assert widths["history"] == 0
    assert widths["weak"] >= 1


def test_of_a_field_and_its_copy_at_least_one_is_narrowed(make_schema, make_rows):
    alone = search(make_schema(), make_rows(), SETTINGS, 0)
    both = search(make_schema(extra=["copy"]), make_rows(extra=["copy"]), SETTINGS, 0)
    before, after = widths_at(alone, 0.3), widths_at(both, 0.3)

    assert min(after["strong"], after["copy"]) <= before["strong"] / 2


def _expected(result, name):
    return float(np.dot(result.probabilities[name], [0, 1, 1, 2, 4, 8, 14]))


def test_the_order_of_fields_decides_nothing(planted):
    schema, rows = planted
    part = rows.take(np.arange(2_000))
    turned = schema.model_copy(update={"fields": schema.fields[::-1]})
    one, other = (search(fields, part, SETTINGS, 0) for fields in (schema, turned))

    assert one.probabilities == other.probabilities
    assert [field.spec.name for field in other.schema_full.fields] == [
        field.spec.name for field in turned.fields
    ]


def test_a_seed_fixes_the_search_and_another_gives_another(planted):
    schema, rows = planted
    part = rows.take(np.arange(1_000))
    first, again, other = (search(schema, part, SETTINGS, seed) for seed in (3, 3, 4))

    assert first.probabilities == again.probabilities
    assert first.probabilities != other.probabilities


@pytest.mark.parametrize(
    ("changes", "n_read"),
    [
        ({}, 1_000),
        ({"passes": 2}, 2_000),
        ({"held_out": 0.2}, 1_000),
        ({"batch_norm": "shared"}, 1_000),
        ({"batch_norm": "off", "gate_first_order": False}, 1_000),
        ({"penalty_by": "vocabulary", "temperature_start": 1.0, "layer_norm": True}, 1_000),
    ],
)
def test_every_row_is_read_once_per_pass(planted, changes, n_read):
    schema, rows = planted
    settings = SETTINGS.model_copy(update=changes)
    steps = []
    found = search(
        schema,
        rows.take(np.arange(1_000)),
        settings,
        0,
        progress=lambda done, total: steps.append((done, total)),
    )

    assert found.n_rows == n_read
    assert steps[-1] == (found.n_steps, found.n_steps)
    assert all(abs(sum(one) - 1) < 1e-6 for one in found.probabilities.values())


def test_a_large_penalty_narrows_fields(planted):
    schema, rows = planted
    part = rows.take(np.arange(4_000))
    free, dear = (
        search(schema, part, RazorSettings(batch_size=128, penalty=penalty), 0)
        for penalty in (0.0, 1.0)
    )

    assert sum(_expected(dear, name) for name in dear.probabilities) < sum(
        _expected(free, name) for name in free.probabilities
    )


def test_a_field_beside_does_not_change_the_vectors_another_starts_from(make_schema):
    from training.razor.search import supernet
    from training.razor.supernet import regions, widened

    masks = regions(SETTINGS.widths)
    starts = []
    for names in (["strong", "weak"], ["noise_few", "strong", "weak"]):
        wide = widened(make_schema(names), 30)
        _, embeddings = supernet(wide, masks, SETTINGS, 0)
        weak = next(field for field in wide.fields if field.spec.name == "weak")
        starts.append(embeddings.table.weight[embeddings.rows(weak)])

    assert starts[0].equal(starts[1])


def test_importances_stay_where_they_are_while_vectors_warm_up(planted):
    schema, rows = planted
    part = rows.take(np.arange(1_000))
    late = SETTINGS.model_copy(update={"warmup": 0.999})
    found = search(schema, part, late, 0)

    assert found.probabilities["strong"] == pytest.approx([1 / 7] * 7)


@pytest.mark.parametrize("backbone", ["fm", "deepfm", "dcnv2"])
def test_other_backbones_drop_noise_too(planted, backbone):
    schema, rows = planted
    found = search(schema, rows, SETTINGS.model_copy(update={"backbone": backbone}), 0)
    widths = widths_at(found, 0.3)

    assert widths["noise_many"] == 0
    assert widths["strong"] >= 1


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_labels_that_are_all_the_same_are_refused(make_schema, label):
    rows = EncodedRows({"strong": np.full(10, 2, np.int32)}, {}, np.full(10, label, np.float32))
    with pytest.raises(DataError, match="both classes"):
        search(make_schema(["strong"]), rows, SETTINGS, 0)


def test_rows_without_labels_are_refused(make_schema):
    rows = EncodedRows({"strong": np.full(10, 2, np.int32)})
    with pytest.raises(DataError, match="labelled"):
        search(make_schema(["strong"]), rows, SETTINGS, 0)


def test_a_search_is_written_and_read_and_cut_the_same(searched, tmp_path):
    searched.save(tmp_path / "search.json")
    again = SearchResult.load(tmp_path / "search.json")

    cut = PruneSettings(threshold=0.5)
    assert prune(again, cut) == prune(searched, cut)


def test_a_broken_or_missing_search_is_named(tmp_path):
    (tmp_path / "search.json").write_text("{}")
    with pytest.raises(CorruptArtifactError, match="search again"):
        SearchResult.load(tmp_path / "search.json")
    with pytest.raises(NotFoundError):
        SearchResult.load(tmp_path / "nothing.json")


def test_widths_that_do_not_rise_are_refused():
    with pytest.raises(ValueError, match=r"razor\.widths"):
        RazorSettings(widths=(0, 4, 2))


def test_holding_out_all_rows_is_refused(planted):
    schema, rows = planted
    settings = SETTINGS.model_copy(update={"held_out": 0.9999})

    with pytest.raises(DataError, match=r"razor\.held_out=0\.9999 leaves 0"):
        search(schema, rows.take(np.arange(1_000)), settings, 0)
