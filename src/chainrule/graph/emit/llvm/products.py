"""Products of two arrays, summed over the labels that the result lacks: matmul and contraction.

A product runs over labelled axes, as in einsum. Small ones are written out: neighbouring results in vectors, a few
rows of them in registers, and a loop over what is summed. Large products of matrices go to BLAS.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import llvmlite.binding as llvm
from llvmlite import ir

from chainrule.graph.emit.llvm.code import Code, Place, type_of, widest
from chainrule.graph.emit.llvm.values import View

LARGE = 2**31
"""From so many multiplications on, BLAS computes a product. Below, the loops took 0.4 to 0.8 of its time (measured up
to 512 x 1024 x 1024, on one thread with AVX-512, in float32 and float64)."""


@cache
def _registers() -> tuple[int, int]:
    """The bits of a vector, and how many vectors the machine holds."""
    features = llvm.get_host_cpu_features()
    if features.get("avx512f", False):
        return 512, 32
    if llvm.get_process_triple().startswith(("aarch64", "arm64")):
        return 128, 32
    return (256 if features.get("avx", False) else 128), 16


def vector_width(dtype: Any) -> int:
    """How many elements are computed at once."""
    return _registers()[0] // (8 * int(dtype.itemsize))


class Operand(NamedTuple):
    """A view with a label for each of its axes."""

    view: View
    labels: str

    def stride(self, label: str) -> int:
        """The distance of neighbours along a label; 0 if it has none."""
        return sum(s for name, s in zip(self.labels, self.view.strides, strict=True) if name == label)

    def place(self, code: Code, at: dict[str, Any]) -> Place:
        """Where an element is in memory."""
        return code.place([at.get(name, 0) for name in self.labels], self.view.strides, self.view.offset)


class Product:
    """out = the sum over all labels that are not its own of x * y; all of one floating-point type."""

    def __init__(self, code: Code, x: Operand, y: Operand, out: Operand) -> None:
        self.code, self.x, self.y, self.out = code, x, y, out
        self.dtype = out.view.dtype
        self.extent: dict[str, int] = {}
        for operand in (x, y, out):
            self.extent |= dict(zip(operand.labels, operand.view.shape, strict=True))
        self.summed = [n for n in self.extent if n not in out.labels]
        self.kind = type_of(self.dtype)

    # choosing ------------------------------------------------------------------------------------------------

    def along(self) -> tuple[str, str]:
        """The label of the results to put into vectors, and how: "spread", "dot", or "" for single numbers."""
        for scalar, vector in ((self.x, self.y), (self.y, self.x)):
            for label in self.out.labels:
                neighbours = self.out.stride(label) == 1 == vector.stride(label)
                if self.extent[label] > 1 and neighbours and label not in scalar.labels:
                    return label, "spread"
        for label in self.summed:
            if self.extent[label] > 1 and self.x.stride(label) == 1 == self.y.stride(label):
                return label, "dot"
        return "", ""

    def write(self) -> None:
        """Write the loops."""
        if 0 in self.out.view.shape:
            return
        label, how = self.along()
        if how == "spread":
            self._spread(label)
        elif how == "dot":
            self._dot(label)
        else:
            self._single()

    def _loops(
        self, labels: Sequence[str], body: Callable[..., Any], start: Sequence[Any] = (), shared: str = ""
    ) -> list[Any]:
        shape = tuple(self.extent[n] for n in labels)
        axis = labels.index(shared) if shared in labels else None
        one = lambda idx, *c: body(dict(zip(labels, idx, strict=True)), *c)  # noqa: E731
        return self.code.nest(shape, range(len(labels)), one, start, axis)

    def _splat(self, value: Any, width: int) -> Any:
        b, kind = self.code.builder, ir.VectorType(self.kind, width)
        single = b.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), width), None)
        return b.shuffle_vector(single, ir.Constant(kind, ir.Undefined), mask)

    def _zero(self, width: int) -> Any:
        return ir.Constant(ir.VectorType(self.kind, width), None)

    def _load(self, operand: Operand, at: dict[str, Any], width: int = 0) -> Any:
        place, view = operand.place(self.code, at), operand.view
        if width:
            return self.code.vector_load(view.memory, place, view.dtype, width)
        return self.code.load(view.memory, place, view.dtype)

    def _store(self, value: Any, at: dict[str, Any]) -> None:
        view = self.out.view
        self.code.vector_store(value, view.memory, self.out.place(self.code, at), view.dtype)

    def _tiles(self, label: str, size: int, body: Callable[[Any, int], None], shared: str = "") -> None:
        """Go over a label in pieces of a size, and a last one that is smaller; threads share those of one label."""
        count, rest = divmod(self.extent[label], size)

        def tile(i: Any) -> None:
            body(self.code.times(i, size), size)

        if label == shared:
            self.code.pieces(count, tile, (lambda: body(count * size, rest)) if rest else None)
            return
        self.code.loop(count, tile)
        if rest:
            body(count * size, rest)

    def _shared(self, sizes: dict[str, int]) -> str:
        """The label whose tiles, of given sizes, threads share."""
        labels = [n for n in sizes if self.extent[n] > sizes[n]]
        axis = widest(tuple(-(-self.extent[n] // sizes[n]) for n in labels), range(len(labels)))
        return "" if axis is None else labels[axis]

    # results that are neighbours -------------------------------------------------------------------------------

    def _spread(self, label: str) -> None:
        scalar, vector = (self.x, self.y) if label in self.y.labels else (self.y, self.x)
        free = [n for n in self.out.labels if n != label and n not in vector.labels]
        row = max(free, key=lambda n: self.extent[n]) if free else ""
        rest = [n for n in self.out.labels if n not in (label, row)]
        width = vector_width(self.dtype)
        at_once = width * (4 if _registers()[1] == 32 else 2)
        rows = min(
            _rows_at_once(len(_vectors(min(at_once, self.extent[label]), width))), self.extent.get(row, 1)
        )
        shared = self._shared(dict.fromkeys(rest, 1) | {label: at_once} | ({row: rows} if row else {}))

        def block(at: dict[str, Any]) -> None:
            def columns(column: Any, size: int) -> None:
                vectors = _vectors(size, width)
                here = at | {label: column}
                if not row:
                    self._tile(scalar, vector, here, label, vectors, "", 0, 1)
                    return
                count = rows if row == shared else min(_rows_at_once(len(vectors)), self.extent[row])
                self._tiles(
                    row,
                    count,
                    lambda r, n: self._tile(scalar, vector, here, label, vectors, row, r, n),
                    shared,
                )

            self._tiles(label, at_once, columns, shared)

        self._loops(rest, block, shared=shared)

    def _tile(
        self, scalar: Operand, vector: Operand, at: dict[str, Any], label: str, vectors: list[tuple[int, int]],
        row: str, first: Any, count: int,
    ) -> None:  # fmt: skip
        """One block of results, held in registers while the sum goes on."""
        code = self.code
        multiply_add = "fmuladd"

        def place(r: int, k: int) -> dict[str, Any]:
            found = at | {label: code.plus(at[label], k)}
            return found | {row: code.plus(first, r)} if row else found

        def step(summed: dict[str, Any], *totals: Any) -> list[Any]:
            parts = [self._load(vector, place(0, k) | summed, w) for k, w in vectors]
            results = []
            for r in range(count):
                factor = self._load(scalar, place(r, 0) | summed)
                for j, (_, w) in enumerate(vectors):
                    total = totals[r * len(vectors) + j]
                    results.append(code.intrinsic(multiply_add, self._splat(factor, w), parts[j], total))
            return results

        start = [self._zero(w) for _ in range(count) for _, w in vectors]
        totals = self._loops(self._summed_in_order(vector), step, start)
        for r in range(count):
            for j, (k, _) in enumerate(vectors):
                self._store(totals[r * len(vectors) + j], place(r, k))

    def _summed_in_order(self, operand: Operand) -> list[str]:
        return sorted(self.summed, key=lambda n: -operand.stride(n))

    # sums over neighbours ------------------------------------------------------------------------------------------

    def _dot(self, label: str) -> None:
        left = [n for n in self.out.labels if n in self.x.labels and n not in self.y.labels]
        right = [n for n in self.out.labels if n in self.y.labels and n not in self.x.labels]
        row, column = (max(labels, key=self.extent.__getitem__, default="") for labels in (left, right))
        others = [n for n in self.out.labels if n not in (row, column)]
        shared = self._shared(dict.fromkeys(others, 1) | {n: 4 for n in (row, column) if n})

        def block(at: dict[str, Any]) -> None:
            def tile(i: Any, rows: int, j: Any, columns: int) -> None:
                corner = at | ({row: i} if row else {}) | ({column: j} if column else {})
                places = [
                    [self._moved(corner, {row: r, column: c}) for c in range(columns)] for r in range(rows)
                ]
                self._dot_tile(label, places)

            self._grid(row, column, tile, shared)

        self._loops(others, block, shared=shared)

    def _moved(self, at: dict[str, Any], by: dict[str, int]) -> dict[str, Any]:
        return at | {label: self.code.plus(at[label], n) for label, n in by.items() if label}

    def _dot_tile(self, label: str, places: list[list[dict[str, Any]]]) -> None:
        """A block of results: their sums in vectors, then those of the vectors, then what is left over."""
        code, columns = self.code, len(places[0])
        width = _vectors(self.extent[label], vector_width(self.dtype))[0][1]
        full, rest = divmod(self.extent[label], width)
        sums = [n for n in self.summed if n != label]

        def add(summed: dict[str, Any], totals: Sequence[Any], wide: int = 0) -> list[Any]:
            lefts = [self._load(self.x, line[0] | summed, wide) for line in places]
            rights = [self._load(self.y, place | summed, wide) for place in places[0]]
            pairs = [(x, y) for x in lefts for y in rights]
            return [code.intrinsic("fmuladd", *p, t) for p, t in zip(pairs, totals, strict=True)]

        def line(summed: dict[str, Any], *totals: Any) -> list[Any]:
            return code.loop(
                full, lambda k, *c: add(summed | {label: code.times(k, width)}, c, width), totals
            )

        totals = self._loops(sums, line, [self._zero(width)] * (len(places) * columns))
        values = [self._total(t, width) for t in totals]
        for k in range(full * width, full * width + rest):
            values = self._loops(sums, lambda summed, *c, k=k: add(summed | {label: k}, c), values)
        for number, value in enumerate(values):
            place = self.out.place(code, places[number // columns][number % columns])
            code.store(value, self.out.view.memory, place, self.dtype)

    def _grid(self, row: str, column: str, body: Callable[..., None], shared: str) -> None:
        """Tiles of rows and columns."""

        def columns(i: Any, r: int) -> None:
            if column:
                self._tiles(column, 4, lambda j, c: body(i, r, j, c), shared)
            else:
                body(i, r, 0, 1)

        if row:
            self._tiles(row, 4, columns, shared)
        else:
            columns(0, 1)

    def _total(self, vector: Any, width: int) -> Any:
        if width == 1:
            return self.code.builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))
        kind = "f32" if self.dtype.itemsize == 4 else "f64"
        name = f"llvm.vector.reduce.fadd.v{width}{kind}"
        found = self.code.module.globals.get(name)
        if found is None:
            found = ir.Function(self.code.module, ir.FunctionType(self.kind, [self.kind, vector.type]), name)
        return self.code.builder.call(found, [ir.Constant(self.kind, 0.0), vector], fastmath=("reassoc",))

    # anything ------------------------------------------------------------------------------------------------------

    def _single(self) -> None:
        """One result at a time."""
        code, b = self.code, self.code.builder

        def one(at: dict[str, Any]) -> None:
            def step(summed: dict[str, Any], total: Any) -> list[Any]:
                product = self._load(self.x, at | summed), self._load(self.y, at | summed)
                if self.dtype.kind == "f":
                    return [code.intrinsic("fmuladd", *product, total)]
                if self.dtype == bool:
                    return [b.or_(total, b.and_(*product))]
                return [b.add(total, b.mul(*product))]

            (total,) = self._loops(self.summed, step, [code.constant(0, self.dtype)])
            view = self.out.view
            code.store(total, view.memory, self.out.place(code, at), view.dtype)

        labels = list(self.out.labels)
        self._loops(labels, one, shared=self._shared(dict.fromkeys(labels, 1)))

    # BLAS ------------------------------------------------------------------------------------------------------------

    @property
    def work(self) -> int:
        """The number of multiplications."""
        return math.prod(self.extent.values())


def _vectors(size: int, width: int) -> list[tuple[int, int]]:
    """So many elements as vectors: the place and the width of each.

    >>> _vectors(26, 16)
    [(0, 16), (16, 8), (24, 2)]
    """
    found, start = [], 0
    while start < size:
        while width > size - start:
            width //= 2
        found.append((start, width))
        start += width
    return found


def _rows_at_once(vectors: int) -> int:
    """How many rows to hold: so many that their results and a row of operands fit into the registers."""
    return max(1, min((_registers()[1] - vectors - 1) // vectors, 8))


class Matrix(NamedTuple):
    """A matrix as BLAS takes it: its place, the step from row to row (or column to column), and whether transposed."""

    operand: Operand
    leading: int
    transposed: bool


def as_matrix(operand: Operand, rows: str, columns: str) -> Matrix | None:
    """The operand as a matrix for BLAS; None if neither its rows nor its columns are neighbours in memory."""
    n = dict(zip(operand.labels, operand.view.shape, strict=True))
    by_row, by_column = operand.stride(rows), operand.stride(columns)
    if by_column == 1 and by_row >= n[columns]:
        return Matrix(operand, by_row, False)
    if by_row == 1 and by_column >= n[rows]:
        return Matrix(operand, by_column, True)
    return None
