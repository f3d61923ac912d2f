"""`check_layer`: hand-written layers of many kinds, right ones and wrong ones, and what cannot be checked."""

import copy
import re
from typing import Any

import numpy as np
import pytest

import chainrule.torch as facade
from chainrule.diagnosis import Report, check_layer
from chainrule.errors import InputError

Array = Any


def codes(report: Report) -> dict[str, str]:
    return {f.parameter: f.code for f in report.findings}


def proved(report: Report) -> bool:
    return all(
        f.error_after is not None and f.error_after < 1e-8 for f in report.findings if f.verdict == "wrong"
    )


def drawn(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed + sum(shape)).normal(size=shape)


def sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


# functions with a cache ------------------------------------------------------------------------------------------


def affine(x: Array, w: Array, b: Array) -> Any:
    return x.reshape(len(x), -1) @ w + b, (x, w)


def affine_backward(dout: Array, cache: Any, average: bool = False) -> Any:
    x, w = cache
    db = dout.mean(axis=0) if average else dout.sum(axis=0)
    return (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout, db


def test_a_right_layer_is_right_and_stays_as_it_was() -> None:
    x, w, b = drawn(4, 2, 3), drawn(6, 4), drawn(4)
    before = copy.deepcopy((x, w, b))
    report = check_layer(affine, affine_backward, x, (w, b))
    assert report.ok and codes(report) == {"x": "CR000", "w": "CR000", "b": "CR000"}
    assert all(np.array_equal(a, c) for a, c in zip((x, w, b), before, strict=True))


def test_an_average_is_told_from_other_lengths_by_another_number_of_rows() -> None:
    """With four rows and four columns, the factor 1/4 could be either."""
    report = check_layer(
        affine,
        lambda dout, cache: affine_backward(dout, cache, True),
        drawn(4, 2, 3),
        (drawn(6, 4), drawn(4)),
    )
    assert codes(report) == {"x": "CR000", "w": "CR000", "b": "CR115"} and proved(report)
    assert "rows" in report.findings[2].sentence


def relu(x: Array) -> Any:
    return np.maximum(0, x), x


def relu_backward(dout: Array, cache: Array) -> Array:
    return np.where(dout > 0, dout, 0.0)


def test_ones_would_hide_this_mistake() -> None:
    report = check_layer(relu, relu_backward, drawn(4, 5))
    assert codes(report) == {"x": "CR103"} and proved(report)
    assert "mask" in report.findings[0].sentence


def batch_norm(x: Array, gamma: Array, beta: Array, settings: dict[str, Any]) -> Any:
    mean, var = x.mean(axis=0), x.var(axis=0)
    settings["running_mean"] = 0.9 * settings.get("running_mean", 0.0) + 0.1 * mean
    std = np.sqrt(var + settings["eps"])
    xhat = (x - mean) / std
    return gamma * xhat + beta, (xhat, gamma, std)


def batch_norm_backward(dout: Array, cache: Any, constant: bool = False) -> Any:
    xhat, gamma, std = cache
    dxhat = dout * gamma
    dx = dxhat - dxhat.mean(0) - (0 if constant else xhat * (dxhat * xhat).mean(0))
    return dx / std, (dout * xhat).sum(0), dout.sum(0)


@pytest.mark.parametrize(("constant", "code"), [(False, "CR000"), (True, "CR120")])
def test_settings_are_passed_and_left_alone(constant: bool, code: str) -> None:
    settings = {"eps": 1e-5, "mode": "train"}
    report = check_layer(
        batch_norm, lambda dout, cache: batch_norm_backward(dout, cache, constant), drawn(6, 3),
        (drawn(3), drawn(3, seed=1), settings),
    )  # fmt: skip
    assert codes(report) == {"x": code, "gamma": "CR000", "beta": "CR000"} and proved(report)
    assert settings == {"eps": 1e-5, "mode": "train"}


def convolve(x: Array, w: Array, b: Array) -> Any:
    size = w.shape[-1]
    out = np.zeros((len(x), len(w), x.shape[2] - size + 1, x.shape[3] - size + 1))
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            patch = x[:, None, :, i : i + size, j : j + size]
            out[:, :, i, j] = (patch * w).sum(axis=(2, 3, 4)) + b
    return out, (x, w)


def convolve_backward(dout: Array, cache: Any, add: bool = True) -> Any:
    x, w = cache
    size = w.shape[-1]
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            g = dout[:, :, i, j][:, :, None, None, None]
            dw += (g * x[:, None, :, i : i + size, j : j + size]).sum(axis=0)
            part = (g * w).sum(axis=1)
            dx[:, :, i : i + size, j : j + size] = part + (dx[:, :, i : i + size, j : j + size] if add else 0)
    return dx, dw, dout.sum(axis=(0, 2, 3))


def test_results_may_be_written_into_an_array_of_zeros() -> None:
    given = drawn(2, 2, 4, 4), (drawn(3, 2, 3, 3), drawn(3))
    assert check_layer(convolve, convolve_backward, *given).ok
    report = check_layer(convolve, lambda dout, cache: convolve_backward(dout, cache, False), *given)
    assert codes(report) == {"x": "CR130", "w": "CR000", "b": "CR000"} and proved(report)


def attention(q: Array, k: Array, v: Array) -> Any:
    scores = q @ k.T / np.sqrt(q.shape[1])
    e = np.exp(scores - scores.max(-1, keepdims=True))
    p = e / e.sum(-1, keepdims=True)
    return p @ v, (q, k, v, p)


def attention_backward(dout: Array, cache: Any, diagonal: bool = False) -> Any:
    q, k, v, p = cache
    dp = dout @ v.T
    ds = dp * p * (1 - p) if diagonal else p * (dp - (dp * p).sum(-1, keepdims=True))
    ds = ds / np.sqrt(q.shape[1])
    return ds @ k, ds.T @ q, p.T @ dout


@pytest.mark.parametrize(("diagonal", "code"), [(False, "CR000"), (True, "CR117")])
def test_attention_has_three_inputs(diagonal: bool, code: str) -> None:
    report = check_layer(
        attention,
        lambda dout, cache: attention_backward(dout, cache, diagonal),
        (drawn(4, 3), drawn(5, 3), drawn(5, 2)),
    )
    assert codes(report) == {"q": code, "k": code, "v": "CR000"} and proved(report)


def embed(tokens: Array, W: Array) -> Any:
    return W[tokens], (tokens, W)


def test_integers_have_no_gradient_and_repeated_rows_are_added() -> None:
    def backward(dout: Array, cache: Any, add: bool = False) -> Array:
        tokens, W = cache
        dW = np.zeros_like(W)
        if add:
            np.add.at(dW, tokens, dout)
        else:
            dW[tokens] += dout
        return dW

    given = np.array([[0, 1, 1], [2, 0, 1]]), drawn(4, 3)
    assert codes(check_layer(embed, lambda d, c: backward(d, c, True), *given)) == {"W": "CR000"}
    assert codes(check_layer(embed, backward, *given)) == {"W": "CR130"}


# several outputs, and time -----------------------------------------------------------------------------------------


def lstm_step(x: Array, prev_h: Array, prev_c: Array, Wx: Array, Wh: Array, b: Array) -> Any:
    a = x @ Wx + prev_h @ Wh + b
    n = prev_h.shape[1]
    i, f, o, g = (
        sigmoid(a[:, :n]),
        sigmoid(a[:, n : 2 * n]),
        sigmoid(a[:, 2 * n : 3 * n]),
        np.tanh(a[:, 3 * n :]),
    )
    next_c = f * prev_c + i * g
    next_h = o * np.tanh(next_c)
    return next_h, next_c, (i, f, o, g, x, prev_h, prev_c, Wx, Wh, next_c)


def lstm_step_backward(dnext_h: Array, dnext_c: Array, cache: Any, both: bool = True) -> Any:
    i, f, o, g, x, prev_h, prev_c, Wx, Wh, next_c = cache
    dc = dnext_h * o * (1 - np.tanh(next_c) ** 2) + (dnext_c if both else 0)
    do = dnext_h * np.tanh(next_c)
    da = np.hstack([dc * g * i * (1 - i), dc * prev_c * f * (1 - f), do * o * (1 - o), dc * i * (1 - g**2)])
    return da @ Wx.T, da @ Wh.T, dc * f, x.T @ da, prev_h.T @ da, da.sum(axis=0)


def test_every_output_has_a_cotangent_of_its_own() -> None:
    given = (drawn(3, 4), drawn(3, 5), drawn(3, 5, seed=1)), (drawn(4, 20), drawn(5, 20), drawn(20))
    assert check_layer(lstm_step, lstm_step_backward, *given).ok

    def forgetful(dnext_h: Array, dnext_c: Array, cache: Any) -> Any:
        return lstm_step_backward(dnext_h, dnext_c, cache, both=False)

    report = check_layer(lstm_step, forgetful, *given)
    assert set(codes(report).values()) == {"CR116"} and proved(report)
    assert all(
        f.sentence == "dnext_c, which arrives at an output, is not used in forgetful."
        for f in report.findings
    )


def rnn(x: Array, h0: Array, Wx: Array, Wh: Array, b: Array) -> Any:
    h = np.zeros((len(x), x.shape[1], h0.shape[1]))
    prev = h0
    for t in range(x.shape[1]):
        prev = np.tanh(x[:, t] @ Wx + prev @ Wh + b)
        h[:, t] = prev
    return h, (x, h0, Wx, Wh, b, h)


def rnn_backward(dh: Array, cache: Any, through_time: bool = True) -> Any:
    x, h0, Wx, Wh, b, h = cache
    dx, dWx, dWh, db = (np.zeros_like(a) for a in (x, Wx, Wh, b))
    later = np.zeros_like(h0)
    for t in reversed(range(x.shape[1])):
        dz = (dh[:, t] + (later if through_time else 0)) * (1 - h[:, t] ** 2)
        prev = h[:, t - 1] if t else h0
        dx[:, t] = dz @ Wx.T
        dWx, dWh, db = dWx + x[:, t].T @ dz, dWh + prev.T @ dz, db + dz.sum(axis=0)
        later = dz @ Wh.T
    return dx, later, dWx, dWh, db


def test_a_sequence_goes_in_and_one_comes_out() -> None:
    given = (drawn(2, 4, 3), drawn(2, 5)), (drawn(3, 5), drawn(5, 5), drawn(5))
    assert check_layer(rnn, rnn_backward, *given).ok
    report = check_layer(rnn, lambda dh, cache: rnn_backward(dh, cache, False), *given)
    assert set(codes(report).values()) == {"CR124"} and proved(report)


# other ways of calling ---------------------------------------------------------------------------------------------


def test_backward_may_take_the_arguments_again() -> None:
    def forward(x: Array, w: Array, b: Array) -> Array:
        return np.tanh(x @ w + b)

    def backward(dout: Array, x: Array, w: Array, b: Array) -> Any:
        dz = dout * (1 - np.tanh(x @ w + b) ** 2)
        return dz @ w.T, x.T @ dz, dz.sum(axis=0)

    def some(dout: Array, x: Array) -> Array:
        return dout * (1 - x**2)

    given = drawn(4, 3), (drawn(3, 2), drawn(2))
    assert check_layer(forward, backward, *given).ok
    assert codes(check_layer(lambda x: np.tanh(x), some, drawn(4, 3))) == {"x": "CR103"}


def test_gradients_may_have_names() -> None:
    def backward(dout: Array, cache: Any) -> Any:
        dx, dw, db = affine_backward(dout, cache)
        return {"db": db, "dx": dx, "dw": -dw}

    report = check_layer(affine, backward, drawn(5, 6), (drawn(6, 4), drawn(4)))
    assert codes(report) == {"x": "CR000", "w": "CR107", "b": "CR000"}


def test_a_gradient_that_is_not_returned_is_said() -> None:
    report = check_layer(affine, lambda d, c: affine_backward(d, c)[:2], drawn(5, 6), (drawn(6, 4), drawn(4)))
    assert report.ok and codes(report) == {"x": "CR000", "w": "CR000"}
    assert any("no gradient for b" in note for note in report.notes)


def test_a_factor_is_no_convention_in_a_layer() -> None:
    report = check_layer(lambda x: (np.tanh(x), x), lambda d, x: 2 * d * (1 - np.tanh(x) ** 2), drawn(4, 3))
    assert codes(report) == {"x": "CR108"} and proved(report)


def test_tensors_of_other_libraries_are_arrays() -> None:
    x, w, b = (facade.tensor(drawn(*s)) for s in ((5, 6), (6, 4), (4,)))
    assert check_layer(affine, affine_backward, x, (w, b)).ok


def test_single_precision_is_no_mistake() -> None:
    given = [a.astype(np.float32) for a in (drawn(5, 6), drawn(6, 4), drawn(4))]
    assert check_layer(affine, affine_backward, given[0], tuple(given[1:])).ok


# objects -----------------------------------------------------------------------------------------------------------


class Dense:
    """As in many tutorials: backward updates the weights, before or after it uses them."""

    def __init__(self, late: bool) -> None:
        self.weights, self.bias, self.calls, self.late = drawn(3, 2), drawn(2), 0, late

    def forward(self, x: Array) -> Array:
        self.input = x
        self.calls += 1
        return x @ self.weights + self.bias

    def backward(self, output_gradient: Array, learning_rate: float) -> Array:
        before = output_gradient @ self.weights.T
        self.weights -= learning_rate * self.input.T @ output_gradient
        self.bias -= learning_rate * output_gradient.sum(axis=0)
        return output_gradient @ self.weights.T if self.late else before


@pytest.mark.parametrize(("late", "code"), [(False, "CR000"), (True, "CR201")])
def test_a_layer_that_updates_itself(late: bool, code: str) -> None:
    layer = Dense(late)
    weights = layer.weights.copy()
    report = check_layer(layer, inputs=drawn(4, 3))
    assert codes(report) == {"x": code, "weights": "CR000", "bias": "CR000"} and proved(report)
    assert layer.calls == 0 and np.array_equal(layer.weights, weights) and not hasattr(layer, "input")


class Network:
    """Parameters and gradients in dicts; gradients are added up, as some do."""

    def __init__(self, factor: float = 1.0) -> None:
        self.params = {"W1": drawn(3, 4), "b1": drawn(4), "W2": drawn(4, 2)}
        self.grads = {name: np.ones_like(p) for name, p in self.params.items()}
        self.factor = factor

    def forward(self, x: Array) -> Array:
        self.x, self.h = x, sigmoid(x @ self.params["W1"] + self.params["b1"])
        return self.h @ self.params["W2"]

    def backward(self, dout: Array) -> Array:
        self.grads["W2"] = self.h.T @ dout
        dz = dout @ self.params["W2"].T * self.h * (1 - self.h)
        self.grads["W1"], self.grads["b1"] = self.x.T @ dz * self.factor, dz.sum(axis=0) * self.factor
        return dz @ self.params["W1"].T


def test_parameters_and_gradients_in_dicts() -> None:
    network = Network()
    report = check_layer(network.forward, network.backward, drawn(4, 3))
    assert report.ok and set(codes(report)) == {"x", "W1", "b1", "W2"}
    assert any("params.W1 (grads.W1)" in note for note in report.notes)
    report = check_layer(Network(2.0), inputs=drawn(4, 3))
    assert codes(report) == {"x": "CR000", "W1": "CR108", "b1": "CR108", "W2": "CR000"} and proved(report)


class Stack:
    def __init__(self) -> None:
        self.layers = [Plain(3, 4), Plain(4, 2)]

    def forward(self, x: Array) -> Array:
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dout: Array) -> Array:
        for layer in self.layers[::-1]:
            dout = layer.backward(dout)
        return dout


class Plain:
    def __init__(self, n: int, m: int) -> None:
        self.W, self.b = drawn(n, m), drawn(m)
        self.dW, self.db = np.zeros((n, m)), np.zeros(m)

    def forward(self, x: Array) -> Array:
        self.x, self.out = x, np.tanh(x @ self.W + self.b)
        return self.out

    def backward(self, dout: Array) -> Array:
        dz = dout * (1 - self.out**2)
        self.dW[:], self.db[:] = self.x.T @ dz, dz.sum(axis=0)
        return dz @ self.W.T


def test_layers_inside_of_layers() -> None:
    report = check_layer(Stack(), inputs=drawn(5, 3))
    assert report.ok and len(report.findings) == 5


class Scaled:
    def __init__(self) -> None:
        self.gamma = drawn(3)

    def forward(self, x: Array) -> Array:
        return x * self.gamma

    def backward(self, dout: Array) -> Array:
        return dout * self.gamma


def test_a_parameter_without_a_gradient_is_said() -> None:
    report = check_layer(Scaled(), inputs=drawn(4, 3))
    assert codes(report) == {"x": "CR000"}
    assert any("No gradient was found for gamma" in note for note in report.notes)


# noise -------------------------------------------------------------------------------------------------------------


def dropout(x: Array, p: float = 0.5) -> Any:
    mask = (np.random.rand(*x.shape) < p) / p
    return x * mask, mask


def test_noise_of_numpys_generator_is_the_same_in_every_run() -> None:
    state = np.random.get_state(legacy=False)["state"]["key"].copy()
    assert check_layer(dropout, lambda dout, mask: dout * mask, drawn(6, 3)).ok
    report = check_layer(dropout, lambda dout, mask: dout * (mask > 0), drawn(6, 3))
    assert codes(report) == {"x": "CR122"} and proved(report)
    assert np.array_equal(np.random.get_state(legacy=False)["state"]["key"], state)


def test_noise_that_is_drawn_anew() -> None:
    report = check_layer(
        dropout, lambda dout, mask: dout * (np.random.rand(*dout.shape) < 0.5) / 0.5, drawn(6, 3)
    )
    assert codes(report) == {"x": "CR123"} and proved(report)


def test_noise_that_cannot_be_repeated_is_refused() -> None:
    def forward(x: Array) -> Any:
        mask = np.random.default_rng().random(x.shape) < 0.5
        return x * mask, mask

    with pytest.raises(InputError, match="gives another value each time") as caught:
        check_layer(forward, lambda dout, mask: dout * mask, drawn(6, 3))
    assert "mask" in str(caught.value) and "seed the generator" in str(caught.value)


# what does not fit together ------------------------------------------------------------------------------------------


def test_shapes_that_are_wrong_are_findings() -> None:
    def backward(dout: Array, cache: Any) -> Any:
        dx, dw, _ = affine_backward(dout, cache)
        return dx, dw.T, dout

    report = check_layer(affine, backward, drawn(5, 6), (drawn(6, 4), drawn(4)))
    assert codes(report) == {"x": "CR000", "w": "CR301", "b": "CR302"} and proved(report)


@pytest.mark.parametrize(
    ("forward", "backward", "inputs", "params", "message"),
    [
        (affine, lambda d, c: affine_backward(d, c)[1], drawn(5, 6), (drawn(6, 4), drawn(4)),
         "returned 1 gradients, but affine takes 3 arrays.*that of w"),
        (affine, lambda d, c: affine_backward(d, c)[1].T, drawn(5, 6), (drawn(6, 4), drawn(4)),
         "that of w, transposed"),
        (affine, lambda d, c: None, drawn(5, 6), (drawn(6, 4), drawn(4)), "returned 0 gradients"),
        (affine, affine_backward, np.arange(30).reshape(5, 6), (drawn(6, 4), drawn(4)), r"x, which is int64.*\.astype"),
        (affine, affine_backward, drawn(5, 7), (drawn(6, 4), drawn(4)),
         r"affine fails on the given inputs \(x float64"),
        (affine, affine_backward, np.full((5, 6), np.nan), (drawn(6, 4), drawn(4)), r"x is nan at \[0, 0\]"),
        (lambda x: "text", lambda d: d, drawn(3), None, "returned 'text'; expected an array"),
        (affine, lambda d, c, e: d, drawn(5, 6), (drawn(6, 4), drawn(4)), "cannot be called with what affine returns"),
        (Dense, None, drawn(4, 3), None, "is a class; give an object"),
        (3.0, None, drawn(4, 3), None, "an object that has both"),
        (affine, {"db": 1}, drawn(4, 3), None, "which is no function"),
        (affine, lambda d, c: {"dq": 1.0}, drawn(5, 6), (drawn(6, 4), drawn(4)), "dq is none of x, w, b"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(
    forward: Any, backward: Any, inputs: Any, params: Any, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        check_layer(forward, backward, inputs, params)
    assert re.search(message, str(caught.value), re.DOTALL), str(caught.value)
