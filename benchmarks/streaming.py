"""One epoch on a CSV file that stays on disk, beside reading it with polars and the bare compiled loop."""

from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.children import child
from benchmarks.memory import resident
from benchmarks.report import Finding

ROWS, COLUMNS, BLOCK = 1_000_000, 20, 50_000
TRAINING, BATCH, HIDDEN, RATE = 0.6, 512, 8, 0.01
RUNS = 5
TIMES, MEGABYTES = 1.5, 600


def streaming() -> list[Finding]:
    """Medians of processes that take turns; imports and a first compilation of something else do not count.

    Native code comes from a warm cache, for both; "auto" reckons whether one epoch is worth compiling for.
    """
    if find_spec("polars") is None or find_spec("llvmlite") is None:
        return [Finding("streaming", "polars or llvmlite is missing", "", None)]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        write_table(path)
        one_round(path)  # fills the cache
        runs = [one_round(path) for _ in range(RUNS)]
    native, auto = (median(run[i]["seconds"] / run[2]["seconds"] for run in runs) for i in range(2))
    ours, read, loop = (
        median(run[i][name] for run in runs) for i, name in ((0, "seconds"), (2, "read"), (2, "loop"))
    )
    peak = max(one["megabytes"] for run in runs for one in run[:2])
    title = f"an epoch of {ROWS:,} x {COLUMNS}, streamed"
    shown = f"{native:.2f} ({ours:.2f} s; polars {read:.2f} s + loop {loop:.2f} s), compile='auto' {auto:.2f}"
    return [
        Finding(f"{title} / polars + loop", shown, f"<= {TIMES}", native <= TIMES),
        Finding(f"{title}, peak memory", f"{peak:.0f} MB", f"<= {MEGABYTES} MB", peak <= MEGABYTES),
    ]


def one_round(path: Path) -> list[Any]:
    """Ours with native steps, ours as it chooses, and what both are compared with."""
    cache = str(path.parent / "cache")
    jobs = ("streamed", "yes"), ("streamed", "auto"), ("bare",)
    return [child(name, str(path), *rest, CHAINRULE_CACHE=cache) for name, *rest in jobs]


def write_table(path: Path) -> None:
    random = np.random.default_rng(0)
    weights = random.normal(size=COLUMNS - 1)
    with path.open("w") as file:
        file.write(",".join(f"x{i}" for i in range(COLUMNS - 1)) + ",y\n")
        for _ in range(ROWS // BLOCK):
            X = random.normal(size=(BLOCK, COLUMNS - 1), scale=2)
            y = X @ weights + random.normal(size=BLOCK)
            np.savetxt(file, np.column_stack([X, y]), fmt="%.5f", delimiter=",")


def measure_streamed(path: str, compiled: str) -> dict[str, float]:
    """Seconds from the path of the file to the end of the epoch, and the peak of the process."""
    from chainrule import data, train

    warm_up()
    start = perf_counter()
    settings = train.Settings(hidden=(HIDDEN,), epochs=1, batch=BATCH, rate=RATE, compile=compiled)
    run = train.TableTraining.streamed(data.table_file(path), "y", settings)
    run.fit()
    seconds = perf_counter() - start
    assert run.history[0].validation_loss < 0.1, "the network has learned nothing"
    return {"seconds": seconds, "megabytes": resident("VmHWM") / 2**20}


def measure_bare(path: str) -> dict[str, float]:
    """Seconds to read the whole file with polars, as a matrix, and of a compiled epoch on as many rows."""
    import polars

    from chainrule import nn, optim
    from chainrule.data import Examples
    from chainrule.train.native import NativeSteps

    warm_up()
    start = perf_counter()
    rows = polars.read_csv(path).to_numpy()[: int(TRAINING * ROWS)]
    middle = perf_counter()
    examples = Examples(rows[:, :-1], rows[:, -1:])
    network = nn.multilayer((COLUMNS - 1, HIDDEN, 1), "tanh", generator=0)
    optimizer = optim.Optimizer(network.parameters(), "adam", rate=RATE)
    steps = NativeSteps(network, examples.window(BATCH), nn.mean_squared_error, optimizer, None)
    steps.losses(BATCH, np.random.default_rng(0))
    end = perf_counter()
    return {"seconds": end - start, "read": middle - start, "loop": end - middle}


def warm_up() -> None:
    """Import what is used, and compile something."""
    import polars

    import chainrule as cr

    polars.read_csv(b"a,b\n1,2\n3,4\n")
    cr.compile(lambda x: x + 1)(np.ones(3))
