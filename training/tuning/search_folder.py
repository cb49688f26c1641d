"""The folder of a search: what was asked for, and a folder per trial.

::

    search.json    the search; must agree for it to be taken up
    trials/0000/   see ``training.tuning.trial``
    best.toml      recipe of the best trial
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from training.tuning.trial import Search
from vizsla.errors import CorruptArtifactError, UsageError
from vizsla.files import write_text

__all__ = ["open_search"]

SEARCH_FILE = "search.json"


def open_search(out: Path, wanted: Search, *, resume: bool) -> None:
    """Prepare a folder for a search, or check that it holds this very one.

    Args:
        out: The folder; may not exist.
        wanted: The search.  One with more trials takes up one with fewer.
        resume: Going on is wanted.

    Raises:
        UsageError: The folder holds another search, or this one and going on is not wanted.
        CorruptArtifactError: ``search.json`` cannot be read.
    """
    found = _read(out)
    if found is not None:
        other = [
            name
            for name in Search.model_fields
            if name != "n_trials" and getattr(found, name) != getattr(wanted, name)
        ]
        if other or found.n_trials > wanted.n_trials:
            raise UsageError(
                f"{out} holds a different search ({', '.join(other) or 'n_trials'}): "
                "choose another --out"
            )
        if not resume:
            raise UsageError(f"{out} holds this search already: go on with --resume")
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / SEARCH_FILE, wanted.model_dump_json(indent=2) + "\n")


def _read(out: Path) -> Search | None:
    path = out / SEARCH_FILE
    if not path.is_file():
        return None
    try:
        return Search.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise CorruptArtifactError(f"{path} is damaged; choose another --out") from error
