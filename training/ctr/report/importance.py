"""The importance report of a run: ``importance.json``, ``importance.md`` and ``importance.png``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from training.ctr.report.permutation import Shuffled
from training.ctr.report.picture import plot_importance, region_names
from training.evaluation.markdown import table
from vizsla.contracts.importance import Effect, FieldImportance, ImportanceReport
from vizsla.contracts.ranking import RankerField, RankingSchema, region_sizes
from vizsla.files import write_text

__all__ = ["describe", "importance", "to_markdown", "write_importance"]


def write_importance(folder: Path, report: ImportanceReport) -> list[Path]:
    """Write the report into a run's folder.

    Returns:
        The files, each complete or absent.
    """
    files = [folder / f"importance.{suffix}" for suffix in ("json", "md", "png")]
    write_text(files[0], report.model_dump_json(indent=2) + "\n")
    write_text(files[1], to_markdown(report))
    plot_importance(report, files[2])
    return files


def describe(
    schema: RankingSchema,
    shuffled: Shuffled | None = None,
    *,
    n_parameters_before: int | None = None,
) -> ImportanceReport:
    """Put together what is known of every field.

    Args:
        schema: Of the ranker, dropped fields and the probabilities of the search included.
        shuffled: Of its kept fields, where it was measured.
        n_parameters_before: Entries of the tables that were searched.
    """
    return ImportanceReport(
        frame=schema.frame,
        schema_id=schema.schema_id,
        method=schema.search.method,
        regions=_regions(schema),
        n_parameters=schema.n_parameters,
        n_parameters_before=n_parameters_before,
        n_rows=shuffled.n_rows if shuffled else 0,
        n_repeats=shuffled.n_repeats if shuffled else 0,
        auc=shuffled.auc if shuffled else None,
        log_loss=shuffled.log_loss if shuffled else None,
        fields=tuple(importance(schema, shuffled)),
    )


def importance(schema: RankingSchema, shuffled: Shuffled | None = None) -> list[FieldImportance]:
    """Return what is known of every field, the most important first; see ``describe``."""
    regions = _regions(schema)
    return sorted((_field(one, schema, shuffled, regions) for one in schema.fields), key=_order)


def _regions(schema: RankingSchema) -> tuple[int, ...]:
    """Return the columns of each region that was searched; empty where it is not known."""
    widths = schema.search.settings.get("widths", ())
    return region_sizes(widths) if widths else ()


def to_markdown(report: ImportanceReport) -> str:
    """Return the report as a page."""
    kept = sum(one.dim > 0 for one in report.fields)
    lines = [
        f"# Fields of the ranker on {report.frame}",
        "",
        f"- schema `{report.schema_id[:16]}`, found by `{report.method}`",
        f"- {kept} of {len(report.fields)} fields kept, {_parameters(report)}",
    ]
    if report.log_loss is not None:
        lines += [
            f"- {_quality(report)} on {report.n_rows:,} held-out rows; each kept field was "
            f"shuffled {report.n_repeats} times",
            "",
            "Brackets hold 95 % intervals over the shuffles. Fields that say the same as another "
            "look unimportant, since the other is still there.",
        ]
    headings = ["field", "owner", "values", "columns", "share of parameters"]
    headings += ["AUC drop, points", "log loss rise", "why"]
    rows = [_row(one) for one in report.fields]
    return "\n".join(lines) + "\n\n" + table(headings, rows) + "\n"


def _field(
    one: RankerField, schema: RankingSchema, shuffled: Shuffled | None, regions: Sequence[int]
) -> FieldImportance:
    name = one.spec.name
    return FieldImportance.of(
        one,
        schema.n_parameters,
        _reason(one, regions),
        auc_drop=shuffled.auc_drop.get(name) if shuffled else None,
        log_loss_rise=shuffled.log_loss_rise.get(name) if shuffled else None,
    )


def _reason(one: RankerField, regions: Sequence[int]) -> str:
    """Say what the search thought of a field."""
    if not one.probabilities:
        return "kept: not searched" if one.kept else "dropped without a search"
    names = region_names(regions, len(one.probabilities))
    strongest = max(range(len(names)), key=lambda place: one.probabilities[place])
    top = f"{one.probabilities[strongest]:.2f} on {_columns(names[strongest])}"
    if not one.kept:
        return f"dropped: {top}"
    nothing = f", {one.probabilities[0]:.2f} on no column" if strongest else ""
    return f"kept: {top}{nothing}"


def _columns(name: str) -> str:
    if name == "none":
        return "no column"
    if name.startswith("r"):
        return f"region {name[1:]}"
    return f"columns {name}" if "-" in name else f"column {name}"


def _order(one: FieldImportance) -> tuple[bool, float, int, str]:
    rise = one.log_loss_rise.mean if one.log_loss_rise else 0.0
    return one.dim == 0, -rise, -one.dim, one.name


def _parameters(report: ImportanceReport) -> str:
    text = f"{report.n_parameters:,} parameters in tables"
    if not report.n_parameters_before:
        return text
    return f"{text}, {report.n_parameters / report.n_parameters_before:.1%} of those before"


def _quality(report: ImportanceReport) -> str:
    auc = "AUC not defined (one label only)" if report.auc is None else f"AUC {report.auc:.4f}"
    return f"{auc}, log loss {report.log_loss:.4f}"


def _row(one: FieldImportance) -> list[str]:
    return [
        f"`{one.name}`",
        one.owner,
        f"{one.n_codes:,}" + (f", table of `{one.shares}`" if one.shares else ""),
        str(one.dim),
        f"{one.parameter_ratio:.1%}",
        _effect(one.auc_drop, 100, 2),
        _effect(one.log_loss_rise, 1, 4),
        one.reason,
    ]


def _effect(effect: Effect | None, scale: float, digits: int) -> str:
    if effect is None:
        return ""
    mean, low, high = (f"{scale * v:.{digits}f}" for v in (effect.mean, effect.low, effect.high))
    return f"{mean} [{low}, {high}]"
