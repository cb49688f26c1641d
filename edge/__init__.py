"""Cloud side and device side of the edge tier."""
