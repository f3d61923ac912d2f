"""tf.keras: layers and losses against their formulas, optimizers against Keras', training as a whole."""

import math
from typing import Any

import numpy as np
import pytest

from chainrule import tensorflow as tf
from chainrule.errors import IndependentWarning
from chainrule.tensorflow.keras import layers, losses, metrics, optimizers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype(np.float32)
CLASSES = (X[:, 0] + X[:, 1] > 0).astype(np.int64) + (X[:, 2] > 1)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    tf.keras.utils.set_random_seed(0)
    tf.keras.backend.clear_session()


# layers --------------------------------------------------------------------------------------------------


def test_dense() -> None:
    layer = layers.Dense(3, activation="tanh")
    out = layer(X)
    w, b = layer.get_weights()
    np.testing.assert_allclose(out, np.tanh(X @ w + b), rtol=1e-5)
    assert (w.shape, b.shape, layer.count_params()) == ((4, 3), (3,), 15)
    assert [v.name for v in layer.weights] == ["dense/kernel:0", "dense/bias:0"]
    assert np.abs(w).max() <= math.sqrt(6 / 7)
    layer.set_weights([w * 0, b + 1])
    np.testing.assert_allclose(layer(X), np.full((60, 3), np.tanh(1.0)), rtol=1e-6)
    assert layers.Dense(2).name == "dense_1"


def test_layers_are_built_once_and_check_their_input() -> None:
    layer = layers.Dense(2)
    with pytest.raises(RuntimeError, match="no weights before it is built"):
        layer.count_params()
    layer(X)
    with pytest.raises(ValueError, match="expected axis -1 of input shape to have value 4"):
        layer(np.zeros((2, 5)))
    with pytest.raises(ValueError, match="has 2 weights, but was given 1"):
        layer.set_weights([np.zeros((4, 2))])
    with pytest.raises(ValueError, match="Dense takes no argument 'activaton'"):
        layers.Dense(2, activaton="relu")
    with pytest.raises(ValueError, match="no activation 'rellu'; there are elu"):
        layers.Dense(2, activation="rellu")


def test_shapes_of_layers() -> None:
    images = np.zeros((2, 8, 6, 3))
    for layer, shape in (
        (layers.Flatten(), (2, 144)),
        (layers.Reshape((16, 9)), (2, 16, 9)),
        (layers.Conv2D(5, 3), (2, 6, 4, 5)),
        (layers.Conv2D(5, (3, 1), strides=2, padding="same"), (2, 4, 3, 5)),
        (layers.MaxPooling2D(), (2, 4, 3, 3)),
        (layers.AveragePooling2D((2, 3)), (2, 4, 2, 3)),
        (layers.GlobalAveragePooling2D(), (2, 3)),
        (layers.GlobalMaxPooling2D(), (2, 3)),
        (layers.BatchNormalization(), (2, 8, 6, 3)),
        (layers.Rescaling(1 / 255), (2, 8, 6, 3)),
        (layers.Lambda(lambda x: x[:, 0]), (2, 6, 3)),
        (layers.ReLU(), (2, 8, 6, 3)),
        (layers.LeakyReLU(), (2, 8, 6, 3)),
        (layers.Softmax(), (2, 8, 6, 3)),
        (layers.Activation("swish"), (2, 8, 6, 3)),
    ):
        assert layer(images).shape == shape, layer.name
    sequences = np.zeros((2, 5, 3))
    for layer, shape in (
        (layers.SimpleRNN(4), (2, 4)),
        (layers.GRU(4, return_sequences=True), (2, 5, 4)),
        (layers.Bidirectional(layers.LSTM(4)), (2, 8)),
        (layers.Bidirectional(layers.LSTM(4, return_sequences=True)), (2, 5, 8)),
    ):
        assert layer(sequences).shape == shape, layer.name
    assert layers.Embedding(10, 4)(np.array([[1, 2], [3, 9]])).shape == (2, 2, 4)
    assert layers.Concatenate()([X, X]).shape == (60, 8)
    np.testing.assert_allclose(layers.Add()([X, X]), 2 * X)
    np.testing.assert_allclose(layers.Multiply()([X, X]), X * X)
    with pytest.raises(ValueError, match="expected ndim=3"):
        layers.LSTM(3)(X)


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def test_lstm_against_its_formula() -> None:
    x = RNG.normal(size=(2, 3, 4)).astype(np.float32)
    layer = layers.LSTM(5, return_sequences=True, return_state=True)
    out, last_h, last_c = layer(x)
    w, u, b = layer.get_weights()
    assert b.tolist() == [0.0] * 5 + [1.0] * 5 + [0.0] * 10
    h = c = np.zeros((2, 5))
    for t in range(3):
        i, f, g, o = np.split(x[:, t] @ w + h @ u + b, 4, axis=1)
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        h = _sigmoid(o) * np.tanh(c)
        np.testing.assert_allclose(out[:, t], h, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(last_h, h, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(last_c, c, rtol=1e-4, atol=1e-6)


def test_gru_and_rnn_against_their_formulas() -> None:
    x = RNG.normal(size=(2, 3, 4)).astype(np.float32)
    gru, rnn = layers.GRU(5), layers.SimpleRNN(5)
    found = gru(x), rnn(x)
    (w, u, b), (v, r, d) = gru.get_weights(), rnn.get_weights()
    h = s = np.zeros((2, 5))
    for t in range(3):
        xz, xr, xh = np.split(x[:, t] @ w + b[0], 3, axis=1)
        hz, hr, hh = np.split(h @ u + b[1], 3, axis=1)
        z = _sigmoid(xz + hz)
        h = z * h + (1 - z) * np.tanh(xh + _sigmoid(xr + hr) * hh)
        s = np.tanh(x[:, t] @ v + s @ r + d)
    np.testing.assert_allclose(found[0], h, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found[1], s, rtol=1e-4, atol=1e-6)


def test_dropout_and_batch_normalisation_differ_in_training() -> None:
    drop, norm = layers.Dropout(0.5), layers.BatchNormalization(momentum=0.5)
    np.testing.assert_array_equal(drop(X), X)
    assert 0.3 < (drop(X, training=True).numpy() == 0).mean() < 0.7
    out = norm(X, training=True).numpy()
    np.testing.assert_allclose(out.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(norm.moving_mean, 0.5 * X.mean(0), rtol=1e-5)
    np.testing.assert_allclose(
        norm(X), (X - 0.5 * X.mean(0)) / np.sqrt(0.5 + 0.5 * X.var(0) + 1e-3), rtol=1e-4
    )
    assert len(norm.trainable_variables) == 2
    assert len(norm.non_trainable_variables) == 2
    with pytest.raises(ValueError, match="`rate`: 2"):
        layers.Dropout(2)


def test_layer_normalisation() -> None:
    expected = (X - X.mean(1, keepdims=True)) / np.sqrt(X.var(1, keepdims=True) + 1e-3)
    np.testing.assert_allclose(layers.LayerNormalization()(X), expected, rtol=1e-4, atol=1e-6)


INITIAL = [
    ("glorot_uniform", 1 / 75),
    ("he_normal", 2 / 100),
    ("lecun_normal", 1 / 100),
    ("random_normal", 0.05**2),
]


@pytest.mark.parametrize(("name", "variance"), INITIAL)
def test_the_variance_of_initial_weights(name: str, variance: float) -> None:
    values = tf.keras.initializers.get(name)((100, 50)).numpy()
    assert values.var() == pytest.approx(variance, rel=0.1)
    assert values.mean() == pytest.approx(0, abs=3 * math.sqrt(variance / 5000))


def test_orthogonal_and_constant_initial_weights() -> None:
    q = tf.keras.initializers.Orthogonal()((6, 3)).numpy()
    np.testing.assert_allclose(q.T @ q, np.eye(3), atol=1e-6)
    assert tf.keras.initializers.Constant(2.0)((2,)).numpy().tolist() == [2.0, 2.0]
    assert tf.keras.initializers.get("ones")((1,)).numpy().tolist() == [1.0]
    assert tf.keras.initializers.Identity(2.0)((2, 2)).numpy().tolist() == [[2, 0], [0, 2]]
    with pytest.raises(ValueError, match="no initializer 'one'"):
        tf.keras.initializers.get("one")


# losses and metrics --------------------------------------------------------------------------------------

T, P = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[0.2, 0.8], [0.6, 0.4]])
LOGITS = np.array([[1.0, -2.0], [0.5, 0.1]])
_LOG_SOFTMAX = LOGITS - np.log(np.exp(LOGITS).sum(1, keepdims=True))
LOSSES: list[tuple[Any, Any, Any, float]] = [
    (losses.MeanSquaredError(), T, P, np.mean((T - P) ** 2)),
    (losses.MeanAbsoluteError(), T, P, np.mean(np.abs(T - P))),
    (losses.MeanSquaredError(reduction="sum"), T, P, np.mean((T - P) ** 2, 1).sum()),
    (losses.BinaryCrossentropy(), T, P, -np.mean(T * np.log(P) + (1 - T) * np.log(1 - P))),
    (losses.BinaryCrossentropy(from_logits=True), T, LOGITS, np.mean(np.log1p(np.exp(LOGITS)) - T * LOGITS)),
    (losses.CategoricalCrossentropy(), T, P, -np.mean((T * np.log(P)).sum(1))),
    (losses.CategoricalCrossentropy(from_logits=True), T, LOGITS, -np.mean((T * _LOG_SOFTMAX).sum(1))),
    (losses.SparseCategoricalCrossentropy(), np.array([1, 0]), P, -np.mean(np.log([0.8, 0.6]))),
    (losses.SparseCategoricalCrossentropy(from_logits=True), np.array([[1], [0]]), LOGITS,
     -np.mean(_LOG_SOFTMAX[[0, 1], [1, 0]])),
    (losses.Huber(0.3), T, P, np.mean([0.5 * 0.04] * 2 + [0.3 * 0.4 - 0.045] * 2)),
    (losses.Hinge(), 2 * T - 1, P, np.mean(np.maximum(0, 1 - (2 * T - 1) * P))),
    (losses.KLDivergence(), P, P[::-1], np.mean((P * np.log(P / P[::-1])).sum(1))),
]  # fmt: skip


@pytest.mark.parametrize(("loss", "y", "p", "expected"), LOSSES, ids=range(len(LOSSES)))
def test_losses(loss: Any, y: Any, p: Any, expected: float) -> None:
    assert float(loss(y, p)) == pytest.approx(expected, rel=1e-6)


def test_losses_check_their_arguments() -> None:
    assert losses.MeanSquaredError(reduction="none")(T, P).shape == (2,)
    weighted = losses.MeanSquaredError()([[1.0], [2.0]], [[0.0], [0.0]], sample_weight=[1.0, 0.0])
    assert float(weighted) == 0.5
    assert float(losses.get(lambda y, p: abs(y - p))(tf.constant([1.0]), tf.constant([3.0]))) == 2.0
    with pytest.raises(ValueError, match="class numbers are for sparse_categorical_crossentropy"):
        losses.categorical_crossentropy([1, 0], P)
    with pytest.raises(ValueError, match="BinaryCrossentropy takes no argument 'logits'"):
        losses.BinaryCrossentropy(logits=True)
    with pytest.raises(ValueError, match="no loss 'msee'; there are mse"):
        losses.get("msee")
    with pytest.raises(ValueError, match="reduction='means'"):
        losses.Loss("means")


METRICS: list[tuple[Any, Any, Any, float]] = [
    (metrics.Accuracy(), [1, 2, 3, 4], [1, 2, 0, 4], 0.75),
    (metrics.BinaryAccuracy(), [1, 0, 1], [[0.9], [0.2], [0.4]], 2 / 3),
    (metrics.CategoricalAccuracy(), T, P, 1.0),
    (metrics.SparseCategoricalAccuracy(), [1, 1], P, 0.5),
    (metrics.get("accuracy"), [1, 1], P, 0.5),
    (metrics.get("accuracy"), T, P, 1.0),
    (metrics.get("accuracy"), [1, 0], [0.7, 0.6], 0.5),
    (metrics.MeanSquaredError(), T, P, np.mean((T - P) ** 2)),
    (metrics.MeanAbsoluteError(), T, P, np.mean(np.abs(T - P))),
    (metrics.RootMeanSquaredError(), T, P, math.sqrt(np.mean((T - P) ** 2))),
    (metrics.get(lambda y, p: p - y), tf.constant([1.0]), tf.constant([3.0]), 2.0),
]


@pytest.mark.parametrize(("metric", "y", "p", "expected"), METRICS, ids=range(len(METRICS)))
def test_metrics(metric: Any, y: Any, p: Any, expected: float) -> None:
    metric.update_state(y, p)
    assert float(metric.result()) == pytest.approx(expected)
    metric.reset_state()
    assert float(metric.result()) == 0.0


def test_means_and_sums_are_collected() -> None:
    mean, total = metrics.Mean("m"), metrics.Sum()
    mean(1.0)
    assert float(mean(tf.constant([2.0, 6.0]))) == 3.0
    total([1.0, 2.0])
    assert float(total(4.0)) == 7.0
    with pytest.raises(ValueError, match="no metric 'acuracy'"):
        metrics.get("acuracy")


# optimizers ----------------------------------------------------------------------------------------------


def _steps(optimizer: Any, count: int = 3) -> list[float]:
    w = tf.Variable(1.0, dtype="float64")
    path = []
    for _ in range(count):
        with tf.GradientTape() as tape:
            loss = w * w
        optimizer.apply_gradients([(tape.gradient(loss, w), w)])
        path.append(float(w.numpy()))
    return path


def _by_hand(rule: Any, count: int = 3) -> list[float]:
    w, state, path = 1.0, {}, []
    for t in range(1, count + 1):
        w = rule(w, 2 * w, state, t)
        path.append(w)
    return path


def _momentum(w: float, g: float, s: dict[str, float], t: int) -> float:
    s["m"] = 0.9 * s.get("m", 0.0) - 0.1 * g
    return w + s["m"]


def _nesterov(w: float, g: float, s: dict[str, float], t: int) -> float:
    s["m"] = 0.9 * s.get("m", 0.0) - 0.1 * g
    return w + 0.9 * s["m"] - 0.1 * g


def _adam(w: float, g: float, s: dict[str, float], t: int) -> float:
    s["m"] = 0.9 * s.get("m", 0.0) + 0.1 * g
    s["v"] = 0.999 * s.get("v", 0.0) + 0.001 * g * g
    return w - 0.1 * math.sqrt(1 - 0.999**t) / (1 - 0.9**t) * s["m"] / (math.sqrt(s["v"]) + 1e-7)


def _rmsprop(w: float, g: float, s: dict[str, float], t: int) -> float:
    s["v"] = 0.9 * s.get("v", 0.0) + 0.1 * g * g
    return w - 0.1 * g / math.sqrt(s["v"] + 1e-7)


def _adagrad(w: float, g: float, s: dict[str, float], t: int) -> float:
    s["v"] = s.get("v", 0.1) + g * g
    return w - 0.1 * g / math.sqrt(s["v"] + 1e-7)


RULES = [
    (optimizers.SGD(0.1), lambda w, g, s, t: w - 0.1 * g),
    (optimizers.SGD(0.1, momentum=0.9), _momentum),
    (optimizers.SGD(0.1, momentum=0.9, nesterov=True), _nesterov),
    (optimizers.Adam(0.1), _adam),
    (optimizers.RMSprop(0.1), _rmsprop),
    (optimizers.Adagrad(0.1), _adagrad),
    (optimizers.AdamW(0.1, weight_decay=0.01), lambda w, g, s, t: _adam(w, g, s, t) - 0.1 * 0.01 * w),
    (optimizers.SGD(0.1, clipvalue=0.5), lambda w, g, s, t: w - 0.1 * min(g, 0.5)),
    (optimizers.SGD(0.1, clipnorm=0.5), lambda w, g, s, t: w - 0.1 * min(g, 0.5)),
    (optimizers.SGD(optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)),
     lambda w, g, s, t: w - 0.1 * 0.5 ** ((t - 1) / 2) * g),
]  # fmt: skip


@pytest.mark.parametrize(("optimizer", "rule"), RULES, ids=range(len(RULES)))
def test_update_rules_against_their_formulas(optimizer: Any, rule: Any) -> None:
    assert _steps(optimizer) == pytest.approx(_by_hand(rule), rel=1e-7)
    assert optimizer.iterations == 3


def test_rmsprop_with_momentum_goes_further_in_the_same_direction() -> None:
    assert _steps(optimizers.RMSprop(0.01, momentum=0.9))[2] < _steps(optimizers.RMSprop(0.01))[2]


def test_what_an_optimizer_does_with_gradients_that_are_none() -> None:
    w, v = tf.Variable(1.0), tf.Variable(2.0, name="lost")
    with pytest.warns(IndependentWarning, match=r"Gradients do not exist for variables \['lost:0'\]"):
        optimizers.SGD(0.5).apply_gradients([(tf.constant(1.0), w), (None, v)])
    assert (w.numpy(), v.numpy()) == (0.5, 2.0)
    with pytest.raises(ValueError, match="No gradients provided for any variable: lost:0"):
        optimizers.SGD().apply_gradients([(None, v)])
    with pytest.raises(ValueError, match="changes variables"):
        optimizers.SGD().apply_gradients([(tf.constant(1.0), tf.constant(1.0))])


def test_minimize_and_the_learning_rate() -> None:
    w = tf.Variable(1.0)
    optimizer = tf.optimizers.SGD(learning_rate=0.25)
    optimizer.minimize(lambda: w * w, [w])
    assert w.numpy() == 0.5
    optimizer.learning_rate = 0.5
    assert float(optimizer.learning_rate) == 0.5
    with tf.GradientTape() as tape:
        loss = w * w
    optimizer.minimize(loss, [w], tape=tape)
    assert w.numpy() == 0.0
    assert isinstance(optimizers.get("adam"), optimizers.Adam)
    with pytest.raises(ValueError, match="no optimizer 'adm'"):
        optimizers.get("adm")


# models --------------------------------------------------------------------------------------------------


def _classifier() -> Any:
    model = tf.keras.Sequential(
        [layers.Dense(16, activation="relu", input_shape=(4,)), layers.Dense(3, activation="softmax")]
    )
    model.compile(
        optimizer=optimizers.Adam(0.02), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def test_training_a_classifier(capsys: pytest.CaptureFixture[str]) -> None:
    model = _classifier()
    history = model.fit(X, CLASSES, epochs=30, batch_size=16, validation_split=0.2, verbose=0)
    assert sorted(history.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]
    loss, accuracy = model.evaluate(X, CLASSES, verbose=0)
    assert accuracy > 0.9
    probabilities = model.predict(X)
    assert type(probabilities) is np.ndarray
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    assert loss == pytest.approx(-np.log(probabilities[np.arange(60), CLASSES]).mean(), rel=1e-5)
    assert model.evaluate(X, CLASSES, verbose=0, return_dict=True)["loss"] == loss
    assert capsys.readouterr().out == ""


def test_what_training_prints(capsys: pytest.CaptureFixture[str]) -> None:
    model = _classifier()
    model.fit(X, CLASSES, epochs=2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[::2] == ["Epoch 1/2", "Epoch 2/2"]
    assert lines[1].startswith("2/2 - 0s - loss: ")
    assert " - accuracy: 0." in lines[1]
    model.summary()
    text = capsys.readouterr().out
    assert 'Model: "sequential"' in text
    assert "dense_1 (Dense)" in text
    assert "Total params: 131" in text


def test_the_same_seed_trains_the_same_model() -> None:
    found = []
    for _ in range(2):
        tf.keras.utils.set_random_seed(5)
        model = _classifier()
        model.fit(X, CLASSES, epochs=2, verbose=0)
        found.append(model.get_weights())
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_training_on_a_data_set_and_stopping_early() -> None:
    dataset = tf.data.Dataset.from_tensor_slices((X, CLASSES)).shuffle(60).batch(20)
    model = _classifier()
    stop = tf.keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True)
    seen: list[int] = []
    note = tf.keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    # Validation against wrong classes gets worse and worse.
    history = model.fit(
        dataset, epochs=50, validation_data=(X, 2 - CLASSES), callbacks=[stop, note], verbose=0
    )
    assert len(history.epoch) == len(seen) < 50
    best = min(history.history["val_loss"])
    assert model.evaluate(X, 2 - CLASSES, verbose=0)[0] == pytest.approx(best, rel=1e-4)


def test_a_model_of_ones_own_with_a_loop_of_ones_own() -> None:
    class Network(tf.keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = layers.Dense(8, activation="tanh")
            self.heads = [layers.Dense(1)]

        def call(self, inputs: Any, training: bool = False) -> Any:
            return self.heads[0](self.hidden(inputs))

    model, optimizer, mse = Network(), optimizers.Adam(0.05), losses.MeanSquaredError()
    with pytest.raises(RuntimeError, match="not yet been built"):
        model.summary()
    y = X.sum(1, keepdims=True)
    seen = []
    for _ in range(60):
        with tf.GradientTape() as tape:
            loss = mse(y, model(X, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        seen.append(float(loss))
    assert seen[-1] < 0.1 * seen[0]
    assert len(model.trainable_variables) == 4


def test_a_functional_model_with_two_branches() -> None:
    inputs = tf.keras.Input(shape=(4,))
    shared = layers.Dense(6, activation="relu")(inputs)
    left, right = layers.Dense(2)(shared), layers.Dense(2)(shared)
    model = tf.keras.Model(inputs=inputs, outputs=layers.Concatenate()([left, right]))
    assert repr(left) == "<KerasTensor shape=(None, 2)>"
    assert model(X).shape == (60, 4)
    assert [type(layer).__name__ for layer in model.layers] == ["Dense", "Dense", "Dense", "Concatenate"]
    assert model.count_params() == 30 + 14 + 14
    model.compile("sgd", "mse")
    losses_seen = model.fit(X, np.ones((60, 4)), epochs=3, verbose=0).history["loss"]
    assert losses_seen[-1] < losses_seen[0]
    assert [out.shape for out in tf.keras.Model(inputs, [left, right])(X)] == [(60, 2), (60, 2)]
    with pytest.raises(ValueError, match="Graph disconnected"):
        tf.keras.Model(tf.keras.Input((4,)), left)(X)


def test_training_a_small_network_of_images() -> None:
    y = np.arange(40) % 2
    images = RNG.normal(size=(40, 6, 6, 1)) * 0.1 + y[:, None, None, None]
    model = tf.keras.models.Sequential()
    model.add(tf.keras.Input((6, 6, 1)))
    for layer in (
        layers.Conv2D(4, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dropout(0.1),
    ):
        model.add(layer)
    model.add(layers.Dense(1, activation="sigmoid"))
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    model.fit(images, y, epochs=20, batch_size=10, verbose=0)
    assert model.evaluate(images, y, verbose=0)[1] > 0.9


def test_training_a_recurrent_network() -> None:
    x = RNG.normal(size=(64, 4, 1))
    y = x.sum(1)
    model = tf.keras.Sequential([layers.LSTM(8, input_shape=(4, 1)), layers.Dense(1)])
    model.compile(optimizers.Adam(0.02), "mse")
    seen = model.fit(x, y, epochs=25, batch_size=16, verbose=0).history["loss"]
    assert seen[-1] < 0.3 * seen[0]


def test_frozen_layers_are_not_trained() -> None:
    model = _classifier()
    model.layers[0].trainable = False
    before = model.get_weights()
    model.fit(X, CLASSES, epochs=1, verbose=0)
    changed = [bool((a != b).any()) for a, b in zip(before, model.get_weights(), strict=True)]
    assert changed == [False, False, True, True]


def test_a_step_on_one_batch() -> None:
    model = _classifier()
    first = model.train_on_batch(X, CLASSES)
    for _ in range(20):
        last = model.train_on_batch(X, CLASSES)
    assert last[0] < first[0]


def test_mistakes_with_models_are_named() -> None:
    model = tf.keras.Sequential([layers.Dense(1)])
    with pytest.raises(RuntimeError, match=r"You must call `compile\(\)`"):
        model.fit(X, CLASSES)
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"same number of samples: \[60, 2\]"):
        model.fit(X, CLASSES[:2], verbose=0)
    with pytest.raises(ValueError, match="training needs targets"):
        model.fit(X, verbose=0)
    with pytest.raises(ValueError, match="Sequential takes layers"):
        model.add("dense")
    with pytest.raises(ValueError, match="No such layer: nothing"):
        model.get_layer("nothing")


def test_modules_find_their_variables() -> None:
    class Line(tf.Module):
        def __init__(self) -> None:
            super().__init__(name="line")
            self.w = tf.Variable(2.0)
            self.parts = {"b": tf.Variable(1.0), "again": self.w}

    line = Line()
    assert line.name == "line"
    assert len(line.trainable_variables) == 2
    assert line.submodules == []


def test_classes_as_rows_with_a_one() -> None:
    assert tf.keras.utils.to_categorical([[2], [0]]).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert tf.keras.utils.to_categorical([0], 2).tolist() == [[1, 0]]
