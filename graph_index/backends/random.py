"""A control: items drawn without looking at the user, scored."""

from __future__ import annotations

from graph_index.candidates import CandidateSource, FixedOrder
from graph_index.rivals import RescoringRetriever
from vizsla.rng import numpy_generator

__all__ = ["RandomRetriever"]


class RandomRetriever(RescoringRetriever):
    """The first ``proxy_seeds`` items of one seeded permutation, scored.

    Its coverage is the share of items it scores: a search that is not better found nothing.
    """

    def _open_source(self) -> CandidateSource:
        order = numpy_generator(0, "random retriever").permutation(self.n_items)
        return FixedOrder(order)
