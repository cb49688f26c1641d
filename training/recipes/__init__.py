"""Recipes: named sets of training settings."""
