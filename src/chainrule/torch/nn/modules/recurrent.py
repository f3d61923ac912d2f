"""Recurrent networks and their cells."""

from __future__ import annotations

import math
import warnings
from typing import Any, ClassVar

import numpy as np

from chainrule import ops
from chainrule.torch.errors import ArgumentError, OperationError, ValueOptionError
from chainrule.torch.nn import functional as F
from chainrule.torch.nn import init
from chainrule.torch.nn.functional.common import shown
from chainrule.torch.nn.modules.module import Module
from chainrule.torch.nn.parameter import empty
from chainrule.torch.nn.utils import rnn
from chainrule.torch.nn.utils.rnn import PackedSequence
from chainrule.torch.tensors import Tensor

Cell = tuple[Any, Any, Any, Any]
"""The weights of the input and of the state, and their biases."""


def _parts(x: Any, count: int) -> list[Any]:
    """The last dimension in `count` equal parts."""
    size = x._data.shape[-1] // count
    return [ops.getitem(x, (..., slice(i * size, (i + 1) * size))) for i in range(count)]


def _rnn_step(projected: Any, state: tuple[Any, ...], w: Any, b: Any, activation: Any) -> tuple[Any, ...]:
    return (activation(projected + F.linear(state[0], w, b)),)


def _lstm_step(projected: Any, state: tuple[Any, ...], w: Any, b: Any, w_out: Any) -> tuple[Any, ...]:
    hidden, memory = state
    gates = projected + F.linear(hidden, w, b)
    size = gates._data.shape[-1] // 4
    # One sigmoid for the input, forget and output gates costs less than three.
    open_ = ops.sigmoid(gates)
    enters, keeps, leaves = (ops.getitem(open_, (..., slice(i * size, (i + 1) * size))) for i in (0, 1, 3))
    new = ops.tanh(ops.getitem(gates, (..., slice(2 * size, 3 * size))))
    memory = keeps * memory + enters * new
    hidden = leaves * ops.tanh(memory)
    return (hidden if w_out is None else F.linear(hidden, w_out), memory)


def _gru_step(projected: Any, state: tuple[Any, ...], w: Any, b: Any, _: Any) -> tuple[Any, ...]:
    (hidden,) = state
    reset_x, update_x, new_x = _parts(projected, 3)
    reset_h, update_h, new_h = _parts(F.linear(hidden, w, b), 3)
    reset, update = ops.sigmoid(reset_x + reset_h), ops.sigmoid(update_x + update_h)
    new = ops.tanh(new_x + reset * new_h)
    return (new + update * (hidden - new),)


_STEPS = {"RNN_TANH": _rnn_step, "RNN_RELU": _rnn_step, "LSTM": _lstm_step, "GRU": _gru_step}
_GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}


class RNNBase(Module):
    """What RNN, LSTM and GRU share: layers in one or both directions, over padded or packed sequences."""

    def __init__(
        self, mode: str, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.mode, self.input_size, self.hidden_size, self.num_layers = (
            mode,
            input_size,
            hidden_size,
            num_layers,
        )
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional, self.proj_size = bidirectional, proj_size
        self._check_options(dropout)
        self._flat_names: list[list[str]] = []
        self._made(device, dtype)
        self.reset_parameters()

    def _check_options(self, dropout: Any) -> None:
        if isinstance(dropout, bool) or not isinstance(dropout, (int, float)) or not 0 <= dropout <= 1:
            raise ValueOptionError(
                "dropout should be a number in range [0, 1] representing the probability of an element being zeroed"
            )
        if dropout > 0 and self.num_layers == 1:
            warnings.warn(
                f"dropout option adds dropout after all but last recurrent layer, so non-zero dropout "
                f"expects num_layers "
                f"greater than 1, but got dropout={dropout} and num_layers={self.num_layers}",
                stacklevel=4,
            )
        for name, kind in (("input_size", int), ("hidden_size", int), ("bias", bool), ("batch_first", bool)):
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise ArgumentError(f"{name} should be of type {kind.__name__}, got: {type(value).__name__}")
        for name in ("input_size", "hidden_size", "num_layers"):
            if getattr(self, name) <= 0:
                raise ValueOptionError(f"{name} must be greater than zero")
        if self.proj_size < 0:
            raise ValueOptionError("proj_size should be a positive integer or zero to disable projections")
        if self.proj_size >= self.hidden_size:
            raise ValueOptionError("proj_size has to be smaller than hidden_size")

    def _made(self, device: Any, dtype: Any) -> None:
        gates = _GATES[self.mode] * self.hidden_size
        state = self.proj_size or self.hidden_size
        directions = 2 if self.bidirectional else 1
        for layer in range(self.num_layers):
            inputs = self.input_size if layer == 0 else state * directions
            for direction in range(directions):
                end = f"_l{layer}{'_reverse' * direction}"
                shapes: dict[str, tuple[int, ...]] = {
                    "weight_ih": (gates, inputs),
                    "weight_hh": (gates, state),
                }
                if self.bias:
                    shapes |= {"bias_ih": (gates,), "bias_hh": (gates,)}
                if self.proj_size:
                    shapes["weight_hr"] = (self.proj_size, self.hidden_size)
                for name, shape in shapes.items():
                    setattr(self, name + end, empty(shape, device, dtype))
                self._flat_names.append([name + end for name in shapes])

    def reset_parameters(self) -> None:
        """Draw new weights."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def flatten_parameters(self) -> None:
        """Nothing: on the CPU, parameters may lie where they are."""

    @property
    def all_weights(self) -> list[list[Any]]:
        """The parameters of each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._flat_names]

    def _cell(self, index: int) -> tuple[Cell, Any]:
        own = self._parameters
        names = self._flat_names[index]
        bias = (own[names[2]], own[names[3]]) if self.bias else (None, None)
        return (own[names[0]], own[names[1]], *bias), own[names[-1]] if self.proj_size else None

    # the forward pass --------------------------------------------------------------------------------------

    def forward(self, input: Any, hx: Any = None) -> Any:
        """The outputs of the last layer at all steps, and the last states of all layers."""
        if isinstance(input, PackedSequence):
            return self._packed(input, hx)
        dims = input._data.ndim
        if dims not in (2, 3):
            raise ValueOptionError(f"{self._get_name()}: Expected input to be 2D or 3D, got {dims}D instead")
        weight = self._parameters[self._flat_names[0][0]]
        if input._data.dtype != weight._data.dtype:
            raise ValueOptionError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({weight.dtype}). Convert input: "
                f"input.to({weight.dtype}), or convert model: model.to({input.dtype})"
            )
        if input._data.shape[-1] != self.input_size:
            raise OperationError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input._data.shape[-1]}"
            )
        x = (
            ops.expand_dims(input, axis=1)
            if dims == 2
            else ops.swapaxes(input, axis1=0, axis2=1)
            if self.batch_first
            else input
        )
        states = self._first_states(hx, x._data.shape[1], x, dims == 3)
        out, last = self._run(x, states, None)
        if dims == 2:
            out = shown(ops.reshape(out, shape=(out._data.shape[0], out._data.shape[2])), "SqueezeBackward1")
            last = tuple(ops.reshape(s, shape=(s._data.shape[0], s._data.shape[2])) for s in last)
        elif self.batch_first:
            out = ops.swapaxes(out, axis1=0, axis2=1)
        return out, last if self.mode == "LSTM" else last[0]

    def _packed(self, input: Any, hx: Any) -> Any:
        """Sequences of several lengths: those that have ended keep their state."""
        padded, lengths = rnn.pad_packed_sequence(PackedSequence(input.data, input.batch_sizes))
        if hx is not None and input.sorted_indices is not None:
            order = input.sorted_indices._data
            hx = (
                tuple(ops.take(h, order, axis=1) for h in hx)
                if isinstance(hx, tuple)
                else ops.take(hx, order, axis=1)
            )
        states = self._first_states(hx, padded._data.shape[1], padded, True)
        out, last = self._run(padded, states, lengths._data)
        data = rnn.packed_data(out, input.batch_sizes)
        if input.unsorted_indices is not None:
            last = tuple(ops.take(s, input.unsorted_indices._data, axis=1) for s in last)
        packed = PackedSequence(data, input.batch_sizes, input.sorted_indices, input.unsorted_indices)
        return packed, last if self.mode == "LSTM" else last[0]

    def _first_states(self, hx: Any, batch: int, x: Any, batched: bool) -> tuple[Any, ...]:
        count = self.num_layers * (2 if self.bidirectional else 1)
        shapes = [(count, batch, self.proj_size or self.hidden_size)]
        if self.mode == "LSTM":
            shapes.append((count, batch, self.hidden_size))
        if hx is None:
            return tuple(Tensor._wrapped(np.zeros(shape, x._data.dtype)) for shape in shapes)
        given = tuple(hx) if self.mode == "LSTM" else (hx,)
        if any(h._data.ndim != (3 if batched else 2) for h in given):
            dims = "3-D" if batched else "2-D"
            raise OperationError(
                f"For {'batched' if batched else 'unbatched'} {dims} input, hx should also be {dims} but got "
                f"{'-D and '.join(str(h._data.ndim) for h in given)}-D tensor"
            )
        given = given if batched else tuple(ops.expand_dims(h, axis=1) for h in given)
        for h, shape in zip(given, shapes, strict=True):
            if h._data.shape != shape:
                raise OperationError(f"Expected hidden size {shape}, got {list(h._data.shape)}")
        return given

    def _run(self, x: Any, states: tuple[Any, ...], lengths: Any) -> tuple[Any, tuple[Any, ...]]:
        """All layers over (steps, batch, inputs)."""
        directions = 2 if self.bidirectional else 1
        last: list[tuple[Any, ...]] = []
        for layer in range(self.num_layers):
            outs = []
            for direction in range(directions):
                index = layer * directions + direction
                start = tuple(ops.getitem(s, index) for s in states)
                out, end = self._one_direction(x, start, index, direction == 1, lengths)
                outs.append(out)
                last.append(end)
            x = outs[0] if directions == 1 else ops.concat(outs, axis=-1)
            if self.dropout and layer < self.num_layers - 1:
                x = F.dropout(x, self.dropout, self.training)
        return x, tuple(ops.stack([state[i] for state in last], axis=0) for i in range(len(states)))

    def _one_direction(
        self, x: Any, state: tuple[Any, ...], index: int, backwards: bool, lengths: Any
    ) -> tuple[Any, tuple[Any, ...]]:
        (w_ih, w_hh, b_ih, b_hh), w_out = self._cell(index)
        projected = F.linear(x, w_ih, b_ih)  # of all steps at once
        step, extra = _STEPS[self.mode], w_out
        if self.mode.startswith("RNN"):
            extra = ops.tanh if self.mode == "RNN_TANH" else ops.relu
        count = x._data.shape[0]
        outs: list[Any] = [None] * count
        for t in reversed(range(count)) if backwards else range(count):
            new = step(ops.getitem(projected, t), state, w_hh, b_hh, extra)
            if lengths is not None:
                running = (t < lengths)[:, None]
                new = tuple(
                    n if running.all() else ops.where(running, n, s) for n, s in zip(new, state, strict=True)
                )
            state = new
            outs[t] = state[0]
        return ops.stack(outs, axis=0), state

    def extra_repr(self) -> str:
        """The sizes, and what is not usual."""
        text = f"{self.input_size}, {self.hidden_size}"
        unusual = {
            "proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False,
        }  # fmt: skip
        return text + "".join(
            f", {n}={getattr(self, n)}" for n, usual in unusual.items() if getattr(self, n) != usual
        )


class RNN(RNNBase):
    """h = tanh(W_ih x + b_ih + W_hh h + b_hh), or with relu."""

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh", bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        if nonlinearity not in ("tanh", "relu"):
            raise ValueOptionError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        mode = f"RNN_{nonlinearity.upper()}"
        super().__init__(
            mode,
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            0,
            device,
            dtype,
        )
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Hochreiter and Schmidhuber (1997), with forget gates."""

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            "LSTM",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            device,
            dtype,
        )


class GRU(RNNBase):
    """Cho et al. (2014)."""

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            "GRU",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            0,
            device,
            dtype,
        )


# cells ---------------------------------------------------------------------------------------------------


class RNNCellBase(Module):
    """One step of a recurrent network."""

    mode: ClassVar[str]
    weight_ih: Any
    weight_hh: Any
    bias_ih: Any
    bias_hh: Any

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        gates = _GATES[self.mode] * hidden_size
        self.weight_ih, self.weight_hh = (
            empty((gates, input_size), device, dtype),
            empty((gates, hidden_size), device, dtype),
        )
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, empty((gates,), device, dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def _step(self, input: Any, hx: Any, activation: Any = None) -> Any:
        name, dims = self._get_name(), input._data.ndim
        if dims not in (1, 2):
            raise ValueOptionError(f"{name}: Expected input to be 1D or 2D, got {dims}D instead")
        x = ops.expand_dims(input, axis=0) if dims == 1 else input
        count = 2 if self.mode == "LSTM" else 1
        if hx is None:
            zeros = Tensor._wrapped(np.zeros((x._data.shape[0], self.hidden_size), x._data.dtype))
            states: tuple[Any, ...] = (zeros,) * count
        else:
            states = tuple(hx) if count == 2 else (hx,)
            for h in states:
                if h._data.ndim not in (1, 2):
                    raise ValueOptionError(
                        f"{name}: Expected hidden to be 1D or 2D, got {h._data.ndim}D instead"
                    )
            states = tuple(ops.expand_dims(h, axis=0) if dims == 1 else h for h in states)
        for h in states:
            if h._data.shape[-1] != self.hidden_size:
                raise OperationError(
                    f"hidden has inconsistent hidden_size: got {h._data.shape[-1]}, expected {self.hidden_size}"
                )
        if x._data.shape[-1] != self.input_size:
            raise OperationError(
                f"input has inconsistent input_size: got {x._data.shape[-1]} expected {self.input_size}"
            )
        projected = F.linear(x, self.weight_ih, self.bias_ih)
        new = _STEPS[self.mode](projected, states, self.weight_hh, self.bias_hh, activation)
        new = tuple(shown(ops.getitem(s, 0), "SqueezeBackward1") for s in new) if dims == 1 else new
        return new if count == 2 else new[0]

    def extra_repr(self) -> str:
        """The sizes, and what is not usual."""
        text = f"{self.input_size}, {self.hidden_size}"
        return text + f", bias={self.bias}" * (self.bias is not True)


class RNNCell(RNNCellBase):
    """One step of RNN."""

    mode = "RNN_TANH"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Any, hx: Any = None) -> Any:
        """The next state."""
        if self.nonlinearity not in ("tanh", "relu"):
            raise OperationError(f"Unknown nonlinearity: {self.nonlinearity}")
        return self._step(input, hx, ops.tanh if self.nonlinearity == "tanh" else ops.relu)

    def extra_repr(self) -> str:
        """The sizes, and what is not usual."""
        return super().extra_repr() + f", nonlinearity={self.nonlinearity}" * (self.nonlinearity != "tanh")


class LSTMCell(RNNCellBase):
    """One step of LSTM."""

    mode = "LSTM"

    def forward(self, input: Any, hx: Any = None) -> Any:
        """The next state and memory."""
        return self._step(input, hx)


class GRUCell(RNNCellBase):
    """One step of GRU."""

    mode = "GRU"

    def forward(self, input: Any, hx: Any = None) -> Any:
        """The next state."""
        return self._step(input, hx)
