"""The stages of a request; a stage is one file here and one line in ``STAGES``."""

from vizsla.registry import Registry

__all__ = ["STAGES"]

STAGES = Registry(
    "stage",
    {
        "features": "serving.core.stages.features:Features",
        "retrieve": "serving.core.stages.retrieve:Retrieve",
        "filter": "serving.core.stages.filter:Filter",
        "rank": "serving.core.stages.rank:Rank",
    },
)
