"""Every row of the table of cases, derived in both orders and run by a Python that cannot import chainrule."""

import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import Case
from graph.test_derive_cases import ROWS, weighed

import chainrule as cr
from chainrule.errors import IndependentWarning
from chainrule.graph import derive

ALONE = """
import pickle, sys

class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in ("numpy", *sys.stdlib_module_names):
            raise ImportError(f"{name} is not to be imported")

sys.path.append(sys.argv[2])  # where NumPy is
sys.meta_path.insert(0, Nothing())
try:
    import chainrule
except ImportError:
    pass
else:
    raise SystemExit("chainrule can be imported here")
import numpy as np

with open(sys.argv[1], "rb") as file:
    programs = pickle.load(file)
results = {}
with np.errstate(all="ignore"):
    for name, (source, function, arrays, constants) in programs.items():
        scope = {}
        exec(source, scope)
        results[name] = scope[function](*arrays, **constants)
with open(sys.argv[1], "wb") as file:
    pickle.dump(results, file)
"""


def run_alone(folder: Path, programs: dict[str, Any]) -> dict[str, Any]:
    """What the sources give in a process that has NumPy, and in which nothing else can be imported."""
    path = folder / "programs.pickle"
    path.write_bytes(pickle.dumps(programs))
    where = str(Path(np.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", ALONE, path, where], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    results: dict[str, Any] = pickle.loads(path.read_bytes())
    return results


def program_of(derivation: cr.Derivation, arrays: list[Any]) -> tuple[str, str, list[Any], dict[str, Any]]:
    return derivation.source, derivation.function.__name__, arrays, derivation.constants


def all_equal(found: Any, expected: Any) -> bool:
    """Whether arrays are equal, relative to the largest element of what is expected."""
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    scale = max(1.0, float(np.max(np.abs(expected[np.isfinite(expected)]), initial=0)))
    return found.shape == expected.shape and np.allclose(
        found, expected, rtol=0, atol=1e-12 * scale, equal_nan=True
    )


def first_order(case: Case) -> tuple[Any, list[Any], tuple[Any, ...]]:
    arrays = [np.asarray(a, float) for a in case.drawn()]
    argnums = tuple(range(len(arrays)))

    def f(*args: Any) -> Any:
        return weighed(case(*args))

    value, gradient = cr.value_and_grad(f, argnums)(*arrays)
    return derive(f, *arrays, argnums=argnums), arrays, (value, *gradient)


def second_order(case: Case) -> tuple[Any, list[Any], tuple[Any, ...]]:
    arrays = [np.asarray(a, float) for a in case.drawn()]
    argnums = tuple(range(len(arrays)))

    def f(*args: Any) -> Any:
        return weighed(case(*args))

    value, gradient = cr.value_and_grad(f, argnums)(*arrays)
    directions = [np.sin(1 + np.arange(a.size)).reshape(a.shape) for a in arrays]
    alone = len(arrays) == 1 and arrays[0].shape == ()
    products = cr.hvp(f, tuple(arrays), tuple(np.ones(()) if alone else d for d in directions))
    many = products if isinstance(products, tuple) else (products,)
    derivation = derive(f, *arrays, argnums=argnums, order=2)
    return derivation, [*arrays, *([] if alone else directions)], (value, *gradient, *many)


@pytest.mark.parametrize("derived", [first_order, second_order])
def test_derived_sources_run_without_chainrule(derived: Any, tmp_path: Path) -> None:
    programs, expected = {}, {}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", IndependentWarning)
        for number, case in enumerate(ROWS):
            derivation, arrays, wanted = derived(case)
            name = f"{number} {case!r}"
            programs[name], expected[name] = program_of(derivation, arrays), wanted
    results = run_alone(tmp_path, programs)
    assert results.keys() == expected.keys()
    for name, wanted in expected.items():
        value, *rest = results[name]
        found = [value, *(g for part in rest for g in (part if isinstance(part, tuple) else (part,)))]
        assert len(found) == len(wanted), name
        for a, b in zip(found, wanted, strict=True):
            assert all_equal(a, b), f"{name}:\n{programs[name][0]}\n{a}\n{b}"


def test_the_process_refuses_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="chainrule is not to be imported"):
        run_alone(tmp_path, {"wrong": ("import chainrule", "f", [], {})})
