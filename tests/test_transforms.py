"""Transforms: trees, nesting, directions, and clear refusals."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any, NamedTuple

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, ops

POINT = np.array([0.3, -1.2, 2.0])


def test_the_gradient_of_the_notebooks() -> None:
    x = np.array([[2.0, 3, 1], [4, 5, 3], [7, 6, 4]])
    expected = [[16.0, 33, 5], [56, 85, 33], [161, 120, 56]]
    assert cr.grad(lambda x: ops.sum(x**3 + x**2))(x).tolist() == expected
    assert float(cr.grad(lambda x: x**2)(4.0)) == 8.0


def test_results_are_plain_arrays() -> None:
    value, gradient = cr.value_and_grad(lambda x: (x * x).sum())(POINT)
    assert isinstance(value, float) and type(gradient) is np.ndarray


def test_argnums_choose_arguments() -> None:
    def f(x: Any, y: Any, scale: float = 1.0) -> Any:
        return (x * y**2).sum() * scale

    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    assert cr.grad(f)(x, y).tolist() == [9.0, 16.0]
    assert cr.grad(f, 1)(x, y, scale=2.0).tolist() == [12.0, 32.0]
    assert [g.tolist() for g in cr.grad(f, (0, -1))(x, y)] == [[9.0, 16.0], [6.0, 16.0]]
    with pytest.raises(errors.InputError, match="argument 2, but was called with 2"):
        cr.grad(f, 2)(x, y)


class Pair(NamedTuple):
    a: Any
    b: Any


@dataclasses.dataclass
class Layer:
    weight: Any
    bias: Any
    name: str = dataclasses.field(default="layer", init=False)


@pytest.mark.parametrize(
    ("tree", "parts"),
    [
        ({"a": POINT, "b": 2.0}, lambda t: (t["a"], t["b"])),
        ([POINT, 2.0], lambda t: t),
        ((POINT, 2.0), lambda t: t),
        (Pair(POINT, 2.0), lambda t: (t.a, t.b)),
        (Layer(POINT, 2.0), lambda t: (t.weight, t.bias)),
        ({"x": [Pair(POINT, None), 2.0]}, lambda t: (t["x"][0].a, t["x"][1])),
    ],
)
def test_parameters_may_be_any_tree(tree: Any, parts: Any) -> None:
    def f(t: Any) -> Any:
        a, b = parts(t)
        return (a**2).sum() * b

    gradient = cr.grad(f)(tree)
    assert type(gradient) is type(tree)
    a, b = parts(gradient)
    np.testing.assert_allclose(a, 4 * POINT)
    np.testing.assert_allclose(b, (POINT**2).sum())


def test_aux_comes_along() -> None:
    def f(x: Any) -> Any:
        return (x**2).sum(), {"doubled": x * 2, "label": "kept"}

    (value, aux), gradient = cr.value_and_grad(f, has_aux=True)(POINT)
    assert aux["label"] == "kept" and type(aux["doubled"]) is np.ndarray
    assert float(value) == pytest.approx((POINT**2).sum())
    gradient, aux = cr.grad(f, has_aux=True)(POINT)
    np.testing.assert_allclose(gradient, 2 * POINT)
    with pytest.raises(errors.InputError, match=r"\(value, aux\)"):
        cr.grad(lambda x: x.sum(), has_aux=True)(POINT)


def test_grad_nests_to_any_order() -> None:
    f: Any = np.sin if False else ops.sin
    for expected in (np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin):
        f = cr.grad(f)
        assert float(f(0.7)) == pytest.approx(float(expected(0.7)), rel=1e-12)


def test_nested_transforms_do_not_confuse_their_variables() -> None:
    # d/dx [x * d/dy (x * y)] = d/dx x² = 2x
    assert float(cr.grad(lambda x: x * cr.grad(lambda y: x * y)(1.0))(3.0)) == 6.0
    # Siskind and Pearlmutter's example: d/dx (x * d/dy (x + y)) = 1
    assert float(cr.grad(lambda x: x * cr.grad(lambda y: x + y)(1.0))(1.0)) == 1.0


def test_a_gradient_may_be_part_of_a_loss() -> None:
    def penalty(w: Any) -> Any:
        g = cr.grad(lambda v: (ops.tanh(v) ** 2).sum())(w)
        return (g * g).sum()

    assert cr.check_grads(penalty, (POINT,), order=2).error < 1e-5


def test_vjp_of_a_tree_of_outputs() -> None:
    value, pull = cr.vjp(lambda x, y: {"p": x * y, "s": x.sum()}, POINT, POINT * 2)
    assert set(value) == {"p", "s"}
    x_bar, y_bar = pull({"p": np.ones(3), "s": 10.0})
    np.testing.assert_allclose(x_bar, 2 * POINT + 10)
    np.testing.assert_allclose(y_bar, POINT)
    np.testing.assert_allclose(pull({"p": np.zeros(3), "s": 1.0})[0], np.ones(3))
    with pytest.raises(errors.ShapeError, match=r"cotangent has shape \(2,\)"):
        pull({"p": np.ones(2), "s": 1.0})


def test_jvp_is_the_derivative_along_a_direction() -> None:
    def f(x: Any, y: Any) -> Any:
        return ops.sin(x) * y

    x, y, dx, dy = POINT, POINT**2, np.ones(3), np.array([0.0, 1.0, -1.0])
    value, tangent = cr.jvp(f, (x, y), (dx, dy))
    np.testing.assert_allclose(value, np.sin(x) * y)
    np.testing.assert_allclose(tangent, np.cos(x) * y * dx + np.sin(x) * dy, rtol=1e-13)
    _, none = cr.jvp(lambda x: ops.zeros_like(x), (x,), (dx,))
    assert none.tolist() == [0.0, 0.0, 0.0]
    with pytest.raises(errors.ShapeError, match="tangent"):
        cr.jvp(f, (x, y), (dx, np.ones(2)))
    with pytest.raises(errors.InputError, match="2 primals, but 1"):
        cr.jvp(f, (x, y), (dx,))


def test_jvp_inside_grad() -> None:
    def along(x: Any) -> Any:
        return cr.jvp(lambda v: (v**3).sum(), (x,), (np.ones(3),))[1]

    np.testing.assert_allclose(cr.grad(along)(POINT), 6 * POINT)


def test_hvp_is_the_hessian_times_a_vector() -> None:
    def f(x: Any) -> Any:
        return (ops.exp(x) * x[::-1]).sum()

    v = np.array([1.0, -2.0, 0.5])
    np.testing.assert_allclose(cr.hvp(f, (POINT,), (v,)), cr.hessian(f)(POINT) @ v, rtol=1e-12)
    both = cr.hvp(lambda x, y: (x**2 * y).sum(), (POINT, POINT), (v, v))
    np.testing.assert_allclose(both[1], 2 * POINT * v)


def test_jacobian_has_the_shapes_of_output_and_argument() -> None:
    def f(x: Any, y: Any) -> Any:
        return {"outer": ops.outer(x, y), "sum": x.sum()}

    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0])
    jacobian = cr.jacobian(f)(x, y)
    assert jacobian["outer"].shape == (2, 3, 2) and jacobian["sum"].shape == (2,)
    by_x, by_y = cr.jacobian(f, (0, 1))(x, y)["outer"]
    np.testing.assert_allclose(by_y, np.einsum("i,jk->ijk", x, np.eye(3)))
    np.testing.assert_allclose(by_x, np.einsum("ik,j->ijk", np.eye(2), y))
    assert cr.jacobian(lambda x: x[:0])(x).shape == (0, 2)


def test_hessian_of_a_tree() -> None:
    h = cr.hessian(lambda p: (p["a"] ** 2).sum() * p["b"])({"a": POINT, "b": 2.0})
    np.testing.assert_allclose(h["a"]["a"], 4 * np.eye(3))
    np.testing.assert_allclose(h["a"]["b"], 2 * POINT)
    np.testing.assert_allclose(h["b"]["a"], 2 * POINT)


def test_elementwise_grad() -> None:
    np.testing.assert_allclose(cr.elementwise_grad(ops.tanh)(POINT), 1 - np.tanh(POINT) ** 2)
    second = cr.elementwise_grad(cr.elementwise_grad(ops.sin))
    np.testing.assert_allclose(second(POINT), -np.sin(POINT))


@pytest.mark.parametrize(
    ("f", "kind", "message"),
    [
        (lambda x: None, errors.InputError, "returned None.*return statement"),
        (lambda x: (x, x), errors.InputError, "returned a tuple.*has_aux=True"),
        (lambda x: x, errors.ShapeError, r"array of shape \(3,\).*cr.jacobian"),
        (lambda x: "text", errors.InputError, "'text' of type str"),
    ],
)
def test_a_gradient_needs_a_scalar(f: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        cr.grad(f)(POINT)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (np.arange(3), "int64 of shape"),
        (3, "3.0 for 3"),
        ("text", "neither an array nor a number"),
        ({"a": POINT, "b": np.arange(2)}, r"argument 0\['b'\]"),
        (np.array([1j]), "complex"),
    ],
)
def test_arguments_must_have_gradients(argument: Any, message: str) -> None:
    with pytest.raises(errors.InputError, match=message):
        cr.grad(lambda x: 0.0)(argument)


def test_independence_gives_zeros_and_a_warning() -> None:
    def constant(x: Any) -> Any:
        return 1.0

    with pytest.warns(
        errors.IndependentWarning, match=r"constant does not depend on its argument 0 of shape \(3,\)"
    ):
        gradient = cr.grad(constant)(POINT)
    assert gradient.tolist() == [0.0, 0.0, 0.0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cr.grad(lambda x: (x * 0.0).sum())(POINT)  # it depends, if only with the factor 0


def test_one_element_counts_as_a_scalar() -> None:
    assert cr.grad(lambda x: x[:1] ** 2)(POINT).tolist() == [0.6, 0.0, 0.0]


def test_transforms_record_under_no_grad() -> None:
    with cr.no_grad():
        assert float(cr.grad(lambda x: x * x)(3.0)) == 6.0


def test_gradients_of_a_leaf_in_a_closure_are_left_alone() -> None:
    w = cr.Tensor(POINT, requires_grad=True)
    np.testing.assert_allclose(cr.grad(lambda x: (x * w).sum())(POINT), POINT)
    assert w.grad is None


def test_tensors_as_arguments_give_tensors_with_history() -> None:
    x = cr.Tensor(POINT, requires_grad=True)
    g = cr.grad(lambda v: (v**3).sum())(x)
    g.sum().backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.data, 6 * POINT)


@pytest.mark.parametrize("argnums", ["x", 1.0, [0, 1], ("x",)])
def test_argnums_are_positions(argnums: Any) -> None:
    with pytest.raises(errors.InputError, match="argnums is the position of an argument"):
        cr.grad(lambda x, y: (x * y).sum(), argnums)(POINT, POINT)


def test_a_direction_has_the_shape_of_its_argument() -> None:
    for directions in ((np.ones(1),), (np.ones(4),)):
        with pytest.raises(errors.ShapeError, match="a tangent has shape"):
            cr.hvp(lambda x: (x**2).sum(), (POINT,), directions)
    with pytest.raises(errors.InputError, match="hvp: 1 primals, but 2 tangents"):
        cr.hvp(lambda x: (x**2).sum(), (POINT,), (POINT, POINT))


@pytest.mark.parametrize(
    "through",
    [
        lambda x: np.exp(1j * x).real,
        lambda x: np.imag(1j * x * x),
        lambda x: np.abs(1 + 1j * x),
        lambda x: np.angle(1 + 1j * x),
        lambda x: (x.astype(complex) * x).astype(float),
        lambda x: np.linalg.norm(1j * x),
    ],
)
def test_no_gradient_is_lost_in_complex_numbers(through: Any) -> None:
    def f(x: Any) -> Any:
        return x.sum() + through(x).sum()

    with pytest.raises(errors.UnsupportedError, match="complex"):
        cr.grad(f)(POINT)
    for traced in (lambda: cr.derive(f, POINT), lambda: cr.compile(cr.grad(f), backend="numpy")(POINT)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy's own, of imaginary parts that are dropped
            with pytest.raises(errors.UnsupportedError):
                traced()


def test_complex_values_that_need_no_gradient_are_computed() -> None:
    def f(x: Any) -> Any:
        return (x * np.abs(np.exp(1j * x.detach()))).sum()

    np.testing.assert_allclose(cr.grad(f)(POINT), np.ones(3))
    assert np.imag(cr.Tensor(np.array([1 + 2j]))).tolist() == [2.0]
