"""``vizsla bench ranking``: what i-Razor finds, what its rivals find, and what serving it costs."""
