"""Cut schemas from a search: how much of each field is kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, pairwise

from training.razor.result import SearchResult
from training.razor.settings import CutRule, PruneSettings
from vizsla.contracts.ranking import RankingSchema, SearchRecord, region_sizes
from vizsla.errors import UsageError

__all__ = [
    "curve",
    "expected_width",
    "kept_regions",
    "kept_width",
    "last_where",
    "n_parameters",
    "prune",
    "resized",
    "widths_at",
]


def kept_regions(probabilities: Sequence[float], threshold: float) -> list[int]:
    """Return the likeliest regions whose probabilities together first exceed a threshold.

    Equal ones in the order of their columns.  No region but the first one, of no columns, being
    kept means that the field is dropped.

    Example:
        >>> kept_regions([0.1, 0.5, 0.4], 0.6), kept_regions([0.1, 0.5, 0.4], 0.45)
        ([1, 2], [1])
    """
    kept: list[int] = []
    total = 0.0
    for region in sorted(range(len(probabilities)), key=lambda one: -probabilities[one]):
        kept.append(region)
        total += probabilities[region]
        if total > threshold:
            break
    return sorted(kept)


def kept_width(probabilities: Sequence[float], sizes: Sequence[int], threshold: float) -> int:
    """Return the columns of ``kept_regions``."""
    return sum(sizes[region] for region in kept_regions(probabilities, threshold))


def expected_width(probabilities: Sequence[float], sizes: Sequence[int], threshold: float) -> int:
    """Return the expected columns, rounded up; 0 where having none is likelier than a threshold.

    Example:
        >>> expected_width([0.5, 0.2, 0.3], [0, 1, 4], 0.9)
        2
        >>> expected_width([0.95, 0.0, 0.05], [0, 1, 4], 0.9)
        0
    """
    if probabilities[0] > threshold:
        return 0
    expected = sum(one * size for one, size in zip(probabilities, sizes, strict=True))
    return math.ceil(round(expected, 6))


def widths_at(
    result: SearchResult, threshold: float, rule: CutRule = "cumulative"
) -> dict[str, int]:
    """Return the columns that each field keeps.

    Fields that share a table have one width, the largest that one of them asks for: a table can
    be read by a field that needs less of it.  One that asks for nothing is dropped, unless
    another reads its table.
    """
    sizes = region_sizes(result.settings.widths)
    wanted = expected_width if rule == "expected" else kept_width
    asked = {name: wanted(found, sizes, threshold) for name, found in result.probabilities.items()}
    return _agreed(result.schema_full, asked)


def prune(result: SearchResult, settings: PruneSettings | None = None) -> RankingSchema:
    """Return the schema of what is kept.

    Args:
        result: Of a search.
        settings: Where to cut. With a budget, the largest threshold that fits is taken; where
            none does, the least one and the largest ``max_width`` that fits. With a threshold
            too, that one, and the largest width that fits, where any does.

    Raises:
        UsageError: Nothing is left, or nothing fits the budget; says which setting to change.
    """
    settings = settings or PruneSettings()
    if settings.budget is None:
        return _cut(result, settings.threshold, settings.max_width, settings.rule)
    threshold, cap = _within(result, settings)
    return _cut(result, threshold, cap, settings.rule)


def curve(result: SearchResult) -> list[RankingSchema]:
    """Return every different schema that a threshold gives, smallest first."""
    found: dict[int, RankingSchema] = {}
    for threshold in _thresholds(result):
        widths = widths_at(result, threshold)
        if any(widths.values()):
            schema = _cut(result, threshold, None)
            found.setdefault(hash(tuple(widths.items())), schema)
    return list(found.values())


def resized(
    schema: RankingSchema,
    widths: Mapping[str, int],
    search: SearchRecord,
    probabilities: Mapping[str, tuple[float, ...]] | None = None,
) -> RankingSchema:
    """Return a schema with other widths and the record of how they were found."""
    fields = tuple(
        field.model_copy(
            update={
                "dim": widths[field.spec.name],
                "probabilities": (probabilities or {}).get(field.spec.name, ()),
            }
        )
        for field in schema.fields
    )
    return RankingSchema.model_validate(
        schema.model_copy(update={"fields": fields, "search": search}).model_dump()
    )


def _agreed(schema: RankingSchema, asked: Mapping[str, int]) -> dict[str, int]:
    widths = dict(asked)
    for field in schema.fields:
        if field.spec.shares and asked[field.spec.name]:
            owner = field.spec.shares
            widths[owner] = max(widths[owner], asked[field.spec.name])
    for field in schema.fields:
        if field.spec.shares and asked[field.spec.name]:
            widths[field.spec.name] = widths[field.spec.shares]
    return widths


def _cut(
    result: SearchResult, threshold: float, max_width: int | None, rule: CutRule = "cumulative"
) -> RankingSchema:
    widths = _capped(widths_at(result, threshold, rule), max_width)
    if not any(widths.values()):
        raise UsageError(
            f"no field is left at razor.threshold={threshold:g}: raise it, or give razor.budget"
        )
    settings = result.settings.model_dump(mode="json")
    record = SearchRecord(
        method="razor",
        settings=settings | {"threshold": threshold, "max_width": max_width, "rule": rule},
        seed=result.seed,
        parent=result.schema_full.schema_id,
    )
    return resized(result.schema_full, widths, record, result.probabilities)


def _within(result: SearchResult, settings: PruneSettings) -> tuple[float, int | None]:
    """Return the threshold and the largest width that fit a budget."""
    budget, widest = settings.budget, settings.max_width or result.settings.widths[-1]
    assert budget is not None

    def size(threshold: float, cap: int) -> int:
        widths = _capped(widths_at(result, threshold, settings.rule), cap)
        return n_parameters(result.schema_full, widths)

    def cap_at(threshold: float) -> int:
        """Return the largest width that fits, 0 where none does."""
        return last_where(widest, lambda cap: size(threshold, cap + 1) <= budget) + 1

    if settings.threshold_given and size(settings.threshold, 1):
        cap = cap_at(settings.threshold)
        if cap:
            return settings.threshold, cap
    thresholds = [one for one in _thresholds(result, settings.rule) if size(one, 1)]
    if not thresholds:
        raise UsageError("no field is left at any razor.threshold: search with a smaller penalty")
    place = last_where(len(thresholds), lambda i: size(thresholds[i], widest) <= budget)
    if place >= 0:
        return thresholds[place], settings.max_width
    cap = cap_at(thresholds[0])
    if not cap:
        least = size(thresholds[0], 1)
        raise UsageError(f"razor.budget={budget} is too small: {least} is the least possible")
    return thresholds[0], cap


def _thresholds(result: SearchResult, rule: CutRule = "cumulative") -> list[float]:
    """Return one threshold from every interval within which nothing changes, rising."""
    steps = {0.0}
    for found in result.probabilities.values():
        if rule == "expected":
            steps.add(found[0])
        else:
            steps.update(accumulate(sorted(found, reverse=True)))
    edges = sorted(step for step in steps if step < 1)
    return [(low + high) / 2 for low, high in pairwise([*edges, 1.0])]


def _capped(widths: Mapping[str, int], max_width: int | None) -> dict[str, int]:
    return {name: min(width, max_width or width) for name, width in widths.items()}


def n_parameters(schema: RankingSchema, widths: Mapping[str, int]) -> int:
    """Return the entries of all tables at given widths."""
    return sum(
        field.n_codes * widths.get(field.spec.name, 0)
        for field in schema.fields
        if not field.spec.shares
    )


def last_where(n: int, holds: Callable[[int], bool]) -> int:
    """Return the last place below ``n`` where something holds that holds up to some place; or -1.

    Example:
        >>> last_where(10, lambda i: i * i <= 30)
        5
    """
    low, high = -1, n
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
