"""Which rows can be used, decided for whole columns at once.

Every check is a Polars expression that gives the reason why a row is refused, or
null; the first reason counts.
"""

from __future__ import annotations

import polars as pl

from vizsla.contracts.features import Order

__all__ = [
    "DEFAULT_EVENT_TYPE",
    "FUTURE_SLACK_S",
    "MAX_ID_BYTES",
    "MILLISECONDS_FROM",
    "REASON",
    "SPLIT_NAMES",
    "TIME",
    "event_checks",
    "first_reason",
    "id_checks",
    "id_text",
    "time_kind",
    "time_seconds",
]

REASON = "__reason"
TIME = "__time"
MAX_ID_BYTES = 256
MAX_EVENT_TYPE_BYTES = 64
DEFAULT_EVENT_TYPE = "interaction"
FUTURE_SLACK_S = 86_400.0
MILLISECONDS_FROM = 1e11
"""Unix seconds reach this in the year 5138, milliseconds did in 1973."""

SPLIT_NAMES = ("train", "valid", "validation", "test")
_CONTROL = r"[\x00-\x1f\x7f]"
_ISO = (
    r"^(\d{4}-\d{2}-\d{2})(?:[Tt ]+(\d{2}:\d{2})(:\d{2}(?:\.\d{1,9})?)?)?"
    r"\s*([Zz]|[+-]\d{2}:?\d{2})?$"
)


def first_reason(checks: list[pl.Expr]) -> pl.Expr:
    """Combine checks into one column ``REASON``: the first that is not null, null for a good row."""
    return pl.coalesce([*checks, pl.lit(None, pl.String)]).alias(REASON)


def id_text(column: str, dtype: pl.DataType) -> pl.Expr:
    """Return identifiers as text; whole floats, which pandas makes of integers, without ``.0``."""
    if dtype.is_float():
        whole = pl.col(column).cast(pl.Int64, strict=False)
        return pl.when(whole == pl.col(column)).then(whole.cast(pl.String)).alias(column)
    return pl.col(column).cast(pl.String)


def id_checks(column: str, max_bytes: int = MAX_ID_BYTES) -> list[pl.Expr]:
    """Return the checks of an identifier: there, of sane length, without control characters."""
    value = pl.col(column)
    return [
        _reason(value.is_null(), f"{column} is missing or not UTF-8"),
        _reason(value.str.strip_chars() == "", f"{column} is empty"),
        _reason(value.str.len_bytes() > max_bytes, f"{column} is longer than {max_bytes} bytes"),
        _reason(value.str.contains(_CONTROL), f"{column} holds a control character"),
    ]


def time_seconds(column: str, dtype: pl.DataType) -> pl.Expr:
    """Return a time column as Unix seconds, float64; null where it cannot be read.

    Numbers are taken as they are, times and dates are UTC where they name no zone, and
    text may be a number or ISO 8601 (``2024-05-01``, ``2024-05-01T12:30:00.5+02:00``).
    """
    if dtype in (pl.Datetime, pl.Date):
        return pl.col(column).cast(pl.Datetime("us")).dt.timestamp("us") / 1e6
    if dtype == pl.String:
        text = pl.col(column).str.strip_chars()
        return pl.coalesce(text.cast(pl.Float64, strict=False), _iso_seconds(text))
    return pl.col(column).cast(pl.Float64, strict=False)


def _iso_seconds(text: pl.Expr) -> pl.Expr:
    groups = text.str.extract_groups(_ISO).struct
    zone = groups.field("4").fill_null("Z").str.replace("[Zz]", "+00:00")
    clock = groups.field("2").fill_null("00:00") + groups.field("3").fill_null(":00")
    whole = (
        groups.field("1") + pl.lit("T") + clock + zone.str.replace(r"^(.\d{2})(\d{2})$", "$1:$2")
    )
    parsed = whole.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%:z", time_unit="us", strict=False)
    return parsed.dt.timestamp("us") / 1e6


def time_kind(column: str, dtype: pl.DataType) -> pl.Expr:
    """Say whether a time is written as a number (True) or as ISO 8601 (False); null if as neither."""
    if dtype != pl.String:
        return pl.lit(None, pl.Boolean)
    text = pl.col(column).str.strip_chars()
    number = text.cast(pl.Float64, strict=False).is_not_null()
    return pl.when(number).then(True).when(_iso_seconds(text).is_not_null()).then(False)


def event_checks(columns: list[str], order: Order, now_s: float) -> list[pl.Expr]:
    """Return the checks of an event whose time stands in ``TIME``.

    Args:
        columns: Columns of the file.
        order: With ``time`` the seconds must be believable; otherwise only finite.
        now_s: Unix seconds; later than a day from now is refused.
    """
    checks = [*id_checks("user_id"), *id_checks("item_id")]
    if "event_timestamp" in columns:
        checks += _time_checks(order, now_s)
    if "event_type" in columns:
        checks += id_checks("event_type", MAX_EVENT_TYPE_BYTES)
    if "split" in columns:
        known = pl.col("split").is_in(list(SPLIT_NAMES)).fill_null(value=False)
        checks.append(_reason(~known, f"split is not one of {', '.join(SPLIT_NAMES)}"))
    return checks


def _time_checks(order: Order, now_s: float) -> list[pl.Expr]:
    raw, seconds = pl.col("event_timestamp").cast(pl.String), pl.col(TIME)
    empty = raw.is_null() | (raw.str.strip_chars() == "")
    checks = [
        _reason(empty, "event_timestamp is empty"),
        _reason(seconds.is_null(), "event_timestamp is neither a number nor ISO 8601"),
        _reason(~seconds.is_finite(), "event_timestamp is not finite"),
        _reason(seconds < 0, "event_timestamp is negative"),
    ]
    if order == "time":
        checks += [
            _reason(
                seconds >= MILLISECONDS_FROM,
                "event_timestamp looks like milliseconds; Unix seconds are needed",
            ),
            _reason(seconds > now_s + FUTURE_SLACK_S, "event_timestamp is in the future"),
        ]
    return checks


def _reason(wrong: pl.Expr, text: str) -> pl.Expr:
    return pl.when(wrong).then(pl.lit(text))
