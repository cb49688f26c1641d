"""Wide & Deep: a linear part that memorises and a perceptron that generalises."""

from __future__ import annotations

from vizsla.models.ranker.dnn import Dnn

__all__ = ["WideDeep"]


class WideDeep(Dnn):
    """``w . x + MLP(e_1, ..., e_F)`` (arXiv 1606.07792), so the same function as ``dnn``.

    The original's hand-made crosses are fields: declare a column that holds the joined values.
    """
