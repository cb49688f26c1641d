"""A bundle's ranker, opened: values from requests and items in, probabilities out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.adapters.exploring import explore as explore_candidates
from serving.adapters.ranker_fields import unmeasured
from serving.core.ranking import Candidate, Exploration, Profile, Ranked
from vizsla.blas import one_blas_thread
from vizsla.bundles import Bundle
from vizsla.bundles.attach import item_tables, number_in
from vizsla.bundles.ranker import ExportedRanker
from vizsla.clock import Clock, SystemClock
from vizsla.contracts.api import BundleInfo
from vizsla.contracts.fields import FieldSpec
from vizsla.contracts.rank_api import RankerInfo, RankerResponse
from vizsla.errors import (
    DeadlineError,
    FieldProblem,
    IncompatibleArtifactError,
    InvalidRequestError,
)
from vizsla.fields import EncodedRows, FieldEncoders
from vizsla.models.ranker.calibration import Calibration, sigmoid
from vizsla.models.ranker.runtime import ItemStore, RankerRuntime
from vizsla.models.ranker.sides import ItemSide, UserSide, item_fields, user_fields
from vizsla.models.ranker.uncertainty import Uncertainty
from vizsla.models.ranker.value import ecpm
from vizsla.vocabulary import UNKNOWN

__all__ = ["GOLDEN_TOLERANCES", "ServedRanker", "open_ranker"]

GOLDEN_TOLERANCES = {"float32": 1e-4, "bfloat16": 0.01, "int8": 0.01}
"""What a golden probability may be off, by how the tables are stored."""

WARM_UP = 500

USER_ID, ITEM_ID, HISTORY = "user_id", "item_id", "history"
"""Fields that requests have a place of their own for."""


class ServedRanker:
    """``serving.core.protocols.Ranker`` over an exported ranker and a bundle's items.

    Args:
        bundle: With its ranker.
        ranker: The same, opened.
        clock: Measures what is left of a deadline.
    """

    def __init__(self, bundle: Bundle, ranker: ExportedRanker, clock: Clock) -> None:
        entry, manifest = bundle.manifest.ranker, ranker.manifest
        assert entry is not None
        self._bundle, self._columns, self._clock = bundle, entry.columns, clock
        schema = ranker.schema
        self._manifest = manifest
        unsure = ranker.uncertainty()
        item_field = None if unsure is None else unsure.item_field
        self._importance = ranker.importance() or unmeasured(schema)
        self._runtime = RankerRuntime(
            schema, manifest.model.name, manifest.model.config, ranker.weights(), item_field
        )
        self._uncertainty = (
            None
            if unsure is None
            else Uncertainty.stored(
                schema, unsure.item_field, unsure.arrays, self._runtime.n_hidden
            )
        )
        self._user_specs = {one.spec.name: one.spec for one in user_fields(schema)}
        self._item_specs = {one.spec.name: one.spec for one in item_fields(schema)}
        self._dropped = {one.spec.name for one in schema.fields if not one.kept}
        self._user_encoders = ranker.encoders.keep(self._user_specs)
        self._item_encoders = ranker.encoders.keep(self._item_specs)
        tables = item_tables(bundle, schema, entry.columns)
        self._store: ItemStore = self._runtime.store(
            map(self._item_encoders.encode, tables), entry.dtype
        )
        self._calibration = Calibration.stored(
            manifest.calibration, manifest.dataset.negative_ratio
        )
        self._changed: dict[str, Mapping[str, Any]] = {}
        self._info = RankerInfo(
            content_hash=entry.content_hash,
            model=entry.model,
            frame=entry.frame,
            calibrated=manifest.calibration is not None,
            explores=self._uncertainty is not None,
        )

    @property
    def info(self) -> RankerInfo:
        """What answers say they were ranked with."""
        return self._info

    @property
    def n_bytes(self) -> int:
        """Bytes of embedding tables and of the items' side."""
        return self._runtime.tables.n_bytes + self._store.n_bytes

    def described(self, bundle: BundleInfo) -> RankerResponse:
        """Return all that is known of it."""
        manifest = self._manifest
        return RankerResponse(
            bundle=bundle,
            ranker=self._info,
            schema_id=manifest.ranking_schema.schema_id,
            model_settings=manifest.model.config,
            dtype=self._store.dtype,
            n_bytes=self.n_bytes,
            calibration=manifest.calibration,
            figures=manifest.metrics,
            importance=self._importance,
        )

    def check(self, context: Mapping[str, Any]) -> None:
        """Refuse values of a wrong type."""
        self._user(Profile(context=context))

    def rank(
        self,
        profile: Profile,
        candidates: Sequence[Candidate],
        remaining_s: float,
        explore: Exploration | None = None,
    ) -> Ranked:
        """Score the candidates, the user's side once."""
        deadline_s = self._clock.monotonic_s() + remaining_s
        user, items = self._user(profile), self._items(candidates)
        if self._clock.monotonic_s() >= deadline_s:
            raise DeadlineError("no time is left to score the candidates")
        scored = self._runtime.score(user, items)
        scores = self._calibration.logits(scored.logits)
        unknown, dropped = self._unread(profile, candidates)
        ranked = Ranked(scores, sigmoid(scores), unknown, dropped)
        if explore is None or self._uncertainty is None:
            return ranked
        ids = [one.item_id for one in candidates]
        found = explore_candidates(self._uncertainty, scores, scored, items, ids, explore)
        return replace(ranked, explored=found)

    def values(self, pctr: NDArray[np.float64], bids: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the eCPM of each candidate."""
        return ecpm(pctr, bids)

    def note_changes(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Encode these items anew whenever they are ranked."""
        self._changed.update(rows)

    def replay(self, rows: Iterable[tuple[Mapping[str, Any], float]], dtype: str) -> None:
        """Score golden rows, uncalibrated as they are.

        Raises:
            IncompatibleArtifactError: A probability is off by more than ``GOLDEN_TOLERANCES``.
        """
        for line, (row, expected) in enumerate(rows, start=1):
            user = self._runtime.user(self._user_encoders.encode_records([row]))
            items = self._runtime.items(self._item_encoders.encode_records([row]))
            found = float(sigmoid(self._runtime.logits(user, items))[0])
            if not abs(found - expected) <= GOLDEN_TOLERANCES[dtype]:
                raise IncompatibleArtifactError(
                    f"{self._bundle.path / 'ranker' / 'golden.jsonl'}: line {line}: the ranker gives "
                    f"{found:.6f}, not {expected:.6f}; weights and encoders do not belong together"
                )

    def _user(self, profile: Profile) -> UserSide:
        record: dict[str, Any] = {}
        for name, spec in self._user_specs.items():
            if name in profile.context:
                record[name] = _sent(spec, profile.context[name])
            elif name in profile.sent:
                record[name] = _sent(spec, profile.sent[name])
            else:
                record[name] = _stored(spec, profile.stored.get(name))
        if profile.user_id is not None and USER_ID in record:
            record[USER_ID] = profile.user_id
        if profile.history and HISTORY in record:
            record[HISTORY] = list(profile.history)
        places = dict.fromkeys(profile.context, "/context")
        return self._runtime.user(
            _encoded(
                self._user_encoders, [record], lambda _, name: places.get(name, "/user_features")
            )
        )

    def _items(self, candidates: Sequence[Candidate]) -> ItemSide:
        ids = [one.item_id for one in candidates]
        nums = self._bundle.vocabulary.nums(ids)
        special = [
            place
            for place, one in enumerate(candidates)
            if nums[place] == UNKNOWN or one.fields or one.item_id in self._changed
        ]
        side = self._store.take(np.maximum(nums, 0))
        if not special:
            return side
        records = [self._record(candidates[place], int(nums[place])) for place in special]
        found = self._runtime.items(
            _encoded(self._item_encoders, records, lambda row, _: f"/items/{special[row]}/fields")
        )
        return side.replaced(special, found)

    def _record(self, candidate: Candidate, num: int) -> dict[str, Any]:
        """Return an item's fields: as sent, else as changed, else the bundle's."""
        changed = self._changed.get(candidate.item_id)
        record: dict[str, Any] = {}
        for name, spec in self._item_specs.items():
            column = self._columns[name]
            if name in candidate.fields:
                record[name] = _sent(spec, candidate.fields[name])
            elif column == ITEM_ID:
                record[name] = candidate.item_id
            elif changed is not None:
                record[name] = _stored(spec, changed.get(column))
            elif num != UNKNOWN:
                record[name] = _stored(spec, self._bundle.items.column(column)[num].as_py())
        return record

    def _unread(
        self, profile: Profile, candidates: Sequence[Candidate]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the names of fields that were sent for nothing: unknown ones, dropped ones."""
        sent = {*profile.sent, *profile.context} - self._user_specs.keys()
        for one in candidates:
            if one.fields:
                sent |= one.fields.keys() - self._item_specs.keys()
        return tuple(sorted(sent - self._dropped)), tuple(sorted(sent & self._dropped))


def open_ranker(bundle: Bundle, clock: Clock | None = None) -> ServedRanker | None:
    """Open a bundle's ranker and replay its golden rows; None where it has none.

    Raises:
        ArtifactError: It is damaged, or does not answer as it did when it was trained.
    """
    exported, entry = bundle.ranker(), bundle.manifest.ranker
    if exported is None or entry is None:
        return None
    one_blas_thread()
    ranker = ServedRanker(bundle, exported, clock or SystemClock())
    ranker.replay(((row.rows, row.probability) for row in exported.golden()), entry.dtype)
    first = [Candidate(item_id) for item_id in bundle.vocabulary.ids()[:WARM_UP]]
    ranker.rank(Profile(), first, np.inf)  # the first call of a process is slow; users pay none
    return ranker


def _encoded(
    encoders: FieldEncoders, records: list[dict[str, Any]], place: Callable[[int, str], str]
) -> EncodedRows:
    """Encode; a wrong type is named by its place in the request."""
    try:
        return encoders.encode_records(records)
    except InvalidRequestError as error:
        problems = []
        for one in error.problems:
            _, row, name = one.pointer.split("/", 2)
            problems.append(FieldProblem(f"{place(int(row), name)}/{name}", one.detail))
        first = problems[0]
        raise InvalidRequestError(f"{first.pointer}: {first.detail}", tuple(problems)) from None


def _sent(spec: FieldSpec, value: Any) -> Any:
    """Read a number from its text or bucket; anything else is for the encoder to judge."""
    if spec.kind == "numeric" and isinstance(value, str):
        number = number_in(value)
        return value if number is None else number
    return value


def _stored(spec: FieldSpec, value: Any) -> Any:
    """Make a stored value fit, or count it as missing: the caller cannot mend it."""
    if spec.kind == "numeric":
        number = number_in(value) if isinstance(value, str) else value
        return number if isinstance(number, int | float) else None
    if spec.is_list:
        return value if isinstance(value, list) or value is None else [str(value)]
    return value if value is None or isinstance(value, str | int | float) else str(value)
