"""Linear, Dropout and Sequential: the layers of a multilayer network, and `multilayer`, which stacks them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from chainrule import ops
from chainrule.errors import OptionError, ShapeError
from chainrule.nn.activations import activation as activation_named
from chainrule.nn.initializers import Initializer
from chainrule.nn.initializers import initializer as initializer_named
from chainrule.nn.module import Module
from chainrule.tensor import Tensor


class Linear(Module):
    """x @ weight + bias: from shape (..., inputs) to (..., outputs).

    Args:
        inputs: length of the last axis before; `weight` has shape (inputs, outputs).
        outputs: length of the last axis after.
        bias: whether a vector `bias` of shape (outputs,), zero at first, is added.
        initializer: first weights, a name of `INITIALIZERS` or a function (generator, shape, dtype).
        generator: a NumPy generator or a seed for it; None draws from the system's entropy.
        dtype: element type of the parameters.

    Raises:
        OptionError: a size below 1 or an unknown initialiser.
        ShapeError: (when called) the input's last axis is not `inputs` long.

    >>> layer = Linear(4, 3, generator=0)
    >>> layer(np.ones((2, 4))).shape
    (2, 3)
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        bias: bool = True,
        initializer: str | Initializer = "glorot-uniform",
        generator: np.random.Generator | int | None = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        for size in (inputs, outputs):
            if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
                raise OptionError(f"Linear({inputs!r}, {outputs!r}): a size must be an integer of at least 1")
        draw = initializer_named(initializer)
        weight = draw(np.random.default_rng(generator), (int(inputs), int(outputs)), dtype)
        self.weight = Tensor(weight, requires_grad=True)
        self.bias = Tensor(np.zeros(outputs, dtype), requires_grad=True) if bias else None

    def forward(self, x: Any) -> Tensor:
        """The affine image of `x`, shape (..., inputs) to (..., outputs)."""
        if not x.shape or x.shape[-1] != self.weight.shape[0]:
            inputs = self.weight.shape[0]
            raise ShapeError(
                f"{self!r} got an input of shape {x.shape}: its last axis must have length {inputs}"
            )
        image: Tensor = (
            ops.matmul(x, self.weight) if self.bias is None else ops.linear(x, self.weight, self.bias)
        )
        return image

    def arguments(self) -> str:
        """Sizes, and the bias where there is none."""
        inputs, outputs = self.weight.shape
        return f"{inputs}, {outputs}" + (", bias=False" if self.bias is None else "")


class Dropout(Module):
    """Zeros a random share of the elements while training, and scales the others so that the mean stays.

    Srivastava et al. (2014), with the scale at training time, so that prediction needs none.

    Args:
        share: the probability of each element to become 0.
        generator: a NumPy generator or a seed for it; None draws from the system's entropy.

    Raises:
        OptionError: a share that is not at least 0 and below 1.

    >>> layer = Dropout(0.5, generator=0)
    >>> layer(np.ones(6)).tolist(), layer.eval()(np.ones(6)).tolist()
    ([2.0, 2.0, 2.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    """

    def __init__(self, share: float, generator: np.random.Generator | int | None = None) -> None:
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1:
            raise OptionError(f"Dropout({share!r}): the share must be a number of at least 0 and below 1")
        self.share, self.generator = float(share), np.random.default_rng(generator)

    def forward(self, x: Any) -> Tensor:
        """`x` with a random share of its elements 0; `x` itself when predicting."""
        if not self.training or not self.share:
            return x  # type: ignore[no-any-return]
        kept = self.generator.random(x.shape, dtype=np.float32) >= self.share
        return x * (kept / (1 - self.share)).astype(x.dtype)  # type: ignore[no-any-return]

    def arguments(self) -> str:
        """The share."""
        return repr(self.share)


class Sequential(Module):
    """Modules applied one after the other; they are numbered from 0 in names of parameters.

    >>> network = Sequential(Linear(4, 8, generator=0), Linear(8, 3, generator=1))
    >>> network
    Sequential(
      0: Linear(4, 8)
      1: Linear(8, 3)
    )
    >>> [name for name, _ in network.named_parameters()]
    ['0.weight', '0.bias', '1.weight', '1.bias']
    """

    def __init__(self, *modules: Module) -> None:
        for position, module in enumerate(modules):
            # Attributes named by position give the parameters their usual names, such as "0.weight".
            setattr(self, str(position), module)

    def __iter__(self) -> Iterator[Module]:
        return (value for value in vars(self).values() if isinstance(value, Module))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, position: int) -> Module:
        return list(self)[position]

    def forward(self, x: Any) -> Tensor:
        """The last module's output."""
        for module in self:
            x = module(x)
        return x  # type: ignore[no-any-return]


def multilayer(
    sizes: Sequence[int],
    activation: str | Sequence[str] = "tanh",
    *,
    dropout: float = 0.0,
    generator: np.random.Generator | int | None = None,
    dtype: DTypeLike = np.float64,
) -> Sequential:
    """A network of Linear layers of the given `sizes`, with an activation (and dropout) between two of them.

    `activation` is a name, or one for each hidden layer. First weights suit the activation that follows them
    (He for rectifiers, else Glorot).

    Raises:
        OptionError: fewer than two sizes, a size below 1, or an unknown activation.

    >>> multilayer([4, 8, 3], "tanh", generator=0)
    Sequential(
      0: Linear(4, 8)
      1: Tanh()
      2: Linear(8, 3)
    )
    """
    if len(sizes) < 2:
        raise OptionError(f"a network needs the sizes of its input and its output, not {list(sizes)}")
    names = [activation] * (len(sizes) - 2) if isinstance(activation, str) else list(activation)
    if len(names) != len(sizes) - 2:
        raise OptionError(f"{len(sizes) - 2} hidden layers need as many activations, not {len(names)}")
    generator = np.random.default_rng(generator)
    modules: list[Module] = []
    for (inputs, outputs), kind in zip(pairwise(sizes[:-1]), map(activation_named, names), strict=True):
        hidden = Linear(inputs, outputs, initializer=kind.initializer, generator=generator, dtype=dtype)
        modules += [hidden, kind(), *([Dropout(dropout, generator)] if dropout else [])]
    return Sequential(*modules, Linear(sizes[-2], sizes[-1], generator=generator, dtype=dtype))
