"""Where an evaluation is written, and what."""

from __future__ import annotations

from pathlib import Path

from training.evaluation.markdown import CURVE_FILE, to_markdown
from training.evaluation.results import Evaluation
from training.plots import plot_curve
from vizsla.files import write_text

__all__ = ["JSON_FILE", "MARKDOWN_FILE", "default_folder", "write_evaluation"]

JSON_FILE = "evaluation.json"
MARKDOWN_FILE = "evaluation.md"


def default_folder(bundle_path: Path) -> Path:
    """Return ``OUT/evaluation/<hash>`` for a bundle at ``OUT/bundles/<hash>``.

    Example:
        >>> default_folder(Path("run/bundles/ab12")).as_posix()
        'run/evaluation/ab12'
    """
    return bundle_path.parent.parent / "evaluation" / bundle_path.name


def write_evaluation(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write the JSON, the Markdown and, where there is a curve, its picture.

    Returns:
        The files, each complete or absent.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / JSON_FILE, folder / MARKDOWN_FILE]
    write_text(written[0], evaluation.model_dump_json(indent=2) + "\n")
    write_text(written[1], to_markdown(evaluation))
    if evaluation.curve:
        written.append(folder / CURVE_FILE)
        plot_curve(evaluation, written[-1])
    return written
