"""Trees keep their structure, and say where two of them differ."""

from __future__ import annotations

import pytest

from chainrule.errors import InputError
from chainrule.trees import leaves, mapped


def test_leaves_carry_their_paths() -> None:
    tree = {"a": [1.0, (2.0, None)], "b": {}}
    assert list(leaves(tree)) == [("['a'][0]", 1.0), ("['a'][1][0]", 2.0)]


def test_mapping_several_trees() -> None:
    assert mapped(lambda a, b: a * b, [1.0, {"x": 2.0}], [3.0, {"x": 4.0}]) == [3.0, {"x": 8.0}]


@pytest.mark.parametrize("other", [[1.0], {"x": 1.0}, 3.0, {"a": 1.0, "b": 2.0}])
def test_another_structure_is_named(other: object) -> None:
    with pytest.raises(InputError, match=r"the parts \['a'\]"):
        mapped(lambda a, b: a, {"a": 1.0}, other)
