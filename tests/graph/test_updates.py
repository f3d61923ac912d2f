"""Programs that change arrays in place, derived: their source and the engine agree."""

from typing import Any

import numpy as np
import pytest
from updates import OVERWRITING, UPDATES, Program

import chainrule as cr

CHANGES = UPDATES | OVERWRITING


@pytest.mark.parametrize("program", CHANGES.values(), ids=CHANGES)
@pytest.mark.filterwarnings("ignore::chainrule.errors.IndependentWarning")
def test_the_source_of_a_program_that_changes_arrays(program: Program) -> None:
    x, v = np.array([0.3, -1.2, 0.9, 2.1, -0.7]), np.array([1.3, -0.6, 0.8, 1.7])

    def loss(x: Any, v: Any) -> Any:
        found = program(x, v)
        return sum((part * part).sum() for part in (found if isinstance(found, tuple) else (found,)))

    _, found = cr.derive(loss, x, v, argnums=(0, 1)).function(x, v)
    for one, other in zip(found, cr.grad(loss, (0, 1))(x, v), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
