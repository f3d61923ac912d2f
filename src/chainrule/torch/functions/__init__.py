"""The functions of `torch`, by their names there."""

from __future__ import annotations

from typing import Any

from chainrule.torch.functions import calculus as _calculus
from chainrule.torch.functions import creation as _creation
from chainrule.torch.functions import decompositions as _decompositions
from chainrule.torch.functions import elementwise as _elementwise
from chainrule.torch.functions import indexed as _indexed
from chainrule.torch.functions import joining as _joining
from chainrule.torch.functions import linear as _linear
from chainrule.torch.functions import ordering as _ordering
from chainrule.torch.functions import parts as _parts
from chainrule.torch.functions import products as _products
from chainrule.torch.functions import randoms as _randoms
from chainrule.torch.functions import reductions as _reductions
from chainrule.torch.functions import scattering as _scattering
from chainrule.torch.functions import searching as _searching
from chainrule.torch.functions import shapes as _shapes
from chainrule.torch.functions import turning as _turning
from chainrule.torch.functions.elementwise import UNARY as UNARY
from chainrule.torch.functions.registry import METHODS as METHODS
from chainrule.torch.functions.registry import PUBLIC as PUBLIC

MODULES = (
    _calculus,
    _creation,
    _decompositions,
    _elementwise,
    _indexed,
    _joining,
    _linear,
    _ordering,
    _parts,
    _products,
    _randoms,
    _reductions,
    _scattering,
    _searching,
    _shapes,
    _turning,
)


def __getattr__(name: str) -> Any:
    try:
        return PUBLIC[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
