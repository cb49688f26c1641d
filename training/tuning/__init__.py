"""Searching for recipe settings on validation; who runs the trials is ``training.distributed.tune``."""
