"""The listings that people read: whole, and compared with the engine. `LISTINGS_WRITE=1` renews the files."""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graph.networks import NETWORKS, loss, weights

import chainrule as cr
from chainrule.trees import leaves

LISTINGS = Path(__file__).parent / "listings"


@pytest.mark.parametrize("name", NETWORKS)
def test_the_listing_is_as_it_was_read(name: str) -> None:
    f, args = NETWORKS[name]
    source = re.sub(r", line \d+\)", ")", cr.derive(f, *args).source)
    path = LISTINGS / f"{name}.txt"
    if os.environ.get("LISTINGS_WRITE"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(source, encoding="utf-8")
    assert source == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NETWORKS)
def test_the_listing_computes_what_the_engine_does(name: str) -> None:
    f, args = NETWORKS[name]
    derivation = cr.derive(f, *args)
    many = tuple(range(len(args)))
    for shift in (0.0, 0.25):  # at the point it was derived at, and at another
        moved = [cr.trees.mapped(lambda a: a + shift, a) for a in args]  # noqa: B023
        value, gradient = derivation.function(*moved)
        expected, g = cr.value_and_grad(f, many if len(many) > 1 else 0)(*moved)
        np.testing.assert_allclose(value, expected, rtol=1e-13)
        for (_, found), (_, wanted) in zip(leaves(gradient), leaves(g), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-12)


def test_no_listing_has_a_name_that_nobody_would_write() -> None:
    for f, args in NETWORKS.values():
        names = re.findall(r"^    (\w+) =", cr.derive(f, *args).source, flags=re.MULTILINE)
        assert not [n for n in names if re.fullmatch(r"(t|tmp|v|var)\d+", n)]


def test_the_backward_pass_of_the_4_2_3_network_is_short() -> None:
    source = str(cr.derive(loss, *weights((4, 2), (2, 3))))
    backward = source.partition("# backward")[2].partition("return")[0]
    assert len([line for line in backward.splitlines() if line.strip()]) <= 8
    assert not re.search(r"reshape|broadcast_to|np\.ones|np\.full", backward)
    assert {"d_Yhat", "d_H", "d_W1", "d_W2"} <= set(re.findall(r"\w+", backward))


def test_a_long_function_is_derived_right() -> None:
    def long(x: Any) -> Any:
        for _ in range(100):
            y = np.sin(x) * 0.9
            x = y + x / 3
        return x.sum()

    assert len(cr.trace(long, np.ones(4)).equations) == 401
    value, gradient = cr.derive(long, np.ones(4)).function(np.ones(4))
    expected, g = cr.value_and_grad(long)(np.ones(4))
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_allclose(gradient, g, rtol=1e-10)
