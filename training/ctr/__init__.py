"""Training of CTR models on encoded rows, and what is measured on them."""
