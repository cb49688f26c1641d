"""Subcommands of `vizsla` that train and evaluate."""
