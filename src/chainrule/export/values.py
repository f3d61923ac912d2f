"""Values and nodes of an ONNX graph while it is being written."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

IN_SINGLE = frozenset(
    [
        "Acos",
        "Acosh",
        "Asin",
        "Asinh",
        "Atan",
        "Atanh",
        "Conv",
        "ConvTranspose",
        "Cosh",
        "Erf",
        "Sinh",
        "Softplus",
        "Tan",
    ]
)
"""Operators that onnxruntime computes in float32 alone: float64 is rounded on its way through them."""


class Value:
    """A value of an ONNX graph: its name and type. Arithmetic with values and numbers writes nodes."""

    __slots__ = ("dtype", "name", "nodes")

    def __init__(self, nodes: Nodes, name: str, dtype: DTypeLike) -> None:
        self.nodes, self.name, self.dtype = nodes, name, np.dtype(dtype)

    def _with(self, operator: str, x: Any, y: Any) -> Value:
        both = [v if isinstance(v, Value) else self.nodes.constant(np.array(v, self.dtype)) for v in (x, y)]
        return self.nodes.node(operator, *both)

    def __add__(self, other: Any) -> Value:
        return self._with("Add", self, other)

    def __radd__(self, other: Any) -> Value:
        return self._with("Add", other, self)

    def __sub__(self, other: Any) -> Value:
        return self._with("Sub", self, other)

    def __rsub__(self, other: Any) -> Value:
        return self._with("Sub", other, self)

    def __mul__(self, other: Any) -> Value:
        return self._with("Mul", self, other)

    def __rmul__(self, other: Any) -> Value:
        return self._with("Mul", other, self)

    def __truediv__(self, other: Any) -> Value:
        return self._with("Div", self, other)

    def __rtruediv__(self, other: Any) -> Value:
        return self._with("Div", other, self)

    def __pow__(self, other: Any) -> Value:
        return self._with("Pow", self, other)

    def __neg__(self) -> Value:
        return self.nodes.node("Neg", self)

    def compared(self, operator: str, other: Any) -> Value:
        """A truth value: operator is ``"Equal"``, ``"Less"`` or another."""
        return self._with(operator, self, other).seen_as(np.bool_)

    def seen_as(self, dtype: DTypeLike) -> Value:
        """The same value, of which it is known that the node gives another type."""
        return Value(self.nodes, self.name, dtype)

    def to(self, dtype: DTypeLike) -> Value:
        """The value converted."""
        if self.dtype == np.dtype(dtype):
            return self
        return self.nodes.node("Cast", self, to=_type(dtype)).seen_as(dtype)


class Nodes:
    """The nodes and arrays of an ONNX graph, in order, with names that are used once."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.arrays: dict[tuple[Any, ...], tuple[str, Any]] = {}
        self.taken: set[str] = set()

    def free_name(self, wanted: str) -> str:
        """A name that nothing has yet."""
        name, number = wanted, 1
        while name in self.taken:
            name, number = f"{wanted}_{number}", number + 1
        self.taken.add(name)
        return name

    def node(
        self, operator: str, *inputs: Value, name: str = "", domain: str = "", **attributes: Any
    ) -> Value:
        """The first output of a new node; of the type of its first input, unless it is `seen_as` another."""
        return self.several(operator, *inputs, names=[name], domain=domain, **attributes)[0]

    def several(
        self, operator: str, *inputs: Value, names: list[str], domain: str = "", **attributes: Any
    ) -> list[Value]:
        """All outputs of a new node."""
        from onnx import helper

        dtype = inputs[0].dtype
        single = operator in IN_SINGLE and dtype == np.float64
        if single:
            inputs = tuple(x.to(np.float32) if x.dtype == np.float64 else x for x in inputs)
        outputs = [self.free_name(name or operator.lower()) for name in names]
        given = [x.name for x in inputs]
        self.nodes.append(helper.make_node(operator, given, outputs, domain=domain or None, **attributes))
        made = [Value(self, output, inputs[0].dtype) for output in outputs]
        return [value.to(dtype) for value in made] if single else made

    def constant(self, array: Any, name: str = "") -> Value:
        """An array, which is stored once."""
        from onnx import numpy_helper

        array = np.asarray(array)
        content = array.tolist() if array.dtype == object else np.ascontiguousarray(array).tobytes()
        key = (str(array.dtype), array.shape, str(content) if array.dtype == object else content)
        if key not in self.arrays:
            name = self.free_name(name or "constant")
            native: NDArray[Any] = (
                array.astype(array.dtype.newbyteorder("=")) if array.dtype != object else array
            )
            self.arrays[key] = name, numpy_helper.from_array(native, name)
        return Value(self, self.arrays[key][0], array.dtype)

    def integers(self, *numbers: int) -> Value:
        """Whole numbers, as axes and shapes are given."""
        return self.constant(np.array(numbers, np.int64))


def _type(dtype: DTypeLike) -> int:
    from onnx import helper

    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
