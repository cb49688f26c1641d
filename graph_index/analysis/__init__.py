"""Looks at graphs, for people: figures and pictures; nothing here is on the way of a search."""
