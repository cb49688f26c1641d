"""``python -m vizsla``, the same as the console script."""

from vizsla.cli import main

if __name__ == "__main__":
    main()
