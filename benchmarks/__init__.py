"""Benchmarks of the eager engine and its peers: ``python -m benchmarks`` from the project root.

One thread for everybody, decided here because the libraries read these variables once, when they are first
imported, and a package's ``__init__`` runs before any module of it: with two threads and one busy neighbour
NumPy's OpenBLAS slows sevenfold, and then nothing can be compared.
"""

import os

THREADS = int(os.environ.get("BENCHMARK_THREADS", "1"))
"""One, but for the children that measure two."""

SETTINGS = {
    "OPENBLAS_NUM_THREADS": str(THREADS),
    "OMP_NUM_THREADS": str(THREADS),
    "MKL_NUM_THREADS": str(THREADS),
    "NUMEXPR_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "NPROC": str(THREADS),  # the size of XLA's thread pool
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    "JAX_PLATFORMS": "cpu",
}

os.environ.update(SETTINGS)
