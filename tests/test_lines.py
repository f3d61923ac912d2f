"""Lines in messages are those of the user's program."""

from __future__ import annotations

import numpy as np

import chainrule as cr


def test_a_node_names_the_users_line_however_the_operation_was_reached() -> None:
    x = cr.Tensor(np.ones(3), requires_grad=True)
    by_operator = x * 2
    by_function = cr.ops.exp(x)
    by_numpy = np.tanh(x)
    by_method = x.sum()
    by_composition = cr.ops.median(x)
    for value, name in [
        (by_operator, "by_operator = x * 2"),
        (by_function, "by_function = cr.ops.exp(x)"),
        (by_numpy, "by_numpy = np.tanh(x)"),
        (by_method, "by_method = x.sum()"),
        (by_composition, "by_composition = cr.ops.median(x)"),
    ]:
        assert value._node.line.endswith(name)
        assert "test_lines.py" in value._node.line
