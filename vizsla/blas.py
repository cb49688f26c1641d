"""Threads of the library behind NumPy's and Numba's matrix products."""

from __future__ import annotations

__all__ = ["one_blas_thread"]


def one_blas_thread() -> None:
    """Let matrix products of this process run on the calling thread alone, from now on.

    A search multiplies blocks of 192 rows, or a table with one vector: sharing these between threads
    costs more than it brings (a score of 800 items took 29 ms with two threads on a busy machine,
    1.2 ms with one), and requests run side by side anyway.  Torch has threads of its own.
    """
    import scipy.linalg  # noqa: F401 - loads the library that compiled code multiplies with
    from threadpoolctl import threadpool_limits

    threadpool_limits(limits=1, user_api="blas")
