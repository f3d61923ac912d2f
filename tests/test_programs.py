"""Random programs against central differences and the complex step."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import example, given, note, settings
from random_programs import DRAWN, INPUTS, OPERATIONS, decoded, described, run

import chainrule as cr

EVERY = [(i, i, 2 * i, 3 * i + 1) for i in range(40)]


@given(DRAWN)
@example(EVERY)
@settings(max_examples=150)
def test_gradients_of_random_programs_are_those_of_differences(drawn: Any) -> None:
    program = decoded(drawn)
    note(described(program))
    assert cr.check_grads(lambda *x: run(program, x), tuple(INPUTS)).arrays == len(INPUTS)


@given(DRAWN)
@settings(max_examples=30)
def test_second_derivatives_of_random_programs_are_those_of_differences(drawn: Any) -> None:
    program = decoded(drawn)
    note(described(program))
    assert cr.check_grads(
        lambda *x: run(program, x), tuple(INPUTS), order=2, tolerance=1e-4
    ).arrays == 2 * len(INPUTS)


@given(DRAWN)
@settings(max_examples=100)
def test_gradients_of_smooth_programs_are_those_of_the_complex_step(drawn: Any) -> None:
    program = decoded(drawn, smooth=True)
    note(described(program))
    gradients = cr.grad(lambda *x: run(program, x), tuple(range(len(INPUTS))))(*INPUTS)
    for which, gradient in enumerate(gradients):
        expected = complex_step(program, which)
        np.testing.assert_allclose(
            gradient, expected, rtol=1e-9, atol=1e-9 * max(1.0, np.abs(expected).max())
        )


def complex_step(program: Any, which: int) -> Any:
    gradient = np.zeros(INPUTS[which].shape)
    for index in np.ndindex(gradient.shape):
        moved = [x.astype(complex) for x in INPUTS]
        moved[which][index] += 1e-30j
        gradient[index] = run(program, moved).imag * 1e30
    return gradient


def test_every_operation_is_drawn() -> None:
    rng = np.random.default_rng(0)
    programs = [decoded(rng.integers(0, 2**16, (40, 4)).tolist()) for _ in range(60)]
    assert {step.name for program in programs for step in program} == OPERATIONS.keys()
    assert {len(program) for program in programs} == {40}
