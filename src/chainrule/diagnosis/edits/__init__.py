"""Every edit of the true sweep that a person may have made, made by generators.

A generator takes the Scene and yields Candidates; importing its module enters it. The likelier kinds come first:
a search that has explained everything may stop.
"""

from chainrule.diagnosis.edits import functions, paths, places, products, wholes, operands, factors  # isort: skip
from chainrule.diagnosis.edits.candidates import GENERATORS, Candidate, Generator, Meaning

POOLED = (
    factors.extra_factors,
    operands.wrong_operands,
    operands.wrong_numerators,
    functions.half_replaced,
    operands.other_cotangents,
)
"""The generators that try every value of the forward pass: too many for pairs of the likelier kinds."""

__all__ = [
    "GENERATORS",
    "POOLED",
    "Candidate",
    "Generator",
    "Meaning",
    "functions",
    "paths",
    "places",
    "products",
    "wholes",
]
