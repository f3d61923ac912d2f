"""Every step of an account again, from the numbers of the steps before it."""

from typing import Any

import numpy as np

from chainrule.graph.emit import helpers
from chainrule.walkthrough import Walkthrough


def replay(walkthrough: Walkthrough) -> None:
    """Compute each step with nothing but NumPy, what is given, and the values of earlier steps."""
    scope: dict[str, Any] = {"np": np, **walkthrough.given}
    text = "\n".join(step.formula for step in walkthrough.steps)
    imports, parts = helpers.written(helpers.used_in(text))
    exec("\n".join([*imports, *parts]), scope)
    names = set(walkthrough.given)
    for number, step in enumerate(walkthrough.steps, 1):
        assert step.number == number
        assert set(step.inputs) <= names
        for name, value in step.inputs.items():
            assert value is scope[name] or np.array_equal(value, scope[name], equal_nan=True)
        assert "chainrule" not in step.formula
        with np.errstate(all="ignore"):
            found = eval(step.formula, dict(scope))
        results = list(step.values.values())
        for value, again in zip(results, found if isinstance(step.value, tuple) else [found], strict=True):
            assert np.shape(again) == value.shape
            scale = np.max(np.abs(value), initial=1e-300, where=np.isfinite(value)) if value.size else 1
            eps = 1e-5 if value.dtype == np.float32 else 1e-12
            np.testing.assert_allclose(again, value, rtol=eps, atol=eps * float(scale))
        assert not names & set(step.values), "a name stands for one number only"
        names |= set(step.values)
        scope |= step.values
