"""The importance report: shuffles find what a model reads, and the report says what was found."""

import numpy as np
import pytest

from training.ctr.report import describe, shuffle_fields, write_importance
from vizsla.contracts.fields import FieldSpec
from vizsla.contracts.importance import ImportanceReport
from vizsla.contracts.ranking import RankerField, RankingSchema, SearchRecord
from vizsla.errors import ContractError
from vizsla.fields import EncodedRows, Ragged
from vizsla.models.ranker.calibration import sigmoid

WIDTHS = (0, 1, 2, 4, 8)


def rows(n=4_000, labels=None):
    """Labels that hang on ``strong`` much, on ``tags`` a little, and not on ``noise``."""
    generator = np.random.default_rng(0)
    single = {name: generator.integers(2, 6, n).astype(np.int32) for name in ("strong", "noise")}
    lengths = generator.integers(0, 4, n)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    tags = Ragged(generator.integers(2, 9, offsets[-1]).astype(np.int32), offsets)
    truth = EncodedRows(single, {"tags": tags})
    drawn = (generator.random(n) < model(truth)).astype(np.float32)
    return EncodedRows(single, {"tags": tags}, drawn if labels is None else labels(n))


def model(batch):
    """The true probabilities."""
    return sigmoid(1.5 * (batch.single["strong"] - 4.0) + 0.4 * batch.lists["tags"].lengths)


def schema(widths=WIDTHS):
    def field(name, dim, probabilities, **extra):
        return RankerField(
            spec=FieldSpec(name=name, **extra), n_codes=9, dim=dim, probabilities=probabilities
        )

    return RankingSchema(
        frame="planted",
        frame_hash="f",
        vocabulary_hash="v",
        fields=(
            field("noise", 0, (0.97, 0.01, 0.01, 0.01, 0.0), owner="item"),
            field("tags", 1, (0.1, 0.7, 0.1, 0.05, 0.05), kind="multi_valued", owner="item"),
            field("strong", 8, (0.02, 0.03, 0.05, 0.2, 0.7), owner="user"),
        ),
        search=SearchRecord(method="razor", settings={"widths": widths}),
    )


def test_shuffles_find_what_the_model_reads():
    """The strong field costs most, the list something, and what is not read exactly nothing."""
    found = shuffle_fields(model, rows(), ["noise", "strong", "tags"])
    rise = found.log_loss_rise

    assert rise["strong"].low > rise["tags"].high > rise["tags"].low > 0
    assert (rise["noise"].mean, rise["noise"].low, rise["noise"].high) == (0, 0, 0)
    assert found.auc_drop["strong"].mean > 0.1 > found.auc_drop["tags"].mean


def test_a_fields_effect_does_not_depend_on_the_order_of_fields():
    first = shuffle_fields(model, rows(), ["strong", "tags"]).log_loss_rise
    second = shuffle_fields(model, rows(), ["tags", "strong"]).log_loss_rise

    assert first == second


def test_many_rows_are_sampled():
    assert shuffle_fields(model, rows(), ["tags"], max_rows=100).n_rows == 100


def test_one_label_has_losses_but_no_auc():
    found = shuffle_fields(model, rows(labels=lambda n: np.zeros(n, np.float32)), ["strong"])

    assert found.auc is None
    assert found.auc_drop == {"strong": None}
    assert found.log_loss > 0


def test_rows_without_labels_are_refused():
    blind = EncodedRows({"strong": np.zeros(3, np.int32)})

    with pytest.raises(ContractError, match="labelled rows"):
        shuffle_fields(model, blind, ["strong"])


def test_the_report_lists_all_fields_the_most_important_first():
    report = describe(
        schema(),
        shuffle_fields(model, rows(), ["strong", "tags"]),
        n_parameters_before=216,
    )

    assert [one.name for one in report.fields] == ["strong", "tags", "noise"]
    assert [one.reason for one in report.fields] == [
        "kept: 0.70 on columns 5-8, 0.02 on no column",
        "kept: 0.70 on column 1, 0.10 on no column",
        "dropped: 0.97 on no column",
    ]
    assert sum(one.parameter_ratio for one in report.fields) == pytest.approx(1)


@pytest.mark.parametrize("widths", [WIDTHS, ()])
@pytest.mark.parametrize("measured", [True, False])
def test_the_files_are_written_and_read_again(tmp_path, widths, measured):
    """With and without a search's widths, with and without shuffles."""
    shuffled = shuffle_fields(model, rows(200), ["strong", "tags"]) if measured else None
    report = describe(schema(widths), shuffled)
    json, page, picture = write_importance(tmp_path, report)

    assert ImportanceReport.model_validate_json(json.read_text()) == report
    assert page.read_text().count("\n| `") == 3
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_schema_that_was_never_searched_has_a_report(tmp_path):
    """Uniform widths: no probabilities, no shuffles, a hundred fields."""
    fields = tuple(
        RankerField(spec=FieldSpec(name=f"f{n}"), n_codes=2, dim=n % 3) for n in range(100)
    )
    plain = RankingSchema(frame="x", frame_hash="f", vocabulary_hash="v", fields=fields)
    write_importance(tmp_path, describe(plain))

    assert "kept: not searched" in (tmp_path / "importance.md").read_text()
