"""Training of CTR rankers, and what is measured on them."""
