"""Answering `import torch` and `import tensorflow` with the façades."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

FACADES = {
    "torch": "chainrule.torch",
    "tensorflow": "chainrule.tensorflow",
    "keras": "chainrule.tensorflow.keras",
}
"""Which of our packages answers for which library."""

_TOGETHER = {"tensorflow": ("tensorflow", "keras"), "keras": ("tensorflow", "keras")}

Loaded = Callable[[str, ModuleType], None]


class _SameModule(Loader):
    """Hands out a module of ours under another name."""

    def __init__(self, ours: str, loaded: Loaded | None) -> None:
        self.ours, self.loaded = ours, loaded

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = import_module(self.ours)
        self.spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        name = module.__spec__.name if module.__spec__ else ""
        module.__spec__ = self.spec  # the import system has just put the other name's there
        if self.loaded is not None and "." not in name:
            self.loaded(name, module)


class FacadeFinder(MetaPathFinder):
    """Finds `torch.nn.functional` at `chainrule.torch.nn.functional`, and so on."""

    def __init__(self, names: Mapping[str, str], loaded: Loaded | None = None) -> None:
        self.names, self.loaded = names, loaded

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The specification of a library's module; None for a module of another library."""
        root, dot, rest = fullname.partition(".")
        if root not in self.names:
            return None
        ours = self.names[root] + dot + rest
        if not _exists(ours):
            raise ModuleNotFoundError(
                f"{self.names[root]}, which answers for {root} here, has no module {rest or root!r}; "
                f"where {root} is installed, --real {root} runs the program with it",
                name=fullname,
            )
        return ModuleSpec(fullname, _SameModule(ours, self.loaded), is_package=True)


def _exists(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


@contextmanager
def answered_by_facades(real: Collection[str] = (), loaded: Loaded | None = None) -> Iterator[None]:
    """While the body runs, `import torch` gives `chainrule.torch`, and so on; the libraries `real` are left.

    Libraries that are imported already are put aside, and are back afterwards. `loaded(name, module)` is
    called whenever a façade is imported for the first time.

    >>> with answered_by_facades():
    ...     import tensorflow as tf
    >>> tf.__name__
    'chainrule.tensorflow'
    """
    kept_real = {name for library in real for name in _TOGETHER.get(library, (library,))}
    names = {name: ours for name, ours in FACADES.items() if name not in kept_real}
    aside = _taken_out(names)
    finder = FacadeFinder(names, loaded)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        _taken_out(names)
        sys.modules.update(aside)


def _taken_out(names: Collection[str]) -> dict[str, ModuleType]:
    ours = [name for name in sys.modules if name.partition(".")[0] in names]
    return {name: sys.modules.pop(name) for name in ours}
