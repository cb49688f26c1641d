"""Benches: figures with their targets, the commands that make them, and the form they share."""
