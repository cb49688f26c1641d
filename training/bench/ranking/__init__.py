"""``vizsla bench ranking``."""
