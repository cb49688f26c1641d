"""The similarity graph: build it, store it, check it, and walk it under any scorer."""
