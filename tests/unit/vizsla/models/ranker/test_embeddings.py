"""Packed tables: every field reads its own rows, whatever the widths beside it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vizsla.contracts.fields import FieldSpec
from vizsla.contracts.ranking import RankerField, RankingSchema
from vizsla.fields import EncodedRows, Ragged
from vizsla.models.ranker import FieldEmbeddings, Ranker, to_inputs
from vizsla.models.ranker.dnn import Dnn, DnnConfig


def made(name, n_codes, dim, **spec):
    return RankerField(spec=FieldSpec(name=name, **spec), n_codes=n_codes, dim=dim)


SCHEMA = RankingSchema(
    frame="toy",
    frame_hash="f",
    vocabulary_hash="v",
    fields=(
        made("user", 5, 4, owner="user"),
        made("item", 7, 2, owner="item"),
        made("noise", 9, 0),
        made("hour", 3, 2),
        made("seen", 7, 2, owner="user", kind="sequence", shares="item"),
    ),
)
ROWS = EncodedRows(
    {name: np.array(codes, np.int32) for name, codes in (("user", [4, 0, 1]), ("item", [6, 2, 0]))}
    | {"noise": np.array([8, 8, 8], np.int32), "hour": np.array([2, 1, 0], np.int32)},
    {"seen": Ragged(np.array([3, 5, 3], np.int32), np.array([0, 2, 2, 3]))},
)


def tables():
    embeddings = FieldEmbeddings(SCHEMA)
    embeddings.reset_parameters(torch.Generator().manual_seed(0))
    torch.nn.init.normal_(embeddings.first.weight, generator=torch.Generator().manual_seed(1))
    return embeddings


def test_figures_of_a_schema_count_what_is_kept():
    """5 x 4 + 7 x 2 + 3 x 2; the list shares the items' table and the noise has none."""
    assert SCHEMA.n_parameters == 5 * 4 + 7 * 2 + 3 * 2
    assert SCHEMA.input_width == 4 + 2 + 2 + 2
    assert [field.spec.name for field in SCHEMA.kept] == ["user", "item", "hour", "seen"]


def test_every_field_reads_its_own_rows():
    """``item`` and ``hour`` have one width: hours lie below the 7 items in that table."""
    embeddings = tables()
    found = embeddings(to_inputs(SCHEMA, ROWS))
    two = embeddings.tables["2"].weight

    assert list(found.vectors) == ["user", "item", "hour", "seen"]
    assert torch.equal(found.vectors["user"], embeddings.tables["4"].weight[[4, 0, 1]])
    assert torch.equal(found.vectors["item"], two[[6, 2, 0]])
    assert torch.equal(found.vectors["hour"], two[[7 + 2, 7 + 1, 7 + 0]])
    assert torch.allclose(found.vectors["seen"][0], (two[3] + two[5]) / 2)
    assert found.vectors["seen"][1].tolist() == [0, 0]


def test_first_order_weights_are_summed_and_lists_averaged():
    """One weight per code, in the order user, item, hour."""
    embeddings = tables()
    linear = embeddings(to_inputs(SCHEMA, ROWS)).linear
    first = embeddings.first.weight[:, 0]
    expected = first[4] + first[5 + 6] + first[5 + 7 + 2] + (first[5 + 3] + first[5 + 5]) / 2

    assert linear[0].item() == pytest.approx(expected.item())


def test_a_ranker_of_unequal_widths_answers_and_learns():
    """All tables get gradients."""
    ranker = Ranker(SCHEMA, Dnn(SCHEMA, DnnConfig(hidden=(8,))))
    ranker.reset_parameters(torch.Generator().manual_seed(0))
    logits = ranker(to_inputs(SCHEMA, ROWS))
    logits.sum().backward()

    assert logits.shape == (3,)
    assert all(p.grad is not None for p in ranker.parameters())


def test_a_schema_refuses_a_shared_table_of_another_width():
    """The message names both fields."""
    with pytest.raises(ValueError, match="seen: 4 columns, but it shares the table of item"):
        RankingSchema(
            frame="toy",
            frame_hash="f",
            vocabulary_hash="v",
            fields=(made("item", 7, 2), made("seen", 7, 4, kind="sequence", shares="item")),
        )
