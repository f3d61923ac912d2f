"""Larger networks, compiled, beside PyTorch eager: an LSTM, a small convolutional one, four wide layers."""

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

import chainrule as cr
from benchmarks import THREADS
from benchmarks.children import child
from benchmarks.contestants import available
from benchmarks.measure import Step, alternate, microseconds, ratio
from benchmarks.models import Array
from benchmarks.report import Finding
from chainrule import ops

SECONDS = 6.0
RATE = np.float32(0.01)
TOLERANCE = 1e-3
UNITS = 64
WIDE = 1024
Parameters = Mapping[str, Array]


class Network(NamedTuple):
    """The loss in our spelling, its arrays, and a PyTorch module with the names of its parameters."""

    loss: Callable[..., Any]
    parameters: Parameters
    X: Array
    Y: Array
    peer: Callable[[Any, Parameters], Any]
    limit: float


def normal(random: np.random.Generator, scale: float, *shape: int) -> Array:
    return random.normal(size=shape, scale=scale).astype(np.float32)


# an LSTM ------------------------------------------------------------------------------------------------------


def lstm() -> Network:
    """64 units, 50 steps, 32 rows of 16 features; the last state is projected to a number."""
    draw = partial(normal, np.random.default_rng(0), 0.2)
    shapes = {"W": (16, 4 * UNITS), "U": (UNITS, 4 * UNITS), "b": (4 * UNITS,), "V": (UNITS, 1)}
    parameters = {name: draw(*shape) for name, shape in shapes.items()}
    return Network(lstm_loss, parameters, draw(50, 32, 16), draw(32, 1), torch_lstm, 1.0)


def lstm_loss(p: Any, X: Any, Y: Any) -> Any:
    h = c = np.zeros((X.shape[1], UNITS), np.float32)
    for x in X:
        z = x @ p["W"] + h @ p["U"] + p["b"]
        i, f, g, o = (z[:, UNITS * j : UNITS * (j + 1)] for j in range(4))
        c = ops.sigmoid(f) * c + ops.sigmoid(i) * np.tanh(g)
        h = ops.sigmoid(o) * np.tanh(c)
    return ((h @ p["V"] - Y) ** 2).mean()


def torch_lstm(torch: Any, p: Parameters) -> Any:
    cells = torch.nn.LSTM(16, UNITS)
    cells.bias_hh_l0.requires_grad_(False).zero_()
    V = torch.nn.Parameter(torch.tensor(p["V"]))
    put(torch, {cells.weight_ih_l0: p["W"].T, cells.weight_hh_l0: p["U"].T, cells.bias_ih_l0: p["b"]})
    named = {"W": cells.weight_ih_l0, "U": cells.weight_hh_l0, "b": cells.bias_ih_l0, "V": V}
    return named, lambda X, Y: ((cells(X)[0][-1] @ V - Y) ** 2).mean()


# a convolutional network ----------------------------------------------------------------------------------------


def cnn() -> Network:
    """Two convolutions of 3×3 with 8 and 16 channels, each halved by pooling, on 32 images of 28×28."""
    random = np.random.default_rng(0)
    draw = partial(normal, random, 0.2)
    shapes = {
        "K1": (8, 1, 3, 3),
        "c1": (8, 1, 1),
        "K2": (16, 8, 3, 3),
        "c2": (16, 1, 1),
        "W": (784, 10),
        "b": (10,),
    }
    parameters = {name: draw(*shape) for name, shape in shapes.items()}
    return Network(cnn_loss, parameters, draw(32, 1, 28, 28), random.integers(0, 10, 32), torch_cnn, 1.0)


def cnn_loss(p: Any, X: Any, Y: Any) -> Any:
    H = X
    for K, c in ((p["K1"], p["c1"]), (p["K2"], p["c2"])):
        H = ops.relu(ops.convolution(H, K, stride=(1, 1), padding=(1, 1), dilation=(1, 1)) + c)
        rows, channels, height, width = H.shape
        H = H.reshape((rows, channels, height // 2, 2, width // 2, 2)).max(axis=(3, 5))
    return ops.cross_entropy(H.reshape((len(X), -1)) @ p["W"] + p["b"], Y)


def torch_cnn(torch: Any, p: Parameters) -> Any:
    named = {name: torch.nn.Parameter(torch.tensor(value)) for name, value in p.items()}
    functional = torch.nn.functional

    def loss(X: Any, Y: Any) -> Any:
        H = X
        for K, c in (("K1", "c1"), ("K2", "c2")):
            H = functional.relu(functional.conv2d(H, named[K], named[c].reshape(-1), padding=1))
            H = functional.max_pool2d(H, 2)
        return functional.cross_entropy(H.flatten(1) @ named["W"] + named["b"], Y)

    return named, loss


# wide layers ----------------------------------------------------------------------------------------------------


def wide() -> Network:
    """Four layers of 1024, tanh between them, 512 rows."""
    draw = partial(normal, np.random.default_rng(0), 0.05)
    parameters = {f"W{i}": draw(WIDE, WIDE) for i in range(4)} | {f"b{i}": draw(WIDE) for i in range(4)}
    return Network(wide_loss, parameters, draw(512, WIDE), draw(512, WIDE), torch_wide, 1.05)


def wide_loss(p: Any, X: Any, Y: Any) -> Any:
    H = X
    for i in range(3):
        H = np.tanh(H @ p[f"W{i}"] + p[f"b{i}"])
    return ((H @ p["W3"] + p["b3"] - Y) ** 2).mean()


def torch_wide(torch: Any, p: Parameters) -> Any:
    layers = [torch.nn.Linear(WIDE, WIDE) for _ in range(4)]
    put(torch, {layer.weight: p[f"W{i}"].T for i, layer in enumerate(layers)})
    put(torch, {layer.bias: p[f"b{i}"] for i, layer in enumerate(layers)})
    parts = [part for layer in layers for part in (layer, torch.nn.Tanh())][:-1]
    model = torch.nn.Sequential(*parts)
    named = {f"W{i}": layer.weight for i, layer in enumerate(layers)}
    named |= {f"b{i}": layer.bias for i, layer in enumerate(layers)}
    return named, lambda X, Y: ((model(X) - Y) ** 2).mean()


def put(torch: Any, values: Mapping[Any, Array]) -> None:
    with torch.no_grad():
        for parameter, value in values.items():
            parameter.copy_(torch.tensor(np.ascontiguousarray(value)))


NETWORKS: Mapping[str, Callable[[], Network]] = {"lstm": lstm, "cnn": cnn, "wide": wide}

# measuring ----------------------------------------------------------------------------------------------------------


def larger_networks() -> list[Finding]:
    """In this process, one thread; the wide one again with two, in a process that has them from the beginning."""
    if available("pytorch") is not None:
        return [Finding("larger networks", "PyTorch is missing", "", None)]
    findings = [finding(name, *measure_network(name)) for name in NETWORKS]
    two = child("network", "wide", BENCHMARK_THREADS="2")
    return [*findings, finding("wide, two threads", *two)]


def finding(name: str, ours: float, theirs: float, share: float, limit: float) -> Finding:
    measured = f"{share:.2f} ({ours / 1e3:.2f} ms, PyTorch {theirs / 1e3:.2f} ms)"
    return Finding(f"{name}: compiled / PyTorch eager", measured, f"<= {limit:.2f}", share <= limit)


def measure_network(name: str) -> tuple[float, float, float, float]:
    """µs of a step, of one of PyTorch, their ratio, and what it may be; refused where they disagree."""
    network = NETWORKS[name]()
    torch = import_module("torch")
    torch.set_num_threads(THREADS)
    theirs = torch_step(torch, network)
    check(name, network, theirs)
    timings = alternate({"compiled": compiled_step(name), "pytorch": theirs}, SECONDS)
    times = microseconds(timings, "compiled"), microseconds(timings, "pytorch")
    return *times, ratio(timings, "compiled", "pytorch"), network.limit


def step_of(loss: Callable[..., Any]) -> Callable[..., Any]:
    differentiate = cr.value_and_grad(loss)

    def step(parameters: Any, X: Any, Y: Any) -> Any:
        value, gradient = differentiate(parameters, X, Y)
        return {name: p - RATE * gradient[name] for name, p in parameters.items()}, value

    return step


def compiled_step(name: str) -> Step:
    network = NETWORKS[name]()
    train, parameters = cr.compile(step_of(network.loss)), network.parameters

    def step() -> object:
        nonlocal parameters
        parameters, loss = train(parameters, network.X, network.Y)
        return loss

    return step


def torch_step(torch: Any, network: Network) -> Any:
    named, loss_of = network.peer(torch, network.parameters)
    optimizer = torch.optim.SGD(list(named.values()), lr=float(RATE))
    X, Y = torch.tensor(network.X), torch.tensor(network.Y)

    def step() -> object:
        optimizer.zero_grad()
        loss = loss_of(X, Y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    step.gradients = lambda: {name: p.grad.numpy() for name, p in named.items()}  # type: ignore[attr-defined]
    return step


def check(name: str, network: Network, theirs: Any) -> None:
    """The same loss, and the same step of each parameter."""
    after, loss = cr.compile(step_of(network.loss))(dict(network.parameters), network.X, network.Y)
    other = float(theirs())
    assert abs(float(loss) - other) < TOLERANCE * abs(other), f"{name}: the losses are {loss} and {other}"
    for key, gradient in theirs.gradients().items():
        mine = (network.parameters[key] - after[key]) / RATE
        gradient = (
            gradient.T if mine.shape != gradient.shape or (key[0] in "WU" and name != "cnn") else gradient
        )
        scale = np.abs(gradient).max()
        noise = np.abs(network.parameters[key]).max() * np.finfo(np.float32).eps / RATE
        assert np.abs(mine - gradient).max() < TOLERANCE * scale + 2 * noise, (
            f"{name}: {key} is trained differently"
        )
