"""Where the app runs on Ray Serve; one file per deployment, no decisions."""

from vizsla.registry import Registry

__all__ = ["DEPLOYMENTS"]

DEPLOYMENTS = Registry(
    "deployment",
    {
        "ingress": "serving.deployments.ingress:build_deployment",
        "shard": "serving.deployments.shard:build_deployment",
    },
)
