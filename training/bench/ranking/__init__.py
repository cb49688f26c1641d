"""Comparisons of rankers: which fields and widths, found how, are worth what."""
