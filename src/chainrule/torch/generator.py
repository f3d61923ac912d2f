"""The generator of random numbers: the Mersenne Twister MT19937, seeded and stored as PyTorch does."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.graph.recording import check_not_tracing
from chainrule.torch.dtypes import check_device, device
from chainrule.torch.errors import ArgumentError, OperationError, ValueOptionError

WORDS = 624
"""The words of the generator's state."""

# A state as PyTorch stores it; it counts the words that are left, and the next one, in each block of 624.
_STATE = np.dtype(
    [
        ("seed", "<u8"), ("left", "<i4"), ("seeded", "<i4"), ("next", "<u8"), ("words", "<u8", WORDS),
        ("normal_x", "<f8"), ("normal", "<f8"), ("normal_rho", "<f8"), ("has_normal", "<i4"), ("gap", "<i4"),
        ("single", "<f4"), ("has_single", "?"), ("end", "V3"),
    ]
)  # fmt: skip


def checked_seed(seed: Any) -> int:
    """A seed as an unsigned 64-bit number: negative ones count from the end.

    >>> checked_seed(-1) == 2**64 - 1
    True
    """
    if isinstance(seed, (bool, np.bool_)) or not isinstance(seed, (int, np.integer)):
        raise OperationError(f"manual_seed expected an int as seed, but got {type(seed).__name__}")
    if not -(2**63) <= seed < 2**64:
        raise ValueOptionError(f"Overflow: a seed must be from -2**63 to 2**64 - 1, and {seed} is not")
    return int(seed) % 2**64


class Generator:
    """A source of random numbers, which gives those of PyTorch's CPU generator for the same seed.

    >>> generator = Generator().manual_seed(0)
    >>> generator.initial_seed(), generator.words(2)
    (0, array([2357136044, 2546248239], dtype=uint64))
    """

    wrap: Callable[[NDArray[np.uint8]], Any] = staticmethod(lambda state: state)
    """Makes what `get_state` returns; `tensors` makes it a Tensor."""

    def __init__(self, device: Any = "cpu") -> None:
        check_device(device)
        self._bits: Any = None
        self._legacy: Any = None
        self._seed_with(67280421310721)

    @property
    def device(self) -> device:
        """The CPU."""
        return device("cpu")

    def __repr__(self) -> str:
        return f"<torch.Generator seed={self._seed}>"

    def __getstate__(self) -> bytes:
        return self._state().tobytes()

    def __setstate__(self, state: bytes) -> None:
        self.__init__()  # type: ignore[misc]
        self.set_state(np.frombuffer(state, np.uint8))

    def _seed_with(self, seed: int) -> None:
        self._seed = seed
        self._seeded = False  # when numbers are needed: importing chainrule.torch needs no numpy.random
        self._fresh = True
        self.next_normal: float | None = None
        """The second of the last two normal numbers drawn one by one, until it is used."""

    @property
    def _engine(self) -> Any:
        if not self._seeded:
            if self._bits is None:
                self._bits, self._legacy = np.random.MT19937(0), np.random.RandomState(0)
            # Of a 64-bit seed, PyTorch's engine uses the lower half.
            self._legacy.seed(self._seed & 0xFFFFFFFF)
            self._bits.state = self._legacy.get_state(legacy=False)
            self._seeded = True
        return self._bits

    # seeds and states ------------------------------------------------------------------------------------

    def manual_seed(self, seed: int) -> Generator:
        """Start again from a seed."""
        self._seed_with(checked_seed(seed))
        return self

    def seed(self) -> int:
        """Start again from a seed that cannot be foreseen, and return it."""
        self._seed_with(secrets.randbits(53))
        return self._seed

    def initial_seed(self) -> int:
        """The seed from which this generator was started."""
        return self._seed

    def _state(self) -> NDArray[np.void]:
        engine = self._engine.state["state"]
        state = np.zeros((), _STATE)
        position = 0 if self._fresh else int(engine["pos"])
        state["seed"], state["seeded"], state["words"] = self._seed, 1, engine["key"]
        state["next"], state["left"] = position, 1 if self._fresh else WORDS + 1 - position
        if self.next_normal is not None:
            state["normal"], state["has_normal"] = self.next_normal, 1
        return state

    def get_state(self) -> Any:
        """The state, as the 5056 bytes of PyTorch's own.

        >>> generator = Generator().manual_seed(1)
        >>> state = generator.get_state()
        >>> first = generator.words(3)
        >>> generator.set_state(state).words(3) == first
        array([ True,  True,  True])
        """
        return self.wrap(np.frombuffer(self._state().tobytes(), np.uint8).copy())

    def set_state(self, new_state: Any) -> Generator:
        """Continue from a state that `get_state` returned, here or in PyTorch."""
        data = np.asarray(getattr(new_state, "_data", new_state))
        if data.dtype != np.uint8:
            raise ArgumentError(
                f"RNG state must be a torch.ByteTensor, but its elements are {data.dtype.name}"
            )
        if data.size != _STATE.itemsize:
            raise OperationError(f"Expected a state of {_STATE.itemsize} bytes but found {data.size}")
        state = np.frombuffer(data.tobytes(), _STATE)[0]
        position, left = int(state["next"]), int(state["left"])
        if state["seeded"] != 1 or not 0 < left <= WORDS or position > WORDS:
            raise OperationError("Invalid mt19937 state: these bytes are no state of a generator")
        self._seed_with(int(state["seed"]))
        self._fresh = position == 0
        engine = self._engine
        key = state["words"].astype(np.uint32)
        engine.state = {
            "bit_generator": "MT19937",
            "state": {"key": key, "pos": WORDS if left == 1 else position},
        }
        if state["has_normal"]:
            self.next_normal = float(state["normal"])
        return self

    def clone_state(self) -> Generator:
        """Another generator, in the same state."""
        other = type(self)()
        other.__setstate__(self.__getstate__())
        return other

    # numbers ---------------------------------------------------------------------------------------------

    def words(self, count: int) -> NDArray[np.uint64]:
        """The next numbers of 32 bits."""
        if count:
            self._fresh = False
        check_not_tracing("random numbers are drawn")
        drawn: NDArray[np.uint64] = self._engine.random_raw(count)
        return drawn

    def long_words(self, count: int) -> NDArray[np.uint64]:
        """The next numbers of 64 bits: two of 32 bits each, the upper half first."""
        pairs = self.words(2 * count).reshape(count, 2)
        return pairs[:, 0] << np.uint64(32) | pairs[:, 1]

    def uniform(self, count: int, kind: Any = np.float64) -> NDArray[Any]:
        """The next numbers from [0, 1): of 53 random bits in float64, else of 24 in float32.

        >>> Generator().manual_seed(0).uniform(2, np.float32)
        array([0.4962566, 0.7682218], dtype=float32)
        """
        if kind == np.float64:
            return (self.long_words(count) & np.uint64(2**53 - 1)) * 2.0**-53
        return (self.words(count) & np.uint64(2**24 - 1)).astype(np.float32) * np.float32(2.0**-24)


default_generator = Generator()
"""The generator of every sampler that is given none."""
default_generator.seed()
