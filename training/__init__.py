"""Offline training: data, samplers, losses, the loop, evaluation and export."""
