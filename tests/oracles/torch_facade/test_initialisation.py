"""After `manual_seed`, every layer begins with the numbers that it begins with in PyTorch, bit for bit."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch as real

from chainrule import torch as ours

LAYERS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("Linear", (3, 5), {}),
    ("Linear", (30, 50), {}),
    ("Linear", (4, 1), {"bias": False}),
    ("Bilinear", (3, 4, 5), {}),
    ("Conv1d", (3, 4, 5), {}),
    ("Conv2d", (3, 8, 3), {"groups": 1}),
    ("Conv2d", (4, 8, (3, 2)), {"groups": 2, "bias": False}),
    ("Conv3d", (2, 3, 2), {}),
    ("ConvTranspose1d", (3, 4, 5), {}),
    ("ConvTranspose2d", (4, 6, 3), {"groups": 2}),
    ("ConvTranspose3d", (2, 3, 2), {}),
    ("Embedding", (10, 3), {}),
    ("Embedding", (7, 2), {"padding_idx": 1}),
    ("EmbeddingBag", (10, 3), {}),
    ("RNN", (3, 4), {"num_layers": 2, "bidirectional": True}),
    ("LSTM", (3, 4), {"num_layers": 2}),
    ("LSTM", (3, 5), {"proj_size": 2, "bidirectional": True}),
    ("GRU", (3, 4), {"bias": False}),
    ("RNNCell", (3, 4), {}),
    ("LSTMCell", (3, 4), {}),
    ("GRUCell", (3, 4), {}),
    ("MultiheadAttention", (8, 2), {}),
    ("MultiheadAttention", (8, 2), {"kdim": 3, "vdim": 5, "add_bias_kv": True}),
    ("TransformerEncoderLayer", (8, 2, 16), {}),
    ("TransformerDecoderLayer", (8, 2, 16), {}),
    ("Transformer", (8, 2, 1, 1, 16), {}),
    ("PReLU", (3,), {}),
    ("BatchNorm2d", (3,), {}),
    ("LayerNorm", (3,), {}),
]
INITS: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
    ("uniform_", (3, 7), {"a": -1.0, "b": 2.0}),
    ("normal_", (3, 4), {"mean": 1.0, "std": 0.1}),
    ("normal_", (5, 7), {}),
    ("constant_", (2, 3), {"val": 0.3}),
    ("eye_", (3, 5), {}),
    ("dirac_", (4, 2, 3, 3), {"groups": 2}),
    ("xavier_uniform_", (5, 7), {"gain": 1.4}),
    ("xavier_normal_", (5, 7, 2), {}),
    ("kaiming_uniform_", (5, 7), {"mode": "fan_out", "nonlinearity": "relu"}),
    ("kaiming_normal_", (5, 7), {"a": 0.2}),
    ("trunc_normal_", (5, 7), {"std": 0.7, "a": -1.0, "b": 1.5}),
    ("sparse_", (8, 3), {"sparsity": 0.3}),
]


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "enable_nested_tensor")
        yield


def made(
    library: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], dtype: str
) -> dict[str, np.ndarray]:
    library.manual_seed(7)
    module = getattr(library.nn, name)(*args, **kwargs, dtype=getattr(library, dtype))
    return {key: value.numpy() for key, value in module.state_dict().items()}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "args", "kwargs"), LAYERS, ids=repr)
def test_a_layer_begins_with_the_same_numbers(name: str, args: Any, kwargs: Any, dtype: str) -> None:
    expected, found = made(real, name, args, kwargs, dtype), made(ours, name, args, kwargs, dtype)
    assert list(found) == list(expected)
    for key, value in expected.items():
        assert found[key].dtype == value.dtype
        np.testing.assert_array_equal(found[key], value, err_msg=key)


@pytest.mark.parametrize(("name", "shape", "kwargs"), INITS, ids=repr)
def test_an_initialisation_draws_the_same_numbers(name: str, shape: tuple[int, ...], kwargs: Any) -> None:
    real.manual_seed(3), ours.manual_seed(3)
    expected = getattr(real.nn.init, name)(real.empty(shape), **kwargs)
    found = getattr(ours.nn.init, name)(ours.empty(shape), **kwargs)
    np.testing.assert_array_equal(found.numpy(), expected.numpy())


def test_an_orthogonal_matrix_is_the_same_up_to_rounding() -> None:
    for shape in ((5, 3), (3, 5), (4, 2, 3)):
        real.manual_seed(3), ours.manual_seed(3)
        expected, found = (
            real.nn.init.orthogonal_(real.empty(shape)),
            ours.nn.init.orthogonal_(ours.empty(shape)),
        )
        np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-6)


@pytest.mark.parametrize(
    "name", ["Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"]
)
@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 3, 4, 5), (3, 2, 3, 4, 5)])
@pytest.mark.filterwarnings("ignore:dropout")
def test_dropout_drops_the_same_elements(name: str, shape: tuple[int, ...]) -> None:
    shape = shape[:3] if name == "Dropout1d" else shape
    results = []
    for library in (real, ours):
        library.manual_seed(5)
        results.append(getattr(library.nn, name)(0.3)(library.ones(shape)).numpy())
    np.testing.assert_allclose(results[1], results[0], rtol=3e-7, atol=1e-7)


def test_a_seeded_training_is_the_same() -> None:
    losses = []
    for library in (real, ours):
        library.manual_seed(0)
        nn = library.nn
        model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 3))
        x, y = library.randn(20, 4), library.randint(0, 3, (20,))
        history = []
        for _ in range(10):
            loss = nn.CrossEntropyLoss()(model(x), y)
            model.zero_grad()
            loss.backward()
            with library.no_grad():
                for p in model.parameters():
                    p -= 0.1 * p.grad
            history.append(loss.item())
        losses.append(history)
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
