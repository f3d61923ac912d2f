"""Layer: weights that are made at the first call, and a function of tensors."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from typing import Any

import numpy as np

from chainrule.tensorflow.errors import InvalidArgumentError, StateError
from chainrule.tensorflow.keras import initializers
from chainrule.tensorflow.modules import Module, parts_of
from chainrule.tensorflow.tensors import Tensor, Variable, convert

_names: Counter[str] = Counter()


def new_name(kind: str) -> str:
    """A name for a layer: dense, dense_1, dense_2 ..."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", kind).lower()
    _names[name] += 1
    return name if _names[name] == 1 else f"{name}_{_names[name] - 1}"


def clear_session() -> None:
    """Number layers from the start again."""
    _names.clear()


class KerasTensor:
    """A tensor that is not there yet: `Input(...)`, and what layers make of it.

    Only its shape is known, with None for the number of rows; `Model(inputs, outputs)` computes it later.
    """

    def __init__(self, shape: tuple[int | None, ...], layer: Any = None, inputs: Any = ()) -> None:
        self.shape, self.layer, self.inputs = shape, layer, inputs

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape}>"


class Layer(Module):
    """The base of layers: `build(input_shape)` makes the weights, `call(inputs)` computes.

    >>> class Scale(Layer):
    ...     def build(self, input_shape):
    ...         self.factor = self.add_weight(shape=(), initializer="ones", name="factor")
    ...     def call(self, inputs):
    ...         return inputs * self.factor
    >>> Scale()([1.0, 2.0])
    <tf.Tensor: shape=(2,), dtype=float32, numpy=array([1., 2.], dtype=float32)>
    """

    _not_parts = ("_states",)

    def __init__(
        self, trainable: bool = True, name: str | None = None, dtype: Any = None, input_shape: Any = None,
        input_dim: int | None = None, **unknown: Any,
    ) -> None:  # fmt: skip
        super().__init__(name)
        if unknown:
            raise InvalidArgumentError(f"{type(self).__name__} takes no argument {sorted(unknown)[0]!r}")
        self._name = name or new_name(type(self).__name__)
        self.trainable, self.built, self.dtype = trainable, False, dtype or "float32"
        self.given_shape = (input_dim,) if input_dim is not None else input_shape
        self._given = given_to(type(self).call)

    # to be defined -------------------------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Make the weights, with `add_weight`."""

    def call(self, inputs: Any) -> Any:
        """Compute the output."""
        return inputs

    # weights -------------------------------------------------------------------------------------------

    def add_weight(
        self, shape: Any = (), initializer: Any = "glorot_uniform", trainable: bool = True,
        name: str | None = None, dtype: Any = None, **unused: Any,
    ) -> Variable:  # fmt: skip
        """A new weight."""
        wanted = tuple(shape)
        if any(n is None for n in wanted):
            raise InvalidArgumentError(
                f"the weight {name or ''} of {self.name} has an unknown length: {wanted}"
            )
        values = initializers.get(initializer)(wanted, dtype or self.dtype)
        return Variable(values, trainable=trainable, name=f"{self.name}/{name or 'weight'}")

    @property
    def variables(self) -> list[Variable]:
        """All weights."""
        return super().variables

    weights = variables

    @property
    def trainable_variables(self) -> list[Variable]:
        """The weights that are trained: none of a layer that is not trainable."""
        frozen = [p for p in parts_of(self) if isinstance(p, Layer) and not p.trainable]
        skipped = {id(v) for layer in frozen for v in Module.variables.fget(layer)}  # type: ignore[attr-defined]
        return [v for v in self.variables if v.trainable and id(v) not in skipped]

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that are trained."""
        return self.trainable_variables

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The other weights."""
        trained = {id(v) for v in self.trainable_variables}
        return [v for v in self.variables if id(v) not in trained]

    non_trainable_weights = non_trainable_variables

    def get_weights(self) -> list[np.ndarray]:
        """All weights as arrays."""
        return [v.numpy() for v in self.variables]

    def set_weights(self, weights: Any) -> None:
        """Set all weights, in the order of `get_weights`."""
        if len(weights) != len(self.variables):
            raise InvalidArgumentError(
                f"{self.name} has {len(self.variables)} weights, but was given {len(weights)}; a layer "
                f"has them once it has been built"
            )
        for variable, value in zip(self.variables, weights, strict=True):
            variable.assign(np.asarray(value))

    def count_params(self) -> int:
        """The number of elements of all weights."""
        if not self.built:
            raise StateError(f"{self.name} has no weights before it is built; call it, or build(input_shape)")
        return sum(v.size for v in self.variables)

    # calling -------------------------------------------------------------------------------------------

    def __call__(self, inputs: Any, *args: Any, **options: Any) -> Any:
        """Build the layer if need be, and compute its output."""
        if is_symbolic(inputs):
            return self._symbolic(inputs, args, options)
        inputs = self._prepared(inputs)
        self._build_once(inputs)
        if "training" in options and "training" not in self._given:
            options.pop("training")
        return self.call(inputs, *args, **options)

    def _prepared(self, inputs: Any) -> Any:
        if isinstance(inputs, (list, tuple)) and any(isinstance(x, (Tensor, np.ndarray)) for x in inputs):
            return type(inputs)(_as_float(x) for x in inputs)
        return inputs if isinstance(inputs, dict) else _as_float(inputs)

    def _build_once(self, inputs: Any) -> None:
        if not self.built:
            several = isinstance(inputs, (list, tuple))
            self.build([tuple(x.shape) for x in inputs] if several else tuple(getattr(inputs, "shape", ())))
            self.built = True

    def _symbolic(self, inputs: Any, args: Any, options: Any) -> KerasTensor:
        """A tensor to be computed later: its shape is found with two rows of zeros."""
        if args or options.keys() - {"training"}:
            raise InvalidArgumentError(f"{self.name} can be called with Input(...) and nothing else")
        out = self(_mapped_symbols(inputs, lambda t: convert(np.zeros((2, *t.shape[1:]), np.float32))))
        return KerasTensor((None, *out.shape[1:]), self, inputs)


def given_to(call: Any) -> frozenset[str]:
    """The names of a method's parameters, `training` also where it takes any keyword."""
    parameters = inspect.signature(call).parameters
    catches = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    return frozenset(parameters) | ({"training"} if catches else set())


def is_symbolic(inputs: Any) -> bool:
    """Whether a layer is called with an `Input`, to be computed later."""
    return isinstance(inputs, KerasTensor) or (
        isinstance(inputs, (list, tuple)) and any(isinstance(x, KerasTensor) for x in inputs)
    )


def _mapped_symbols(inputs: Any, function: Any) -> Any:
    return [function(x) for x in inputs] if isinstance(inputs, (list, tuple)) else function(inputs)


def _as_float(x: Any) -> Any:
    """Inputs of a layer, with NumPy's float64 as float32, as Keras has it."""
    if isinstance(x, Tensor):
        return x
    tensor = convert(x)
    return Tensor._wrapped(tensor._data.astype(np.float32)) if tensor._data.dtype == np.float64 else tensor
