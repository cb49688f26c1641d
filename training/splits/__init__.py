"""A dataset cut into training sequences and evaluation queries."""

from training.splits.loading import load_split, split
from training.splits.spec import SplitSpec, default_spec

__all__ = ["SplitSpec", "default_spec", "load_split", "split"]
