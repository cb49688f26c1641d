"""The loops of a search that array operations do badly: mark and compact, merge, walk by dot.

``reference`` says what each function does, in NumPy; ``compiled`` does the same with Numba
and is what runs.  Tests compare the two.
"""
