"""Matrix factorisation: the embeddings are the vectors."""

from __future__ import annotations

from torch import Tensor

from vizsla.models.recommender.backbones import Backbone

__all__ = ["MatrixFactorisation"]


class MatrixFactorisation(Backbone):
    """Scores ``x_ui = u . v``.

    References:
        Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback", UAI 2009.
    """

    def tables(self) -> tuple[Tensor, Tensor]:
        """Return the embeddings themselves."""
        return self.users, self.items
