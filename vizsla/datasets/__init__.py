"""Datasets: named public ones and the customer's own, validated and in one form."""

from vizsla.datasets.base import Dataset, DatasetSource, Tables
from vizsla.datasets.fetching import DATASETS, data_home, fetch, resolve
from vizsla.datasets.importing import ImportRequest, import_files
from vizsla.datasets.schema import ImportSchema, load_schema
from vizsla.datasets.storage import Draft, read, read_manifest, write
from vizsla.datasets.summary import ImportSummary

__all__ = [
    "DATASETS",
    "Dataset",
    "DatasetSource",
    "Draft",
    "ImportRequest",
    "ImportSchema",
    "ImportSummary",
    "Tables",
    "data_home",
    "fetch",
    "import_files",
    "load_schema",
    "read",
    "read_manifest",
    "resolve",
    "write",
]
