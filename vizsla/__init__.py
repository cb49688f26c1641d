"""Vizsla's kernel: contracts, errors, settings, bundles and models that every other folder builds on."""

__version__ = "0.1.0"
__all__ = ["__version__"]
