"""The reverse sweep: order, accumulation, hooks, second sweeps, anomalies, and long chains."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors
from chainrule.backward import Node


def leaf(*values: float) -> cr.Tensor:
    return cr.Tensor(np.array(values), requires_grad=True)


def gradient(x: cr.Tensor) -> list[float]:
    assert x.grad is not None
    return x.grad.tolist()  # type: ignore[no-any-return]


def test_paths_that_meet_are_added() -> None:
    x = leaf(3.0)
    y = x * x
    ((y + x) * y).sum().backward()
    assert gradient(x) == [4 * 27 + 3 * 9]


def test_a_diamond_visits_each_node_once() -> None:
    x = leaf(1.0)
    calls = []
    counted = cr.primitive("counted(x)", forward=lambda x: x * 1.0, x=lambda g: calls.append(1) or g)
    y = counted(x)
    for _ in range(20):
        y = y + y
    y.sum().backward()
    assert gradient(x) == [2.0**20] and len(calls) == 1


def test_a_non_scalar_needs_a_cotangent() -> None:
    y = leaf(1.0, 2.0) * 2
    with pytest.raises(errors.BackwardError, match=r"shape \(2,\) needs a cotangent"):
        y.backward()
    with pytest.raises(errors.ShapeError, match=r"g has shape \(3,\)"):
        y.backward(np.ones(3))


def test_backward_without_history_says_why() -> None:
    with pytest.raises(errors.BackwardError, match="requires_grad=True"):
        cr.Tensor(1.0).backward()
    with cr.no_grad(), pytest.raises(errors.BackwardError, match="no_grad"):
        (leaf(1.0) * 2).sum().backward()


def test_a_second_sweep_through_a_freed_graph_names_operation_and_line() -> None:
    x = leaf(1.0)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(
        errors.FreedGraphError, match=r"(?s)multiply.*test_backward\.py, line \d+: y = \(x \* x\)"
    ):
        y.backward()


def test_a_retained_graph_gives_the_same_again() -> None:
    x = leaf(3.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert gradient(x) == [12.0]


def test_create_graph_gives_differentiable_gradients() -> None:
    x = leaf(2.0)
    (x**3).sum().backward(create_graph=True)
    first = x.grad
    assert first is not None and first.requires_grad
    x.grad = None
    first.sum().backward()
    assert gradient(x) == [12.0]


def test_hooks_see_and_replace_gradients_until_removed() -> None:
    x, seen = leaf(1.0, 2.0), []
    remove = x.register_hook(lambda g: seen.append(g.tolist()))
    y = x * 3
    y.register_hook(lambda g: g * 10)
    y.sum().backward()
    assert seen == [[30.0, 30.0]] and gradient(x) == [30.0, 30.0]
    remove()
    (x * 1).sum().backward()
    assert len(seen) == 1


def test_a_hook_must_keep_the_shape() -> None:
    x = leaf(1.0, 2.0)
    x.register_hook(lambda g: g.sum())
    with pytest.raises(errors.ShapeError, match="hook"):
        (x * 1).sum().backward()


def test_a_hook_works_on_a_recorded_sweep() -> None:
    x = leaf(2.0)
    y = x * 1.0
    y.register_hook(lambda g: g * 2)
    (y * y).sum().backward(create_graph=True)
    assert x.grad is not None and x.grad.tolist() == [8.0] and x.grad.requires_grad


def test_anomaly_in_the_forward_pass_names_operation_operands_and_line() -> None:
    x = leaf(1.0, 0.0)
    with (
        np.errstate(divide="ignore"),
        cr.detect_anomaly(),
        pytest.raises(
            errors.AnomalyError,
            match=r"(?s)log\(x\) gave -inf at \[1\].*float64 of shape \(2,\).*test_backward",
        ),
    ):
        cr.ops.log(x)


def test_anomaly_in_the_sweep_names_the_cotangent() -> None:
    x = leaf(0.0)
    with np.errstate(divide="ignore"), cr.detect_anomaly():
        y = cr.ops.sqrt(x)
        with pytest.raises(
            errors.AnomalyError, match=r"(?s)cotangent of 'x' in sqrt\(x\) is inf at \[0\].*y = cr"
        ):
            y.sum().backward()


def test_without_detection_nan_passes() -> None:
    x = leaf(0.0)
    with np.errstate(divide="ignore"):
        cr.ops.sqrt(x).sum().backward()
    assert gradient(x) == [np.inf]


def test_a_long_chain_neither_recurses_nor_leaves_anything_behind() -> None:
    gc.collect()
    gc.disable()
    try:
        x = cr.Tensor(1.0, requires_grad=True)
        y = x
        for _ in range(100_000):
            y = y * 1.0
        middle = weakref.ref(y._node.parents[0])
        y.backward()
        assert float(x.grad) == 1.0
        del y
        assert middle() is None
    finally:
        gc.enable()


def test_a_long_chain_is_freed_without_a_sweep() -> None:
    x = cr.Tensor(1.0, requires_grad=True)
    y = x
    for _ in range(200_000):
        y = y * 1.0
    first = weakref.ref(y._node)
    del y
    assert first() is None


def test_several_outputs_collect_their_cotangents() -> None:
    a = np.array([[2.0, 0.5], [0.5, 1.0]])
    x = cr.Tensor(a, requires_grad=True)
    values, vectors = cr.ops.eigh(x)
    (values.sum() + (vectors * vectors).sum()).backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.data, np.eye(2), atol=1e-12)


def test_grad_mode_belongs_to_its_thread() -> None:
    found = []
    with cr.no_grad():
        thread = threading.Thread(target=lambda: found.append((leaf(1.0) * 2).requires_grad))
        thread.start()
        thread.join()
        found.append((leaf(1.0) * 2).requires_grad)
    assert found == [True, False]


def test_no_grad_and_enable_grad_are_decorators_too() -> None:
    x = leaf(1.0)

    @cr.no_grad()
    def without() -> cr.Tensor:
        return x * 2

    assert not without().requires_grad
    with cr.no_grad(), cr.enable_grad():
        assert (x * 2).requires_grad


def test_a_rule_with_a_wrong_shape_is_refused() -> None:
    wrong = cr.primitive("row_sums(x)", forward=lambda x: x.sum(1), x=lambda g: g)
    x = cr.Tensor(np.ones((2, 3)), requires_grad=True)
    with pytest.raises(errors.RuleError, match=r"row_sums\(x\) returned a cotangent of shape \(2,\)"):
        wrong(x).sum().backward()


def test_a_rule_that_forgets_to_sum_is_refused_too() -> None:
    wrong = cr.primitive(
        "scaled_rows(x, y)", forward=lambda x, y: x * y, x=lambda g, y: g * y, y=lambda g, x: g * x
    )
    x, y = cr.Tensor(np.ones((2, 3)), requires_grad=True), cr.Tensor(np.ones(3), requires_grad=True)
    with pytest.raises(errors.RuleError, match=r"shape \(2, 3\) for an input of shape \(3,\)"):
        wrong(x, y).sum().backward()


def test_a_leaf_is_a_node_without_a_plan() -> None:
    node = Node(None, (), (), (2,), np.float64, None)
    assert (node.name, node.line) == ("leaf", "an unknown line")


def test_a_decorated_function_may_call_itself_and_run_in_threads() -> None:
    @cr.no_grad()
    def depth(n: int) -> list[bool]:
        return [(leaf(1.0) * 2).requires_grad, *(depth(n - 1) if n else [])]

    found: list[bool] = []
    threads = [threading.Thread(target=lambda: found.extend(depth(3))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [False] * 16 and (leaf(1.0) * 2).requires_grad


def test_gradients_accumulate_in_the_same_memory() -> None:
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    grad = x.grad
    (x * x).sum().backward()
    assert x.grad is grad and gradient(x) == [4.0, 8.0]


def test_a_zero_cotangent_behind_a_selection_still_has_a_derivative() -> None:
    mask = np.array([True, False])
    hessian = cr.hessian(lambda u: (cr.ops.where(mask, u * 1.0, 0.0) ** 2).sum())(np.array([0.0, 1.0]))
    assert hessian.tolist() == [[2.0, 0.0], [0.0, 0.0]]


def test_what_a_selection_left_out_stays_out_until_another_path_takes_it() -> None:
    x = np.array([0.0, 4.0])

    def f(x: cr.Tensor) -> cr.Tensor:
        root = cr.ops.sqrt(x)
        return (cr.ops.where(x > 1, root, 0.0) + root * np.array([0.0, 1.0])).sum()

    with np.errstate(all="ignore"):
        assert np.isnan(cr.grad(f)(x)[0])  # 0 * inf on the path that was taken is NaN, as it should be
        assert cr.grad(lambda x: cr.ops.where(x > 1, cr.ops.sqrt(x), 0.0).sum())(x).tolist() == [0.0, 0.25]


def test_what_was_left_out_is_known_behind_moves_too() -> None:
    x = np.array([0.0, 4.0, 0.0, 9.0])

    def f(x: cr.Tensor) -> cr.Tensor:
        root = cr.ops.sqrt(x).reshape(2, 2).T[::-1]
        return cr.ops.where(x.reshape(2, 2).T[::-1] > 0, root, 0.0).sum()

    with np.errstate(all="ignore"):
        assert cr.grad(f)(x).tolist() == [0.0, 0.25, 0.0, 1 / 6]
