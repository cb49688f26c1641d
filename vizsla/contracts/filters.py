"""Seam 5': which items a request may be answered with, as a typed language.

A filter is a condition on one attribute of an item, or a group of filters::

    {"attribute": "country", "any_of": ["DE", "AT"]}      a value is one of these
    {"attribute": "price", "gte": 5, "lt": 20}            all bounds hold
    {"any": [{...}, {...}]}                               at least one of them; also all, none

An item without a value fails every condition on it but ``none_of`` and ``exists: false``.
The size of a request's filters is bounded, so that none can cost without bound.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from enum import StrEnum
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from vizsla.errors import FieldProblem

__all__ = [
    "MAX_FILTERS",
    "MAX_FILTER_DEPTH",
    "MAX_FILTER_VALUES",
    "AttributeKind",
    "Filter",
    "Filters",
    "filter_problems",
]

MAX_FILTERS = 100
"""Filters of one query, those inside groups counted."""

MAX_FILTER_DEPTH = 8
"""Groups within groups."""

MAX_FILTER_VALUES = 10_000
"""Values of one query's filters together."""

MAX_VALUE_LENGTH = 256
_LARGEST = 2.0**63


class AttributeKind(StrEnum):
    """What an attribute of items holds; ``text`` is one text or several."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"


def _value(value: object) -> str | int | float | bool:
    if isinstance(value, str) and len(value) <= MAX_VALUE_LENGTH:
        return value
    if isinstance(value, str):
        raise PydanticCustomError("too_long", f"must have at most {MAX_VALUE_LENGTH} characters")
    return value if isinstance(value, bool) else _number(value, "a text, a number, true or false")


def _number(value: object, wanted: str = "a number") -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PydanticCustomError("filter_value", "must be {wanted}", {"wanted": wanted})
    if not math.isfinite(value) or abs(value) >= _LARGEST:
        raise PydanticCustomError("filter_value", "must be a number below 2^63")
    return value


# plain validators: a union would name each of its members in the place of an error
Value = Annotated[
    str | int | float | bool,
    PlainValidator(_value),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "maxLength": MAX_VALUE_LENGTH},
                {"type": "number"},
                {"type": "boolean"},
            ]
        }
    ),
]
Number = Annotated[int | float, PlainValidator(_number), WithJsonSchema({"type": "number"})]
Values = Annotated[tuple[Value, ...], Field(max_length=MAX_FILTER_VALUES)]
Group = Annotated[tuple["Filter", ...], Field(max_length=MAX_FILTERS)]

_GROUPS = ("all", "any", "none")
_LISTS = ("any_of", "all_of", "none_of")
_BOUNDS = ("gt", "gte", "lt", "lte")
_OPERATORS = ("equals", *_LISTS, *_BOUNDS, "exists")

_OPERATORS_OF: Mapping[AttributeKind, tuple[str, ...]] = {
    AttributeKind.TEXT: ("equals", *_LISTS, "exists"),
    AttributeKind.NUMBER: ("equals", "any_of", "none_of", *_BOUNDS, "exists"),
    AttributeKind.BOOLEAN: ("equals", "any_of", "none_of", "exists"),
}
_NAMED: Mapping[AttributeKind, str] = {
    AttributeKind.TEXT: "text",
    AttributeKind.NUMBER: "numbers",
    AttributeKind.BOOLEAN: "true or false",
}


class Filter(BaseModel):
    """A condition on one attribute (several operators: all must hold), or one group of filters."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        json_schema_extra={
            "examples": [
                {"attribute": "country", "any_of": ["DE", "AT"]},
                {"attribute": "price", "gte": 5, "lt": 20},
                {"none": [{"attribute": "active", "equals": False}]},
            ]
        },
    )

    all: Group | None = Field(default=None, description="Every one of these holds.")
    any: Group | None = Field(default=None, description="At least one of these holds.")
    none: Group | None = Field(default=None, description="Not one of these holds.")
    attribute: (
        Annotated[str, StringConstraints(min_length=1, max_length=MAX_VALUE_LENGTH)] | None
    ) = Field(
        default=None, description="A column of the items; `item_id` for allow and block lists."
    )
    equals: Value | None = Field(
        default=None, description="Is this value; of several texts, one is."
    )
    any_of: Values | None = Field(default=None, description="Has at least one of these values.")
    all_of: Values | None = Field(default=None, description="Has every one of these texts.")
    none_of: Values | None = Field(default=None, description="Has none of these values.")
    gt: Number | None = Field(default=None, description="Is above this number.")
    gte: Number | None = Field(default=None, description="Is this number or above.")
    lt: Number | None = Field(default=None, description="Is below this number.")
    lte: Number | None = Field(default=None, description="Is this number or below.")
    exists: bool | None = Field(default=None, description="Has a value at all, or has none.")

    @property
    def group(self) -> tuple[str, tuple[Filter, ...]] | None:
        """The group's name and members, or None for a condition."""
        given = ((name, getattr(self, name)) for name in _GROUPS)
        return next(((name, members) for name, members in given if members is not None), None)

    @property
    def operators(self) -> tuple[str, ...]:
        """Names of the operators that were given."""
        return self._given(_OPERATORS)

    def values_of(self, operator: str) -> tuple[str | int | float | bool, ...]:
        """Return the values of an operator, one or several."""
        value = getattr(self, operator)
        return value if isinstance(value, tuple) else (value,)

    def _given(self, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(name for name in names if getattr(self, name) is not None)

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        groups, condition = self._given(_GROUPS), self._given(("attribute", *_OPERATORS))
        if len(groups) > 1 or (groups and condition):
            _refuse("give one group or one attribute", [*groups, *condition])
        if groups and not getattr(self, groups[0]):
            _refuse("a group needs at least one filter", [*groups])
        if not groups and self.attribute is None:
            _refuse("give an attribute, or one of all, any and none", ["attribute"])
        if self.attribute is not None and not self.operators:
            _refuse(f"say what it must be with one of {', '.join(_OPERATORS)}", ["attribute"])
        return self


def _refuse(detail: str, fields: list[str]) -> None:
    raise PydanticCustomError("fields_together", "{detail}", {"detail": detail, "fields": fields})


def _bounded(filters: tuple[Filter, ...]) -> tuple[Filter, ...]:
    sizes = [_size(one, 1) for one in filters]
    depth = max((size[0] for size in sizes), default=0)
    n_filters, n_values = sum(size[1] for size in sizes), sum(size[2] for size in sizes)
    for what, value, most in (
        ("groups within groups", depth - 1, MAX_FILTER_DEPTH),
        ("filters", n_filters, MAX_FILTERS),
        ("values", n_values, MAX_FILTER_VALUES),
    ):
        if value > most:
            raise PydanticCustomError("filter_size", f"{value} {what}, at most {most} are taken")
    return filters


def _size(one: Filter, depth: int) -> tuple[int, int, int]:
    """Return depth, filters and values."""
    if one.group is None:
        return depth, 1, sum(len(one.values_of(name)) for name in one.operators)
    inner = [_size(member, depth + 1) for member in one.group[1]]
    depths, filters, values = zip(*inner, strict=True)
    return max(depths), 1 + sum(filters), sum(values)


Filters = Annotated[
    tuple[Filter, ...],
    Field(
        max_length=MAX_FILTERS,
        description="Only items for which every one of these holds are in the answer.",
    ),
    AfterValidator(_bounded),
]


def filter_problems(
    filters: Sequence[Filter], kinds: Mapping[str, AttributeKind], place: str = "/filters"
) -> Iterator[FieldProblem]:
    """Compare filters with the attributes that there are.

    Args:
        filters: Parsed filters.
        kinds: Attribute to what it holds.
        place: JSON pointer of ``filters``.

    Yields:
        Every unknown attribute, and every operator or value that does not fit its attribute.

    Example:
        >>> wrong = Filter.model_validate({"attribute": "prize", "gte": 5})
        >>> [problem.detail for problem in filter_problems([wrong], {"price": AttributeKind.NUMBER})]
        ["no such attribute; did you mean 'price'?"]
    """
    for row, one in enumerate(filters):
        if one.group is not None:
            name, members = one.group
            yield from filter_problems(members, kinds, f"{place}/{row}/{name}")
        else:
            yield from _condition_problems(one, kinds, f"{place}/{row}")


def _condition_problems(
    one: Filter, kinds: Mapping[str, AttributeKind], place: str
) -> Iterator[FieldProblem]:
    name = one.attribute or ""
    if name not in kinds:
        yield FieldProblem(f"{place}/attribute", f"no such attribute; {_suggestion(name, kinds)}")
        return
    kind = kinds[name]
    for operator in one.operators:
        fitting = _OPERATORS_OF[kind]
        if operator not in fitting:
            detail = f"{name!r} holds {_NAMED[kind]}: use one of {', '.join(fitting)}"
            yield FieldProblem(f"{place}/{operator}", detail)
        elif operator != "exists" and not all(_fits(v, kind) for v in one.values_of(operator)):
            yield FieldProblem(f"{place}/{operator}", f"{name!r} holds {_NAMED[kind]}")


def _suggestion(name: str, kinds: Mapping[str, AttributeKind]) -> str:
    near = get_close_matches(name, kinds, 1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(kinds))[:500]}"


def _fits(value: object, kind: AttributeKind) -> bool:
    if kind is AttributeKind.TEXT:
        return isinstance(value, str)
    if kind is AttributeKind.BOOLEAN:
        return isinstance(value, bool)
    return isinstance(value, int | float) and not isinstance(value, bool)
