"""Where the negatives of a training step come from: one file per sampler, one line here."""

from __future__ import annotations

from vizsla.registry import Registry

__all__ = ["SAMPLERS"]

SAMPLERS = Registry(
    "sampler",
    {
        "uniform": "training.samplers.uniform:UniformSampler",
        "popularity": "training.samplers.popularity:PopularitySampler",
        "in-batch": "training.samplers.in_batch:InBatchSampler",
        "softmax": "training.samplers.softmax:SoftmaxSampler",
        "aobpr": "training.samplers.aobpr:AdaptiveOversampler",
        "dns": "training.samplers.dns:DynamicSampler",
        "ahns": "training.samplers.ahns:AdaptiveHardnessSampler",
        "srns": "training.samplers.srns:SimplifiedRobustSampler",
        "bns": "training.samplers.bns:BayesianSampler",
    },
)
