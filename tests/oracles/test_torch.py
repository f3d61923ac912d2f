"""PyTorch as an oracle: values, gradients and second derivatives of every row that it has, to 1e-10."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from cases import CASES, POINTS, At, Case
from derivatives import assert_equal, derivatives_of
from oracles.torch_names import TORCH, as_torch, torch_derivatives
from updates import OVERWRITING, UPDATES, Program

from chainrule import ops

# Rows that PyTorch has not, or differently; each with the reason.
NUMPYS = "NumPy's functions take no Tensor of PyTorch that needs a gradient"
NEGATIVE_STEP = "has no negative steps"
LAST_WRITE = "gives a cotangent to every write to an element, though only the last one counts"
NOT_IN_TORCH = {
    **{
        f"getitem-{key}": NEGATIVE_STEP
        for key in ("5-key=slice(None,None,-2)", "5-key=slice(4,0,-3)", "3x4-key=([0,0],slice(None,None,-1))")
    },
    "getitem-2x3x4-key=(0,slice(None,None,None),array([1,1,0]))": "counts an integer as no advanced index",
    **{
        f"index_update-{key}": LAST_WRITE
        for key in (
            "4,3-key=([2,0,2])",
            "4,()-key=([2,0,2])",
            "3x4,2x3-key=(array([[0],[2]]),array([1,1,0]))",
        )
    },
    "clip-3": "refuses to clamp without a bound",
    "pad-3x4-((1,2),(0,3))-mode='symmetric'": "has no such padding",
    "qr-3x5": "differentiates Q of a wide matrix only in mode 'complete'",
}


# how it is compared --------------------------------------------------------------------------------------


COMPARED = [
    c
    for c in CASES
    if c.differentiable and c.draws and c.name in TORCH and c.call is None and repr(c) not in NOT_IN_TORCH
]


@pytest.mark.parametrize("case", COMPARED, ids=repr)
def test_derivatives_are_those_of_pytorch(case: Case) -> None:
    theirs = TORCH[case.name]
    arguments, parameters = as_torch(case.arguments), {k: as_torch(v) for k, v in case.parameters.items()}

    def function(*inputs: Any) -> Any:
        return theirs(*case.filled(inputs, arguments), **parameters)

    arrays = case.drawn()
    # PyTorch's trigamma is right to 5e-10; ours is compared with mpmath, to 5e-15, in test_special.
    tolerance = 1e-9 if case.name in ("lgamma", "digamma", "polygamma") else 1e-10
    assert_equal(derivatives_of(case, arrays), torch_derivatives(function, arrays), tolerance)


def test_at_least_a_hundred_functions_are_compared() -> None:
    assert len({c.name for c in COMPARED}) >= 100


# decompositions: of their vectors, what does not depend on the signs -------------------------------------

DECOMPOSITIONS: dict[str, tuple[tuple[int, ...], Callable[[Any, Any], Any]]] = {
    "cholesky": ((3, 3), lambda la, x: la.cholesky(definite(x))),
    "cholesky of a batch": ((2, 3, 3), lambda la, x: la.cholesky(definite(x))),
    "eigh": ((3, 3), lambda la, x: [a * a for a in la.eigh(definite(x))]),
    "eigh, projectors": ((4, 4), lambda la, x: projector(la.eigh(definite(x))[1])),
    "eigvalsh": ((2, 3, 3), lambda la, x: la.eigvalsh(definite(x))),
    **{f"svd of {shape}": (shape, lambda la, x: rank_two(*la.svd(x, full_matrices=False)))
       for shape in ((3, 3), (4, 3), (3, 4), (2, 3, 2))},
    "svd, full": ((3, 3), lambda la, x: rank_two(*la.svd(x))),
    "svd, values": ((4, 3), lambda la, x: la.svd(x, full_matrices=False)[1]),
}  # fmt: skip


def definite(x: Any) -> Any:
    return (
        x @ x.mT + 0.5 * np.eye(x.shape[-1])
        if not isinstance(x, torch.Tensor)
        else x @ x.mT + 0.5 * torch.eye(x.shape[-1])
    )


def projector(v: Any) -> Any:
    return v[..., :2] @ v[..., :2].mT


def rank_two(u: Any, s: Any, vh: Any) -> Any:
    return (u[..., :2] * s[..., None, :2]) @ vh[..., :2, :]


@pytest.mark.parametrize(("shape", "function"), DECOMPOSITIONS.values(), ids=DECOMPOSITIONS)
def test_decompositions_are_those_of_pytorch(
    shape: tuple[int, ...], function: Callable[[Any, Any], Any]
) -> None:
    x = np.random.default_rng(1).normal(size=shape)
    ours = derivatives_of(lambda v: function(ops, v), [x])
    assert_equal(ours, torch_derivatives(lambda v: function(torch.linalg, v), [x]), 1e-8)


# particular points ---------------------------------------------------------------------------------------

# Where we differ, and why.
NAN = "PyTorch gives NaN"
OWN_CONVENTION = {
    "logaddexp([-inf,-inf],[-inf,0.0])": NAN,
    "logaddexp2([2000.0,-inf],[-2000.0,-inf])": NAN,
    "logsumexp([-inf,-inf],)": NAN,
    "hypot(0.0,0.0)": NAN + "; 0 is among the subgradients, as for the other norms",
    "max([nan,1.0],)": NAN,
    "fmax([2.0,nan],[2.0,1.0])": "of a tie PyTorch gives all to the first; we share, as in maximum",
    "fmin([2.0,1.0],[2.0,nan])": "as fmax",
    "maximum([nan,1.0],[1.0,nan])": "of a NaN, PyTorch gives all to both sides",
    "minimum([nan,1.0],[1.0,nan])": "as maximum",
    "fmod([-1.0],[0.1])": "PyTorch divides: 1 / 0.1 rounds to 10, but 0.1 is contained in 1 only 9 times",
    "sinc([0.0,1e-09],)": "near 0, PyTorch has 0",
    "det([[1.0,2.0],[2.0,4.0]],)": "of a singular matrix, PyTorch has 0; these are the cofactors",
    "index_update([1.0,2.0,3.0],[5.0,6.0,7.0])": LAST_WRITE,
}


@pytest.mark.parametrize(
    "point", [p for p in POINTS if p.name in TORCH and repr(p) not in OWN_CONVENTION], ids=repr
)
def test_particular_points_are_those_of_pytorch(point: At) -> None:
    values = [
        np.asarray(a, dtype=float if g is not None else None)
        for a, g in zip(point.arguments, point.gives, strict=True)
    ]
    inputs = [torch.tensor(v, requires_grad=g is not None) for v, g in zip(values, point.gives, strict=True)]
    out = TORCH[point.name](*inputs, **{k: as_torch(v) for k, v in point.parameters.items()})
    out.sum().backward()
    for x, g in zip(inputs, point.gives, strict=True):
        if g is not None:
            np.testing.assert_allclose(
                np.asarray(0.0 if x.grad is None else x.grad), g, rtol=1e-10, atol=1e-12
            )


# changes in place ----------------------------------------------------------------------------------------

X, V = np.array([0.3, -1.2, 0.9, 2.1, -0.7]), np.array([1.3, -0.6, 0.8, 1.7])
ELEMENT_IS_A_VIEW = (
    "PyTorch keeps a view of x[i], and refuses to use it after a change of x; in NumPy it is a number"
)
NOT_THERE = {
    "a_recurrence": ELEMENT_IS_A_VIEW, "fibonacci": ELEMENT_IS_A_VIEW, "assign_with_a_step": NEGATIVE_STEP,
    "a_result_is_overwritten": "PyTorch has no division of a number, and so keeps another array",
    "a_result_is_normalised": NUMPYS, "a_buffer_is_filled_from_itself": NUMPYS,
    "one_memory_is_changed_again_and_again": NEGATIVE_STEP,
}  # fmt: skip


def known_there(programs: dict[str, Program]) -> Any:
    names = [n for n in programs if n not in NOT_THERE]
    return pytest.mark.parametrize("program", [programs[n] for n in names], ids=names)


@known_there(UPDATES)
def test_changes_in_place_are_those_of_pytorch(program: Program) -> None:
    assert_equal(derivatives_of(program, [X, V]), torch_derivatives(program, [X, V]))


@known_there(OVERWRITING)
def test_pytorch_refuses_the_same_changes(program: Program) -> None:
    inputs = [torch.tensor(a, requires_grad=True) for a in (X, V)]
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        program(*inputs).sum().backward()
