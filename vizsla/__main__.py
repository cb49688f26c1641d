"""``python -m vizsla``, the same as the console script."""

from vizsla.cli import main

main()
