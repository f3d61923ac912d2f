"""Benchmarks of the eager engine and its peers: ``python -m benchmarks`` from the project root.

One thread for everybody, decided here because the libraries read these variables once, when they are first
imported, and a package's ``__init__`` runs before any module of it: with two threads and one busy neighbour
NumPy's OpenBLAS slows sevenfold, and then nothing can be compared.
"""

import os

ONE_THREAD = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "NPROC": "1",  # the size of XLA's thread pool
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    "JAX_PLATFORMS": "cpu",
}

os.environ.update(ONE_THREAD)
