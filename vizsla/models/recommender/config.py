"""Sizes and options of the NANN family, stored in every bundle."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["NannConfig"]

Size = Annotated[int, Field(ge=1)]


class NannConfig(BaseModel):
    """Hyperparameters of ``Nann``; the data decide the first four, the recipe the rest.

    Attributes:
        n_items: Rows of the item table, N.
        item_feature_sizes: Number of values of each single-valued item column.
        item_multi_sizes: Number of values of each multi-valued item column.
        user_feature_sizes: Number of values of each user column.
        ordered: Whether histories have an order.  If so, the context of a target is what
            came before it; if not, it is everything else (leave-one-out).
        item_ids: Whether an item has an embedding of its own beside those of its columns.  False
            for catalogues that no log covers: then all items are placed, seen or not.
        embedding_size: Size D of item and user vectors.
        max_history: Longest context, L; older items are forgotten.
        fixed_items: Item vectors come from a table in the weights instead of the item net, as
            after a catalogue has changed.
        item_hidden: Width of the item net's residual branch; 0 for none.
        context: ``tied`` reads history with the item vectors themselves; ``residual`` adds
            a second, zero-initialised embedding per item that only histories use.
        encoder: ``pool`` (weighted mean) or ``transformer`` (causal, needs an order).
        positions: How the transformer tells places apart.
        n_layers: Transformer blocks.
        n_heads: Attention heads of a block; divides ``embedding_size``.
        dropout: Share of the encoder's activations dropped while training.
        temperature: Start value of the divisor of the two-sided cosine.
        learn_temperature: Whether training moves it.
        attention_size: Size A of attention queries and keys.
        attention_hidden: Width of the query and key nets.
        score_hidden: Widths of the score net's hidden layers.
        deep_scale: Factor of the deep branch's output; only changes how fast it learns.

    Example:
        >>> NannConfig(n_items=10).embedding_size
        64
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    n_items: Size
    item_feature_sizes: tuple[int, ...] = ()
    item_multi_sizes: tuple[int, ...] = ()
    user_feature_sizes: tuple[int, ...] = ()
    ordered: bool = True
    item_ids: bool = True
    embedding_size: Size = 64
    max_history: Size = 50
    fixed_items: bool = False
    item_hidden: int = Field(default=64, ge=0)
    context: Literal["tied", "residual"] = "residual"
    encoder: Literal["pool", "transformer"] = "pool"
    positions: Literal["absolute", "relative"] = "absolute"
    n_layers: Size = 2
    n_heads: Size = 2
    dropout: float = Field(default=0.0, ge=0, lt=1)
    temperature: float = Field(default=0.07, gt=0)
    learn_temperature: bool = False
    attention_size: Size = 64
    attention_hidden: Size = 64
    score_hidden: Annotated[tuple[int, ...], Field(min_length=1)] = (128, 64, 32)
    deep_scale: float = Field(default=1.0, gt=0)

    @model_validator(mode="after")
    def _consistent(self) -> NannConfig:
        if self.encoder == "transformer" and not self.ordered:
            raise ValueError("encoder 'transformer' needs ordered = true: it would see the target")
        if not self.item_ids and not self.item_feature_sizes + self.item_multi_sizes:
            raise ValueError("item_ids = false needs items with columns: all would be the same")
        if self.embedding_size % self.n_heads:
            raise ValueError("n_heads must divide embedding_size")
        return self
