"""Matching models of the main path: two-sided, NANN and their ablations."""
