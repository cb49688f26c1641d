"""Benches of the CTR ranker."""
