"""Which way a product is computed: by BLAS, or by loops, on the operands as they lie or on copies."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from llvmlite import ir

from chainrule.graph.emit.llvm.code import Code, Place
from chainrule.graph.emit.llvm.elements import converted
from chainrule.graph.emit.llvm.products import LARGE, Matrix, Operand, Product, as_matrix, vector_width
from chainrule.graph.emit.llvm.program import Lowering
from chainrule.graph.emit.llvm.turning import copying
from chainrule.graph.emit.llvm.values import Lazy, Value, View, broadcast
from chainrule.graph.ir import Equation

INSTRUCTION = 0.15
"""About how many nanoseconds an instruction of a product takes (measured on one of 512 x 1024 x 1024)."""


def multiply_arrays(lowering: Lowering, equation: Equation) -> bool:
    """Write a matmul, or a contraction of two operands."""
    if len(equation.inputs) != 2:
        return False
    x, y = (_as_type(lowering.value(a), equation.output.dtype) for a in equation.inputs)
    labels = _labels(equation, x, y)
    if labels is None:
        return False
    out = lowering.destination(equation.output)
    left, right = (lowering.stored(v) if isinstance(v, Lazy) and v is not lowering.value(a) else lowering.stored_atom(a)
                   for v, a in zip((x, y), equation.inputs, strict=True))  # fmt: skip
    batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2]) if equation.name == "matmul" else ()
    if equation.name == "matmul":
        left, right = _with_batch(left, batch), _with_batch(right, batch)
    write_product(lowering, Operand(left, labels[0]), Operand(right, labels[1]), Operand(out, labels[2]))
    return True


def _as_type(value: Value, dtype: Any) -> Value:
    if value.dtype == dtype:
        return value
    return Lazy(
        dtype, value.shape,
        lambda code, idx: converted(code, value.at(code, idx), value.dtype, dtype), value.cost + 1, value.order
    )  # fmt: skip


def _labels(equation: Equation, x: Value, y: Value) -> tuple[str, str, str] | None:
    """A letter for each axis of the operands and of the result."""
    if equation.name == "contraction":
        inputs, out = equation.parameters["subscripts"].replace(" ", "").split("->")
        first, second = inputs.split(",")
        plain = (first + second + out).isalpha() and all(len(set(p)) == len(p) for p in (first, second, out))
        matching = all(len(p) == len(v.shape) for p, v in ((first, x), (second, y)))
        return (first, second, out) if plain and matching and set(out) <= set(first + second) else None
    count = max(len(x.shape), len(y.shape), 2) - 2
    letters = "abcdefgh"[:count]
    batch = letters if max(len(x.shape), len(y.shape)) > 2 else ""
    left = batch + "mk" if len(x.shape) > 1 else "k"
    right = batch + "kn" if len(y.shape) > 1 else "k"
    out = batch + ("m" if len(x.shape) > 1 else "") + ("n" if len(y.shape) > 1 else "")
    return left, right, out


def _with_batch(view: View, batch: tuple[int, ...]) -> View:
    if len(view.shape) < 2 or not batch:
        return view
    found = broadcast(view, (*batch, *view.shape[-2:]))
    assert isinstance(found, View)
    return found


def write_product(lowering: Lowering, x: Operand, y: Operand, out: Operand) -> None:
    """Write a product in the way that is estimated to be the fastest."""
    product = Product(lowering.code, x, y, out)
    if product.work >= LARGE and out.view.dtype.kind == "f" and _by_blas(lowering, product):
        return
    if out.view.dtype.kind != "f":
        with lowering.shared(product.work) as code:
            Product(code, x, y, out)._single()
        return
    instructions, left, right = _best(lowering, product)
    work = instructions * INSTRUCTION
    operands = (_taken(lowering, x, left), _taken(lowering, y, right), out)
    if not lowering.is_long:
        with lowering.shared(work) as code:
            Product(code, *operands).write()
        return
    key = tuple((o.labels, o.view.shape, o.view.strides, str(o.view.dtype)) for o in operands)
    recipe = key, tuple(o.view for o in operands)
    lowering.remembered(recipe, lambda code: Product(code, *operands).write(), work)


def estimated(lowering: Lowering, x: Operand, y: Operand, out: Operand) -> float:
    """About how many instructions a product takes in the fastest way."""
    return _best(lowering, Product(lowering.code, x, y, out))[0]


_Way = tuple[float, Operand, tuple[int, ...]]


def _taken(lowering: Lowering, operand: Operand, way: _Way) -> Operand:
    _, as_it_is, order = way
    return Operand(lowering.packed_as(operand.view, order), operand.labels) if order else as_it_is


def _best(lowering: Lowering, product: Product) -> tuple[float, _Way, _Way]:
    """The fastest way: its cost, and how each operand is taken."""
    out = product.out
    pairs = itertools.product(_ways(lowering, product.x, product), _ways(lowering, product.y, product))
    ways = [(_estimate(Product(product.code, a[1], b[1], out)) + a[0] + b[0], a, b) for a, b in pairs]
    return min(ways, key=lambda way: way[0])


def _ways(lowering: Lowering, operand: Operand, product: Product) -> Iterator[_Way]:
    """An operand as it is, as it was copied before, or as it could be copied: the cost and the order of the copy."""
    for view in lowering.variants(operand.view):
        yield 0, Operand(view, operand.labels), ()
    view = operand.view
    for axis, label in enumerate(operand.labels):
        if view.strides[axis] not in (0, 1) and product.extent[label] > 1 and 0 not in view.strides:
            order = (*(a for a in range(len(view.shape)) if a != axis), axis)
            strides = [0] * len(order)
            step = 1
            for a in reversed(order):
                strides[a], step = step, step * view.shape[a]
            copy = view.with_(view.shape, strides)
            yield copying(copy, view), Operand(copy, operand.labels), order


def _estimate(product: Product) -> float:
    """About how many instructions a product takes."""
    label, how = product.along()
    if not how:
        return product.work * 1.5
    n, width = product.extent[label], vector_width(product.dtype)
    vectors = n // width + sum(bool(n % width & (1 << i)) for i in range(5))
    if how == "spread":
        return product.work / n * vectors
    return product.work / n * (n // width + n % width + 5)


# BLAS ----------------------------------------------------------------------------------------------------------------


def _by_blas(lowering: Lowering, product: Product) -> bool:
    """Call BLAS, if the product is one of matrices."""
    if not (len(product.x.labels) == len(product.y.labels) == len(product.out.labels) == 2):
        return False
    if len(product.summed) != 1:
        return False
    (k,) = product.summed
    m, n = tuple(product.out.labels)
    x, y = product.x, product.y
    if m in y.labels:
        x, y = y, x
    if m not in x.labels or n not in y.labels or k not in x.labels or k not in y.labels:
        return False
    out = as_matrix(product.out, m, n)
    if out is None:
        return False
    if out.transposed:  # the transpose of the product is the product of the transposes
        m, n, x, y = n, m, y, x
    left, right = _matrix(lowering, x, m, k), _matrix(lowering, y, k, n)
    call_blas(lowering, product, left, right, out, tuple(product.extent[label] for label in (m, n, k)))
    return True


def _matrix(lowering: Lowering, operand: Operand, rows: str, columns: str) -> Matrix:
    found = as_matrix(operand, rows, columns)
    if found is None:
        packed = Operand(lowering.packed_as(operand.view, range(2)), operand.labels)
        found = as_matrix(packed, rows, columns)
    assert found is not None
    return found


def call_blas(
    lowering: Lowering, product: Product, left: Matrix, right: Matrix, out: Matrix, sizes: tuple[int, ...]
) -> None:
    """cblas_sgemm or cblas_dgemm, with 64-bit integers and rows first."""
    code: Code = lowering.code
    single = product.dtype.itemsize == 4
    real, enumeration = product.kind, ir.IntType(32)
    function = code.slot(lowering.slots.single if single else lowering.slots.double)

    def address(matrix: Matrix) -> Any:
        view = matrix.operand.view
        return code.address(view.memory, Place(0, view.offset), view.dtype)

    def transposed(matrix: Matrix) -> Any:
        return ir.Constant(enumeration, 112 if matrix.transposed else 111)

    arguments = [
        ir.Constant(enumeration, 101), transposed(left), transposed(right), *(code.index(n) for n in sizes),
        ir.Constant(real, 1.0), address(left), code.index(left.leading), address(right), code.index(right.leading),
        ir.Constant(real, 0.0), address(out), code.index(out.leading),
    ]  # fmt: skip
    code.call_at(function, ir.VoidType(), *arguments)
    lowering.means[lowering.clock] = "a product of BLAS"
