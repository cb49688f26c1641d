"""One module per seam between folders; standard library, NumPy and Pydantic only."""
