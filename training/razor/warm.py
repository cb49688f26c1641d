"""Start a pruned ranker from the columns that its search has trained."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from training.razor.search import Searched
from vizsla.contracts.ranking import RankerField, RankingSchema
from vizsla.models.ranker.embeddings import places_of

__all__ = ["warm_weights"]


@torch.no_grad()
def warm_weights(searched: Searched, schema: RankingSchema) -> dict[str, Tensor]:
    """Return tables of a pruned ranker, as a search left their columns.

    Columns are taken as the supernet's layers saw them, normalised and faded, likeliest regions
    first where a table has another width than its field asked for.  Layers are not taken: they
    were fitted to all columns.

    Args:
        searched: The search.
        schema: Cut from it.

    Returns:
        Weights by name, for ``train_ranker``.
    """
    places = places_of(schema)
    owners = [field for field in schema.kept if not field.spec.shares]
    parts: dict[int, list[Tensor]] = {}
    for field in owners:
        width, _ = places[field.spec.name]
        vectors = _seen(searched, field.spec.name)[searched.embeddings.rows(field)]
        columns = _columns(searched, field.spec.name, width)
        parts.setdefault(width, []).append(vectors[:, columns])
    first = torch.cat([_first_order(searched, field) for field in owners])
    tables = {f"embeddings.tables.{width}.weight": torch.cat(one) for width, one in parts.items()}
    return tables | {"embeddings.first.weight": first}


def _first_order(searched: Searched, field: RankerField) -> Tensor:
    """Return ``(n_codes, 1)`` first-order weights, faded as the search has."""
    embeddings = searched.embeddings
    weights = embeddings.table.weight[embeddings.rows(field), -1:]
    kept = 1 - searched.result.probabilities[field.spec.name][0]
    return weights * kept if searched.result.settings.gate_first_order else weights


def _seen(searched: Searched, name: str) -> Tensor:
    """Return the table as the layers saw it for one field."""
    embeddings = searched.embeddings
    place, width = embeddings.names.index(name), embeddings.masks.shape[1]
    mask = embeddings.probabilities()[place] @ embeddings.masks
    norm = embeddings.normalise
    if searched.result.settings.batch_norm == "off":
        return embeddings.table.weight[:, :-1] * mask
    assert norm.running_mean is not None
    assert norm.running_var is not None
    own = (
        slice(None)
        if len(norm.running_mean) == width
        else slice(place * width, (place + 1) * width)
    )
    centred = embeddings.table.weight[:, :-1] - norm.running_mean[own]
    normal: Tensor = centred / (norm.running_var[own] + norm.eps).sqrt()
    return normal * mask


def _columns(searched: Searched, name: str, width: int) -> list[int]:
    """Return the best ``width`` columns of a field, by their region's probability, rising."""
    found = searched.result.probabilities[name]
    ends = searched.result.settings.widths
    weights = {
        column: found[region]
        for region, (start, end) in enumerate(pairwise(ends), start=1)
        for column in range(start, end)
    }
    best = sorted(weights, key=lambda column: (-weights[column], column))[:width]
    return sorted(best)
