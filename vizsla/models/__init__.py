"""Neural modules and their configurations; no data access and no I/O."""
