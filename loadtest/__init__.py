"""Load scenarios that speak the public API only."""
