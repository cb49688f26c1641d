"""Reads datasets with Ray Data and plainly, as a script for a network namespace.

``python ray_reading.py OUT.json DATASET_DIR...``; ``test_ray_reading.py`` judges what it writes.
"""

import json
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np

from training.data import EncodedFeatures, EvalCases, Ragged
from training.distributed.cluster import LOCAL, ray_cluster
from training.distributed.reading import interactions, split_of
from training.splits import default_spec, load_split
from vizsla.datasets import read_manifest
from vizsla.vocabulary import Vocabulary


def main(out, *folders):
    found = {}
    with ray_cluster(LOCAL, 1):
        for folder in map(Path, folders):
            spec = default_spec(read_manifest(folder))
            rows = interactions(folder)
            streamed = split_of(folder, spec, rows.iterator())
            differing = list(differences(streamed, load_split(folder, spec)))
            found[folder.name] = {"columns": rows.columns(), "differing": differing}
    Path(out).write_text(json.dumps(found))


def differences(one, other, name="split"):
    """Names of the fields that are not equal."""
    if isinstance(other, np.ndarray):
        if one.dtype != other.dtype or not np.array_equal(one, other):
            yield name
    elif isinstance(other, Ragged | EvalCases | EncodedFeatures) or name == "split":
        for field in fields(other):
            pair = getattr(one, field.name), getattr(other, field.name)
            yield from differences(*pair, f"{name}.{field.name}")
    elif isinstance(other, tuple):
        for place, pair in enumerate(zip(one, other, strict=True)):
            yield from differences(*pair, f"{name}[{place}]")
    elif isinstance(other, Vocabulary):
        if one.ids() != other.ids():
            yield name
    elif one != other:
        yield name


if __name__ == "__main__":
    main(*sys.argv[1:])
