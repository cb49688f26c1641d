"""The walk, its rivals and its controls under one scorer: coverage against cost."""
