"""A catalogue that changes while it is searched: an overlay on an immutable bundle."""
