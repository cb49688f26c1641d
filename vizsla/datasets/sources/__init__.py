"""One file per named dataset: its origin, its licence, its columns, its parser."""
