"""`chainrule.torch.nn` without PyTorch: text, state, hooks, containers, errors, and what training needs."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from chainrule import torch
from chainrule.torch import nn
from chainrule.torch.nn import functional as F  # noqa: N812


class Network(nn.Module):
    """Two layers, a parameter and buffers of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 3)
        self.rest = nn.Sequential(nn.Tanh(), nn.Linear(3, 1))
        self.scale = nn.Parameter(torch.ones(1))
        self.register_buffer("count", torch.zeros(1))
        self.register_buffer("scratch", torch.zeros(1), persistent=False)

    def forward(self, x: Any) -> Any:
        return self.rest(self.first(x)) * self.scale


# text ----------------------------------------------------------------------------------------------------


def test_the_text_of_nested_modules() -> None:
    assert repr(Network()) == (
        "Network(\n"
        "  (first): Linear(in_features=2, out_features=3, bias=True)\n"
        "  (rest): Sequential(\n"
        "    (0): Tanh()\n"
        "    (1): Linear(in_features=3, out_features=1, bias=True)\n"
        "  )\n"
        ")"
    )


def test_equal_neighbours_in_a_list_are_counted() -> None:
    layers = nn.ModuleList([nn.ReLU(), nn.ReLU(), nn.Dropout(0.1)])
    assert repr(layers) == "ModuleList(\n  (0-1): 2 x ReLU()\n  (2): Dropout(p=0.1, inplace=False)\n)"


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (nn.ReLU(True), "ReLU(inplace=True)"),
        (nn.Conv2d(1, 2, 3, bias=False), "Conv2d(1, 2, kernel_size=(3, 3), stride=(1, 1), bias=False)"),
        (nn.LSTM(3, 4, 2, batch_first=True), "LSTM(3, 4, num_layers=2, batch_first=True)"),
        (nn.MaxPool2d(2), "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)"),
        (nn.Embedding(4, 3, padding_idx=-1), "Embedding(4, 3, padding_idx=3)"),
        (nn.CrossEntropyLoss(weight=torch.ones(2)), "CrossEntropyLoss()"),
        (nn.Flatten(), "Flatten(start_dim=1, end_dim=-1)"),
        (nn.LayerNorm(3), "LayerNorm((3,), eps=1e-05, elementwise_affine=True, bias=True)"),
    ],
    ids=str,
)  # fmt: skip
def test_the_text_of_a_layer(module: nn.Module, text: str) -> None:
    assert repr(module) == text


def test_the_text_of_a_parameter() -> None:
    shown = repr(nn.Parameter(torch.tensor([1.0, 2.0])))
    assert shown == "Parameter containing:\ntensor([1., 2.], requires_grad=True)"


# members -------------------------------------------------------------------------------------------------


def test_parameters_modules_and_buffers_are_found_in_order() -> None:
    net = Network()
    names = ["scale", "first.weight", "first.bias", "rest.1.weight", "rest.1.bias"]
    assert [n for n, _ in net.named_parameters()] == names
    assert [n for n, _ in net.named_buffers()] == ["count", "scratch"]
    assert [n for n, _ in net.named_modules()] == ["", "first", "rest", "rest.0", "rest.1"]
    assert [n for n, _ in net.named_children()] == ["first", "rest"]
    assert net.get_parameter("rest.1.bias") is net.rest[1].bias
    assert net.get_submodule("rest.0") is net.rest[0]
    assert net.get_buffer("count") is net.count


def test_a_shared_parameter_is_counted_once() -> None:
    net = Network()
    net.again = net.first
    assert len(list(net.parameters())) == 5
    assert len(list(net.named_parameters(remove_duplicate=False))) == 7


def test_assigning_to_members() -> None:
    net = Network()
    net.scale = None
    assert net.scale is None
    with pytest.raises(TypeError, match="cannot assign 'torch.FloatTensor' as parameter 'scale'"):
        net.scale = torch.ones(1)
    net.count = torch.ones(2)
    assert net.count.shape == (2,)
    del net.first
    with pytest.raises(AttributeError, match="'Network' object has no attribute 'first'"):
        net.first  # noqa: B018
    net.rest = nn.Identity()
    assert [n for n, _ in net.named_children()] == ["rest"]


def test_members_need_the_constructor() -> None:
    class Forgetful(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"cannot assign module before Module.__init__\(\) call"):
        Forgetful()


@pytest.mark.parametrize(
    ("name", "error"), [("a.b", KeyError), ("", KeyError), ("forward", KeyError), (3, TypeError)]
)
def test_names_that_no_member_can_have(name: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        nn.Identity().register_parameter(name, nn.Parameter(torch.ones(1)))
    with pytest.raises(error):
        nn.Identity().register_buffer(name, torch.ones(1))


def test_training_mode_and_requires_grad() -> None:
    net = Network().eval()
    assert not any(m.training for m in net.modules())
    assert net.train().rest[0].training
    net.first.requires_grad_(False)
    assert [p.requires_grad for p in net.parameters()] == [True, False, False, True, True]
    with pytest.raises(ValueError, match="boolean"):
        net.train("yes")


def test_apply_visits_what_is_inside_first() -> None:
    seen: list[str] = []
    nn.Sequential(nn.Linear(1, 1), nn.ReLU()).apply(lambda m: seen.append(type(m).__name__))
    assert seen == ["Linear", "ReLU", "Sequential"]


def test_conversion_keeps_the_parameters() -> None:
    net = Network()
    weight = net.first.weight
    net(torch.ones(1, 2)).sum().backward()
    assert net.double().first.weight is weight
    assert weight.dtype is torch.float64
    assert weight.grad.dtype is torch.float64
    assert net(torch.ones(1, 2, dtype=torch.float64)).dtype is torch.float64
    assert net.to(torch.float32).count.dtype is torch.float32
    with pytest.raises(TypeError, match="floating point"):
        net.to(torch.int64)


def test_zero_grad() -> None:
    net = Network()
    net(torch.ones(1, 2)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert all(float(p.grad.abs().sum()) == 0 for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_copies_are_independent() -> None:
    net = Network()
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert torch.equal(other.first.weight, net.first.weight)
        with torch.no_grad():
            other.first.weight.add_(1.0)
        assert not torch.equal(other.first.weight, net.first.weight)
        assert isinstance(other.first.weight, nn.Parameter)


def test_a_parameter_makes_tensors() -> None:
    p = nn.Parameter(torch.ones(2))
    assert type(p * 2) is torch.Tensor
    assert type(p.data) is torch.Tensor
    assert p.is_leaf


# state ---------------------------------------------------------------------------------------------------


def test_the_state_shares_memory_and_leaves_out_what_is_not_persistent() -> None:
    net = Network()
    state = net.state_dict()
    assert list(state) == ["scale", "count", "first.weight", "first.bias", "rest.1.weight", "rest.1.bias"]
    assert not state["scale"].requires_grad
    state["scale"][0] = 5.0
    assert float(net.scale) == 5.0


def test_state_goes_into_another_module() -> None:
    net, other = Network(), Network()
    assert repr(other.load_state_dict(net.state_dict())) == "<All keys matched successfully>"
    x = torch.randn(4, 2)
    assert torch.equal(net(x), other(x))


def test_what_does_not_fit_is_listed() -> None:
    net = Network()
    state = net.state_dict()
    del state["scale"]
    state["extra"] = torch.ones(1)
    state["first.bias"] = torch.ones(7)
    with pytest.raises(RuntimeError) as caught:
        net.load_state_dict(state)
    assert str(caught.value) == (
        "Error(s) in loading state_dict for Network:\n"
        '\tMissing key(s) in state_dict: "scale". \n'
        '\tUnexpected key(s) in state_dict: "extra". \n'
        "\tsize mismatch for first.bias: copying a param with shape torch.Size([7]) from checkpoint, the shape in "
        "current model is torch.Size([3])."
    )
    del state["first.bias"]
    found = net.load_state_dict(state, strict=False)
    assert (found.missing_keys, found.unexpected_keys) == (["scale", "first.bias"], ["extra"])


def test_assigned_state_is_the_tensors_themselves() -> None:
    net = nn.Linear(1, 1)
    given = {"weight": torch.ones(1, 1), "bias": torch.ones(1)}
    net.load_state_dict(given, assign=True)
    given["bias"][0] = 3.0
    assert float(net.bias) == 3.0
    assert isinstance(net.bias, nn.Parameter)


# hooks ---------------------------------------------------------------------------------------------------


def test_forward_hooks_see_and_replace() -> None:
    net = nn.Linear(2, 2, bias=False)
    nn.init.eye_(net.weight)
    before = net.register_forward_pre_hook(lambda m, args: (args[0] * 2,))
    after = net.register_forward_hook(lambda m, args, out: out + 1)
    assert net(torch.ones(2)).tolist() == [3.0, 3.0]
    before.remove()
    assert net(torch.ones(2)).tolist() == [2.0, 2.0]
    after.remove()
    assert net(torch.ones(2)).tolist() == [1.0, 1.0]


def test_hooks_with_keywords_and_on_errors() -> None:
    seen = []

    class Adds(nn.Module):
        def forward(self, x: Any, *, more: float) -> Any:
            if more < 0:
                raise ValueError("negative")
            return x + more

    net = Adds()
    net.register_forward_pre_hook(
        lambda m, args, kwargs: (args, {"more": kwargs["more"] + 1}), with_kwargs=True
    )
    net.register_forward_hook(lambda m, args, out: seen.append(out), always_call=True)
    assert net(torch.ones(1), more=1.0).tolist() == [3.0]
    with pytest.raises(ValueError, match="negative"):
        net(torch.ones(1), more=-5.0)
    assert seen[1] is None


def test_backward_hooks_see_and_replace_gradients() -> None:
    net, seen = nn.Linear(2, 1, bias=False), []
    nn.init.constant_(net.weight, 3.0)
    net.register_full_backward_pre_hook(lambda m, grads: (grads[0] * 2,))

    def hook(module: Any, grad_input: Any, grad_output: Any) -> Any:
        seen.append((grad_input, grad_output))
        return (grad_input[0] * 10,)

    net.register_full_backward_hook(hook)
    x = torch.ones(1, 2, requires_grad=True)
    net(x).sum().backward()
    ((grad_input, grad_output),) = seen
    assert grad_output[0].tolist() == [[2.0]]
    assert grad_input[0].tolist() == [[6.0, 6.0]]
    assert x.grad.tolist() == [[60.0, 60.0]]
    assert net.weight.grad.tolist() == [[2.0, 2.0]]


def test_a_backward_hook_without_gradients_of_inputs() -> None:
    net, seen = nn.Linear(2, 1), []
    net.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go[0].tolist())))
    net(torch.ones(1, 2)).sum().backward()
    assert seen == [((None,), [[1.0]])]


# containers ----------------------------------------------------------------------------------------------


def test_sequential_is_a_list() -> None:
    net = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1))
    assert len(net) == 3
    assert isinstance(net[-1], nn.Linear)
    assert [type(m).__name__ for m in net[:2]] == ["Linear", "ReLU"]
    net.append(nn.Tanh()).insert(0, nn.Identity())
    assert [type(m).__name__ for m in net] == ["Identity", "Linear", "ReLU", "Linear", "Tanh"]
    del net[0]
    assert list(net._modules) == ["0", "1", "2", "3"]
    with pytest.raises(IndexError, match="out of range"):
        net[7]


def test_dictionaries_and_lists_of_parameters() -> None:
    modules = nn.ModuleDict({"a": nn.Linear(1, 1)})
    modules["b"] = nn.ReLU()
    assert list(modules) == ["a", "b"]
    assert "a" in modules
    assert modules.pop("b").__class__ is nn.ReLU
    values = nn.ParameterList([torch.ones(2), nn.Parameter(torch.zeros(3))])
    values.append(torch.ones(1))
    assert [p.shape[0] for p in values] == [2, 3, 1]
    assert len(list(values.parameters())) == 3
    named = nn.ParameterDict({"w": torch.ones(2)})
    assert [n for n, _ in named.named_parameters()] == ["w"]
    assert named.get("x", 5) == 5


# errors --------------------------------------------------------------------------------------------------


def test_a_layer_that_does_not_fit_says_so() -> None:
    with pytest.raises(RuntimeError, match=r"mat1 and mat2 shapes cannot be multiplied \(4x3 and 2x5\)"):
        nn.Linear(2, 5)(torch.ones(4, 3))
    with pytest.raises(RuntimeError, match="same dtype"):
        nn.Linear(2, 5)(torch.ones(4, 2, dtype=torch.float64))
    with pytest.raises(RuntimeError, match="to have 1 channels, but got 2 channels instead"):
        nn.Conv2d(1, 1, 3)(torch.ones(1, 2, 5, 5))
    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        nn.BatchNorm1d(2)(torch.ones(1, 2))
    with pytest.raises(IndexError, match="out of range"):
        nn.Embedding(3, 2)(torch.tensor([3]))
    with pytest.raises(IndexError, match="Target 5 is out of bounds"):
        F.cross_entropy(torch.ones(1, 3), torch.tensor([5]))
    with pytest.raises(NotImplementedError, match='missing the required "forward"'):
        nn.Module()(1)


def test_a_missing_name_is_told_with_the_nearest() -> None:
    with pytest.raises(AttributeError, match="has no 'Liner'; the nearest names are Linear"):
        nn.Liner  # noqa: B018
    with pytest.raises(AttributeError, match="has no 'grid_sample'"):
        F.grid_sample  # noqa: B018
    with pytest.raises(AttributeError, match="has no 'weight_norm'"):
        nn.utils.weight_norm  # noqa: B018
    assert not hasattr(nn.init, "nothing")


def test_a_loss_of_unequal_sizes_warns() -> None:
    with pytest.warns(UserWarning, match="Using a target size"):
        F.mse_loss(torch.ones(3, 1), torch.ones(3))


# training ------------------------------------------------------------------------------------------------


def test_a_network_learns() -> None:
    torch.manual_seed(0)
    x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = torch.tensor([[0.0], [1.0], [1.0], [0.0]])
    net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    for _ in range(300):
        loss = F.binary_cross_entropy_with_logits(net(x), y)
        net.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in net.parameters():
                p -= 0.5 * p.grad
    assert loss.item() < 0.1


def test_running_statistics_and_dropout_depend_on_the_mode() -> None:
    norm, drop = nn.BatchNorm1d(2), nn.Dropout(0.5)
    x = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
    norm(x)
    np.testing.assert_allclose(norm.running_mean.numpy(), [0.2, 0.4], rtol=1e-6)
    assert int(norm.num_batches_tracked) == 1
    assert drop.eval()(x) is x
    assert set(drop.train()(torch.ones(100)).tolist()) == {0.0, 2.0}


def test_lazy_modules_take_their_shapes_from_the_first_input() -> None:
    layer = nn.LazyLinear(3)
    assert repr(layer.weight) == "<UninitializedParameter>"
    assert layer(torch.ones(2, 5)).shape == (2, 3)
    assert type(layer) is nn.Linear
    assert layer.weight.shape == (3, 5)
    assert type(layer.weight) is nn.Parameter


# utilities -----------------------------------------------------------------------------------------------


def test_gradients_are_clipped() -> None:
    p = nn.Parameter(torch.zeros(2))
    p.grad = torch.tensor([3.0, 4.0])
    assert float(nn.utils.clip_grad_norm_([p], 1.0)) == 5.0
    np.testing.assert_allclose(p.grad.numpy(), [0.6, 0.8], rtol=1e-5)
    nn.utils.clip_grad_value_(p, 0.7)
    assert p.grad.tolist() == pytest.approx([0.6, 0.7], rel=1e-5)
    p.grad = torch.tensor([np.inf, 1.0])
    with pytest.raises(RuntimeError, match="non-finite"):
        nn.utils.clip_grad_norm_(p, 1.0, error_if_nonfinite=True)


def test_parameters_as_a_vector() -> None:
    net = nn.Linear(2, 1)
    vector = nn.utils.parameters_to_vector(net.parameters())
    assert vector.shape == (3,)
    nn.utils.vector_to_parameters(torch.tensor([1.0, 2.0, 3.0]), net.parameters())
    assert net(torch.ones(2)).tolist() == [6.0]


def test_packed_sequences_come_back() -> None:
    sequences = [torch.tensor([[1.0]]), torch.tensor([[2.0], [3.0], [4.0]]), torch.tensor([[5.0], [6.0]])]
    packed = nn.utils.rnn.pack_sequence(sequences, enforce_sorted=False)
    assert packed.batch_sizes.tolist() == [3, 2, 1]
    assert packed.data.reshape(-1).tolist() == [2.0, 5.0, 1.0, 3.0, 6.0, 4.0]
    padded, lengths = nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    assert padded.squeeze(-1).tolist() == [[1.0, 0.0, 0.0], [2.0, 3.0, 4.0], [5.0, 6.0, 0.0]]
    assert lengths.tolist() == [1, 3, 2]
    for found, given in zip(nn.utils.rnn.unpack_sequence(packed), sequences, strict=True):
        assert torch.equal(found, given)
    with pytest.raises(RuntimeError, match="decreasing order"):
        nn.utils.rnn.pack_sequence(sequences)


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_a_packed_batch_gives_what_each_sequence_gives_alone(kind: Any) -> None:
    torch.manual_seed(0)
    net = kind(2, 3, num_layers=2, bidirectional=True)
    sequences = [torch.randn(n, 2) for n in (2, 4, 1)]
    out, last = net(nn.utils.rnn.pack_sequence(sequences, enforce_sorted=False))
    for i, (whole, sequence) in enumerate(zip(nn.utils.rnn.unpack_sequence(out), sequences, strict=True)):
        alone, end = net(sequence)
        np.testing.assert_allclose(whole.detach().numpy(), alone.detach().numpy(), rtol=1e-5, atol=1e-6)
        states = zip(last, end, strict=True) if kind is nn.LSTM else [(last, end)]
        for mine, theirs in states:
            np.testing.assert_allclose(
                mine[:, i].detach().numpy(), theirs.detach().numpy(), rtol=1e-5, atol=1e-6
            )


def test_max_norm_shortens_the_vectors_that_are_looked_up() -> None:
    table = nn.Embedding(3, 2, max_norm=1.0)
    nn.init.constant_(table.weight, 3.0)
    table(torch.tensor([1]))
    lengths = np.linalg.norm(table.weight.detach().numpy(), axis=1)
    np.testing.assert_allclose(lengths, [18**0.5, 1.0, 18**0.5], rtol=1e-5)


def test_gains() -> None:
    assert nn.init.calculate_gain("tanh") == 5 / 3
    assert nn.init.calculate_gain("leaky_relu", 1.0) == 1.0
    with pytest.raises(ValueError, match="Unsupported nonlinearity"):
        nn.init.calculate_gain("nothing")
