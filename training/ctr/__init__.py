"""Training of CTR models on encoded rows."""
