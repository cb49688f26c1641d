"""Datasets: named public ones and the customer's own, validated and in one form."""

from vizsla.datasets.base import Dataset, DatasetSource, Tables
from vizsla.datasets.fetching import DATASETS, data_home, fetch, resolve
from vizsla.datasets.storage import Draft, read, read_manifest, write

__all__ = [
    "DATASETS",
    "Dataset",
    "DatasetSource",
    "Draft",
    "Tables",
    "data_home",
    "fetch",
    "read",
    "read_manifest",
    "resolve",
    "write",
]
