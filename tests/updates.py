"""Programs that change arrays in place, the same for NumPy arrays, our Tensors and PyTorch's.

Each takes a vector of 5 elements and a vector of 4, makes its own arrays of them, and returns arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Program = Callable[[Any, Any], Any]
UPDATES: dict[str, Program] = {}
OVERWRITING: dict[str, Program] = {}
"""Programs that overwrite what the gradient needs: right here, an error in PyTorch."""


def update(program: Program) -> Program:
    UPDATES[program.__name__] = program
    return program


def overwriting(program: Program) -> Program:
    OVERWRITING[program.__name__] = program
    return program


@update
def assign_a_slice(x: Any, v: Any) -> Any:
    z = x * 1.0
    z[1:3] = v[:2]
    return z * z


@update
def assign_a_number(x: Any, v: Any) -> Any:
    z = x * v[0]
    z[1] = 5.0
    z[-1] = v[1]
    return z * z


@update
def assign_everything(x: Any, v: Any) -> Any:
    z = x * 1.0
    z[...] = v[0] * x
    return z * z


@update
def assign_twice(x: Any, v: Any) -> Any:
    z = x * 1.0
    z[1:4] = v[0] * x[:3]
    z[2:] = v[1:] + z[:3]
    return z * x


@update
def assign_with_a_step(x: Any, v: Any) -> Any:
    z = x * 1.0
    z[::2] = v[:3] * x[::2]
    z[1::2] *= v[:2]
    z[::-2] += x[2:]
    return z * z


@update
def every_operator(x: Any, v: Any) -> Any:
    z = x * 1.0
    z += v[0]
    z -= v[1] * x
    z *= v[2]
    z /= v[3]
    z **= 2
    return z


@update
def scale_a_view(x: Any, v: Any) -> Any:
    z = x * 1.0
    y = z[1:3]
    y *= v[:2]
    return z * z, y * y


@update
def a_view_sees_its_base_change(x: Any, v: Any) -> Any:
    z = x * 1.0
    y = z[1:3]
    z *= v[0]
    return y * y


@update
def a_base_changes_before_and_after_its_view(x: Any, v: Any) -> Any:
    z = x * 1.0
    y = z[1:5]
    z *= v[0]
    y += v
    z *= v[1]
    y *= v
    return z * z, y


@update
def two_views_that_overlap(x: Any, v: Any) -> Any:
    z = x * 1.0
    a, b = z[:3], z[1:]
    a *= v[:3]
    b += v
    a -= 2.0 * x[:3]
    return z * z, a * b[0]


@update
def a_view_of_a_view(x: Any, v: Any) -> Any:
    z = x * 1.0
    y = z[1:]
    w = y[1:3]
    w *= v[:2]
    y += v
    w -= v[2:]
    return z * z, y * y, w * w


@update
def a_view_as_a_matrix(x: Any, v: Any) -> Any:
    z = v * 1.0
    m = z.reshape(2, 2)
    m[0] = x[:2]
    m[:, 1] *= x[2:4]
    return z * v, m * m


@update
def a_transposed_view(x: Any, v: Any) -> Any:
    m = (v * 1.0).reshape(2, 2)
    t = m.T
    t[0] = x[:2] + t[1]
    m[1] *= x[3:]
    return m * m, t * t


@update
def a_value_used_before_the_change(x: Any, v: Any) -> Any:
    z = x * 1.0
    before = z[1:4] + 0.0
    total = z.sum()
    z[1:4] = before * before * v[:3]
    return z * total, before * z[0]


@update
def a_recurrence(x: Any, v: Any) -> Any:
    z = x * 1.0
    for i in range(4):
        z[i + 1] = z[i] * v[i] + z[i + 1]
    return z * z


@update
def fibonacci(x: Any, v: Any) -> Any:
    z = x * 0.0
    z[0], z[1] = v[0], v[1]
    for i in range(2, 5):
        z[i] = z[i - 1] + z[i - 2] * v[2]
    return z


@update
def running_totals(x: Any, v: Any) -> Any:
    total = x[0] * 0.0
    for i in range(4):
        total += x[i] * v[i]
    return total * total


@update
def shift(x: Any, v: Any) -> Any:
    z = x * 1.0
    z[1:] = z[:-1] + v
    return z * z


@update
def masks(x: Any, v: Any) -> Any:
    z = x * 1.0
    z[z > 0.5] = v[0]
    z[z < -0.5] *= v[1]
    return z * z


@update
def distinct_indices(x: Any, v: Any) -> Any:
    z = x * 1.0
    z[[3, 0, 4]] = v[:3]
    z[[1, 0]] *= v[2:]
    z[[2, 1]] += v[0]
    return z * z


@update
def rows_and_columns(x: Any, v: Any) -> Any:
    m = x[:, None] * v[None, :]
    m[1] = v
    m[:, 2] = x
    m[2:4, 1:3] *= v[:2]
    m[[0, 3], [1, 2]] = x[:2]
    return m * m


@update
def a_change_under_a_matrix_product(x: Any, v: Any) -> Any:
    m = x[:, None] * v[None, :]
    p = m @ v
    p[1:3] = v[:2]
    p *= x
    return p * p


@update
def a_reduction_of_a_changed_part(x: Any, v: Any) -> Any:
    z = x * 1.0
    part = z[1:3]
    part -= part.mean()
    return z * v[0], (part * part).sum()


@overwriting
def a_factor_is_overwritten(x: Any, v: Any) -> Any:
    z = x * 1.0
    y = z * z
    z[0] = v[0]
    return y


@overwriting
def a_factor_is_overwritten_by_the_product(x: Any, v: Any) -> Any:
    z = x * 1.0
    z[1:] = z[:-1] * v
    return z


@overwriting
def a_result_is_overwritten(x: Any, v: Any) -> Any:
    z = (x * x + 1.0) ** 0.5
    y = 1.0 / z
    w = y * 1.0
    y += v[0]
    return w


@overwriting
def a_view_of_a_factor_is_overwritten(x: Any, v: Any) -> Any:
    z = x * 1.0
    y = z[1:3]
    w = y * v[:2]
    z *= 2.0
    return w


@overwriting
def a_factor_is_overwritten_through_a_view(x: Any, v: Any) -> Any:
    z = x * 1.0
    w = z * v[0]
    y = z[1:3]
    y -= 1.0
    return w


@overwriting
def a_result_is_normalised(x: Any, v: Any) -> Any:
    z = np.exp(x)
    z /= z.sum()
    return np.log(z) * v[0]


@overwriting
def a_buffer_is_filled_from_itself(x: Any, v: Any) -> Any:
    z = x * v[0]
    for i in range(1, 5):
        z[i] = np.tanh(z[i - 1] * z[i])
        z *= z[i]
    return z * z


@overwriting
def one_memory_is_changed_again_and_again(x: Any, v: Any) -> Any:
    z = (x * 1.0).reshape(5, 1) * v
    y = z.T[::-1, 1:4]
    w = np.sin(y) * y
    y *= w
    z[[0, 2]] = np.cos(z[[1, 3]])
    z[2, ...] **= 2
    u = np.exp(z)
    u[3, 1:] += z[1, :-1]
    z += u
    return w * y + (z * u)[1:4, :].T[0:4]
