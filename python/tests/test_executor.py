# SPDX-License-Identifier: MIT
"""Running graphs: weights, registered executors, state, dynamic shapes, threads."""

import threading
import time

import numpy as np
import pytest
import torch_ir
from torch_ir import ExecutionError, IRExecutor, register_executor

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x):
        return torch.relu(self.linear(x)).topk(2)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net().eval()


X = torch.linspace(-2, 2, 8).reshape(2, 4)


@pytest.fixture
def ir(net):
    return torch_ir.extract_ir(net, (X,), strict=False)


def assert_same(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-6)


def test_torch_in_torch_out_and_numpy_in_numpy_out(net, ir):
    values, indices = net(X)
    outputs = torch_ir.execute_ir(ir, (X,), net.state_dict())
    assert all(type(output) is torch.Tensor for output in outputs)
    assert_same(outputs[0], values)
    assert torch.equal(outputs[1], indices)
    weights = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
    for inputs in ((X.numpy(),), {"x": X.numpy()}, [X.numpy()]):
        outputs = torch_ir.execute_ir(ir, inputs, weights)
        assert all(type(output) is np.ndarray for output in outputs)
        assert_same(torch.from_numpy(outputs[0]), values)


def test_changed_weights_and_graphs_are_noticed(net, ir):
    executor = IRExecutor(ir, net.state_dict())
    assert_same(executor.execute((X,))[0], net(X)[0])
    compiled = executor._compiled
    assert_same(executor.execute((X + 1,))[0], net(X + 1)[0])
    assert executor._compiled is compiled
    with torch.no_grad():
        net.linear.weight.mul_(-3)
    assert_same(executor.execute((X,))[0], net(X)[0])
    ir.nodes[1].op_type = "aten.neg.default"
    assert_same(executor.execute((X,))[0], (-net.linear(X)).topk(2)[0])
    executor.load_weights_from_state_dict(Net().state_dict())
    assert not torch.allclose(executor.execute((X,))[0], (-net.linear(X)).topk(2)[0])


def test_sizes_other_than_those_of_the_export(net, ir):
    x = torch.randn(7, 4)
    assert_same(torch_ir.execute_ir(ir, (x,), net.state_dict())[0], net(x)[0])
    with pytest.raises(ExecutionError, match=r"node 'linear' \(aten.linear.default\)"):
        torch_ir.execute_ir(ir, (torch.randn(7, 5),), net.state_dict())


def test_missing_weights(net, ir):
    with pytest.raises(ExecutionError, match="Weights not loaded"):
        IRExecutor(ir).execute((X,))
    with pytest.raises(ExecutionError, match="'p_linear_bias' .* not found in registry for node 'linear'"):
        torch_ir.execute_ir(ir, (X,), {"linear.weight": net.linear.weight})
    with pytest.raises(ExecutionError, match=r"'linear.bias': expected float32\[3\], found float32\[4\]"):
        torch_ir.execute_ir(ir, (X,), {"linear.weight": net.linear.weight, "linear.bias": torch.zeros(4)})
    # A weight that nothing uses may be missing.
    ir.weights.append(torch_ir.TensorMeta("spare", (1,), "float32"))
    assert_same(torch_ir.execute_ir(ir, (X,), net.state_dict())[0], net(X)[0])


def test_weight_files(net, ir, tmp_path):
    torch.save(net.state_dict(), tmp_path / "w.pt")
    assert_same(torch_ir.execute_ir(ir, (X,), weights_path=tmp_path / "w.pt")[0], net(X)[0])
    loaded = torch_ir.load_weights(tmp_path / "w.pt")
    assert torch.equal(loaded["linear.weight"], net.linear.weight)
    loaded["linear.weight"].zero_()  # memory of its own
    mapped = torch_ir.load_weights(tmp_path / "w.pt", framework="numpy")
    assert type(mapped["linear.weight"]) is np.ndarray and not mapped["linear.weight"].flags.writeable
    assert_same(torch_ir.execute_ir(ir, (X,), mapped)[0], net(X)[0])
    with pytest.raises(torch_ir.WeightLoadError, match="Weight file not found"):
        torch_ir.load_weights(tmp_path / "absent.pt")
    (tmp_path / "text.xyz").write_text("no weights")
    with pytest.raises(torch_ir.WeightLoadError, match="text.xyz"):
        torch_ir.load_weights(tmp_path / "text.xyz")
    tied = torch.ones(3)
    torch.save({"a": tied, "b": tied, "half": tied[:2]}, tmp_path / "tied.pt")
    loaded = torch_ir.load_weights(tmp_path / "tied.pt")
    assert loaded["a"] is loaded["b"] and loaded["half"].tolist() == [1, 1]


def test_every_value_is_in_the_registry_after_a_run(net, ir):
    executor = IRExecutor(ir, net.state_dict())
    executor.execute((X,))
    assert_same(executor.registry["linear"], net.linear(X))
    assert torch.equal(executor.registry["p_linear_bias"], net.linear.bias)
    assert torch.equal(executor.registry["x"], X) and "relu" in executor.registry and "absent" not in executor.registry
    with pytest.raises(KeyError, match="'absent' not found in registry"):
        executor.registry["absent"]


def test_registered_executors_take_the_place_of_an_op(net, ir):
    seen = []

    @register_executor("aten.relu.default")
    def leaky(inputs, attrs):
        seen.append((type(inputs[0]), attrs))
        return [inputs[0] * (inputs[0] > 0) + 10]

    @register_executor("aten.topk")  # any overload; a list argument and two results
    def first(inputs, attrs):
        (x,) = inputs
        return [x[:, : attrs["k"]], torch.full((len(x), attrs["k"]), -1)]

    values, indices = torch_ir.execute_ir(ir, (X,), net.state_dict())
    assert_same(values, torch.relu(net.linear(X))[:, :2] + 10)
    assert indices.tolist() == [[-1, -1], [-1, -1]]
    assert seen == [(torch.Tensor, {})]


def test_registered_executors_of_new_ops_and_in_numpy(ir):
    ir.nodes[1].op_type = "mine.shift.default"
    ir.nodes[1].attrs["by"] = 3
    ir.nodes = ir.nodes[:2]
    ir.graph_outputs = ir.nodes[1].outputs
    weights = {"linear.weight": np.eye(3, 4, dtype=np.float32), "linear.bias": np.zeros(3, np.float32)}
    with pytest.raises(ExecutionError, match=r"not supported: mine.shift.default \(1x"):
        torch_ir.execute_ir(ir, (X.numpy(),), weights)

    @register_executor("mine.shift.default")
    def shift(inputs, attrs):
        assert type(inputs[0]) is np.ndarray
        return inputs[0] + np.float32(attrs["by"])

    (output,) = torch_ir.execute_ir(ir, (X.numpy(),), weights)
    np.testing.assert_allclose(output, X.numpy()[:, :3] + 3)


def test_errors_in_registered_executors(net, ir):
    @register_executor("aten.relu.default")
    def fails(inputs, attrs):
        raise RuntimeError("no luck")

    with pytest.raises(
        ExecutionError, match=r"Failed to execute node 'relu' \(op: aten.relu.default\): no luck"
    ) as error:
        torch_ir.execute_ir(ir, (X,), net.state_dict())
    assert isinstance(error.value.__cause__, RuntimeError)

    @register_executor("aten.topk.default")
    @register_executor("aten.relu.default")
    def too_few(inputs, attrs):
        return inputs[:1]

    with pytest.raises(ExecutionError, match="returned 1 results, the node has 2"):
        torch_ir.execute_ir(ir, (X,), net.state_dict())


def test_registered_executors_inside_control_flow():
    class Branches(nn.Module):
        def forward(self, x):
            return torch.cond(x.sum() > 0, lambda x: x.sin(), lambda x: x.cos(), (x,))

    ir = torch_ir.extract_ir(Branches(), (X,), strict=False)

    @register_executor("aten.sin.default")
    def sine(inputs, attrs):
        return [inputs[0] * 0 + 5]

    assert_same(torch_ir.execute_ir(ir, (X + 1,), {})[0], torch.full((2, 4), 5.0))
    assert_same(torch_ir.execute_ir(ir, (X - 1,), {})[0], (X - 1).cos())


def test_state_is_carried_and_weights_stay():
    class Counter(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("count", torch.zeros(()))

        def forward(self, x):
            self.count.add_(1)
            return x * self.count

    model = Counter()
    ir = torch_ir.extract_ir(model, (X,), strict=False)
    executor = IRExecutor(torch_ir.deserialize_ir(torch_ir.serialize_ir(ir)), model.state_dict())
    state = {}
    for step in range(1, 4):
        (output,) = executor.execute((X,), state=state)
        assert_same(output, X * step)
    assert state["count"].item() == 3 and model.count.item() == 0
    assert_same(executor.execute((X,))[0], X)  # without a state each run is the first


def test_a_cache_among_the_inputs_is_carried():
    class Cache(nn.Module):
        def forward(self, x, cache, position):
            cache.index_copy_(0, position, x)
            return cache.sum(0)

    cache = torch.zeros(4, 2)
    rows = torch.arange(6.0).reshape(3, 2) + 1
    ir = torch_ir.extract_ir(Cache(), (rows[:1], cache, torch.tensor([0])), strict=False)
    executor, state = IRExecutor(ir, {}), {}
    for i, row in enumerate(rows):
        (output,) = executor.execute((row[None], None if state else cache, torch.tensor([i])), state=state)
        assert_same(output, rows[: i + 1].sum(0))
    assert_same(state["cache"], torch.cat([rows, torch.zeros(1, 2)]))
    assert cache.sum() == 0


def test_dynamic_shapes():
    class Rows(nn.Module):
        def forward(self, x, y):
            return torch.cat([x, y]).mean(1)

    n = torch.export.Dim("n", min=2, max=64)
    ir = torch_ir.extract_ir(
        Rows(), (torch.randn(4, 3), torch.randn(4, 3)), strict=False, dynamic_shapes={"x": {0: n}, "y": {0: n}}
    )
    (symbol,) = ir.symbols
    name = symbol["name"]
    assert symbol == {"name": name, "min": 2, "max": 64, "hint": 4}
    assert ir.graph_inputs[0].shape == (name, 3) and ir.graph_outputs[0].shape == (f"2*{name}",)
    assert torch_ir.validate_ir(ir)
    x, y = torch.randn(9, 3), torch.randn(9, 3)
    assert_same(torch_ir.execute_ir(ir, (x, y), {})[0], Rows()(x, y))
    with pytest.raises(ExecutionError, match="is 65, outside its range \\[2, 64\\]"):
        torch_ir.execute_ir(ir, (torch.randn(65, 3), torch.randn(65, 3)), {})
    with pytest.raises(ExecutionError, match="expected size 9"):
        torch_ir.execute_ir(ir, (x, torch.randn(8, 3)), {})


def test_nested_inputs_and_constants():
    class Nested(nn.Module):
        def forward(self, pair, scale, named, flag=None):
            return pair[0] * scale + pair[1] - named["bias"]

    inputs = ((X, X + 1), 3, {"bias": X * 2})
    ir = torch_ir.extract_ir(Nested(), inputs, strict=False)
    expected = X * 3 + X + 1 - X * 2
    assert_same(torch_ir.execute_ir(ir, inputs, {})[0], expected)
    assert_same(torch_ir.execute_ir(ir, (X, X + 1, X * 2), {})[0], expected)
    with pytest.raises(ExecutionError, match="was 3 when the model was exported and cannot be 4"):
        torch_ir.execute_ir(ir, ((X, X + 1), 4, {"bias": X * 2}), {})
    with pytest.raises(ExecutionError, match="was 3 when the model was exported"):
        torch_ir.execute_ir(ir, ((X, X + 1), X, {"bias": X * 2}), {})


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64", "int32", "uint8", "bool", "complex64"])
def test_dtypes(dtype):
    class Flip(nn.Module):
        def forward(self, x):
            return x.flip(0).t()

    x = (torch.arange(8).reshape(2, 4) - (0 if dtype == "uint8" else 3)).to(getattr(torch, dtype))
    ir = torch_ir.extract_ir(Flip(), (x,), strict=False)
    (output,) = torch_ir.execute_ir(ir, (x,), {})
    assert output.dtype == x.dtype and torch.equal(output, x.flip(0).t())


def test_tensors_that_need_a_look():
    class Twice(nn.Module):
        def forward(self, x):
            return x * 2

    ir = torch_ir.extract_ir(Twice(), (X,), strict=False)
    assert_same(torch_ir.execute_ir(ir, (X.clone().requires_grad_(),), {})[0], X * 2)
    assert_same(torch_ir.execute_ir(ir, (X.t().contiguous().t(),), {})[0], X * 2)
    complex_ir = torch_ir.extract_ir(Twice(), (torch.complex(X, X),), strict=False)
    assert_same(torch_ir.execute_ir(complex_ir, (torch.complex(X, X).conj(),), {})[0], torch.complex(X, -X) * 2)
    with pytest.raises(ExecutionError, match="expected a tensor on the CPU, found one on the device 'meta'"):
        torch_ir.execute_ir(ir, (X.to("meta"),), {})
    with pytest.raises(ExecutionError, match="expected a dense tensor"):
        torch_ir.execute_ir(ir, (X.to_sparse(),), {})


def test_other_threads_go_on_during_a_run():
    class Products(nn.Module):
        def forward(self, x):
            for _ in range(40):
                x = x @ x
            return x

    x = torch.eye(700)
    executor = IRExecutor(torch_ir.extract_ir(Products(), (x,), strict=False), {})
    executor.execute((x,))
    ticks = []
    done = threading.Event()

    def count():
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    counter = threading.Thread(target=count)
    counter.start()
    begin = time.perf_counter()
    executor.execute((x,))
    end = time.perf_counter()
    done.set()
    counter.join()
    inside = [tick for tick in ticks if begin < tick < end]
    # With the lock held, the other thread would stand still for the whole run.
    assert max(np.diff([begin, *inside, end])) < 0.8 * (end - begin)


def test_one_executor_in_several_threads(net, ir):
    executor = IRExecutor(ir, net.state_dict())
    inputs = [torch.randn(3, 4) for _ in range(8)]
    expected = [net(x)[0] for x in inputs]
    failures = []

    def work(x, y):
        for _ in range(20):
            if not torch.allclose(executor.execute((x,))[0], y, atol=1e-6):
                failures.append(x)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(inputs, expected)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
