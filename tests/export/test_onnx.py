"""What onnxruntime computes with an exported model is what chainrule computes."""

from typing import Any

import numpy as np
import pytest
from cases import CASES, Case

import chainrule as cr
from chainrule.errors import UnsupportedError
from chainrule.export import onnx as exported
from chainrule.export.operators import OPERATORS
from chainrule.graph.emit.expansion import COMPOUND

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def run(model: Any, inputs: dict[str, Any]) -> list[Any]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, inputs)  # type: ignore[no-any-return]


# every primitive ----------------------------------------------------------------------------------------------

PLAIN = [case for case in CASES if case.draws]


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("case", PLAIN, ids=repr)
def test_every_case_row_agrees_or_is_refused(case: Case, dtype: Any) -> None:
    arrays = case.drawn(dtype)
    try:
        graph = cr.trace(lambda *xs: case(*xs), *arrays)
    except UnsupportedError:
        pytest.skip("cannot be traced")
    if not graph.inputs or not graph.equations:
        pytest.skip("nothing of it is traced")
    known = OPERATORS.keys() | COMPOUND
    try:
        model = exported(graph)
    except UnsupportedError as refusal:
        assert "cannot be exported to ONNX" in str(refusal) and "line" in str(refusal)
        if all(e.name in known for e in graph.equations):
            assert "with several arrays" in str(refusal) or "of " in str(refusal) or "over" in str(refusal)
        return
    given = dict(zip([i.name for i in model.graph.input], arrays, strict=True))
    tolerance = 2e-6 if dtype == np.float64 and not uses_single(model) else 2e-5
    for found, wanted in zip(run(model, given), leaves_of(graph(*arrays)), strict=True):
        assert found.shape == np.shape(wanted) and found.dtype == np.asarray(wanted).dtype
        np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


def uses_single(model: Any) -> bool:
    return any(node.op_type == "Cast" for node in model.graph.node)


def leaves_of(tree: Any) -> list[Any]:
    if isinstance(tree, tuple | list):
        return [leaf for part in tree for leaf in leaves_of(part)]
    return [tree]


def test_most_primitives_can_be_exported() -> None:
    assert len(OPERATORS) > 80
