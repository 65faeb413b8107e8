# SPDX-License-Identifier: MIT
"""Running graphs: weights, registered executors, state, dynamic shapes, threads."""

import collections
import copy
import pickle
import threading
import time
import warnings

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


def test_weights_are_read_again_on_demand(net, ir):
    executor = IRExecutor(ir, net.state_dict())
    executor.execute((X,))
    net.linear.weight.data.mul_(-3)  # torch does not count this
    executor.load_weights_from_state_dict(executor.weights)
    assert_same(executor.execute((X,))[0], net(X)[0])


def test_copies_and_pickles_of_an_executor(net, ir):
    executor = IRExecutor(ir, net.state_dict())
    (expected, _) = executor.execute((X,))
    for other in (copy.copy(executor), copy.deepcopy(executor), pickle.loads(pickle.dumps(executor))):
        assert torch.equal(other.execute((X,))[0], expected)
    other = copy.deepcopy(executor)
    other.weights["linear.weight"].zero_()
    assert torch.equal(executor.execute((X,))[0], expected)


def test_sizes_other_than_those_of_the_export(net, ir):
    x = torch.randn(7, 4)
    executor = IRExecutor(ir, net.state_dict())
    with pytest.warns(UserWarning, match=r"input 'x': .* exported with the shape \[2, 4\], found \[7, 4\]") as warned:
        assert_same(executor.execute((x,))[0], net(x)[0])
        assert_same(executor.execute((x[:3],))[0], net(x[:3])[0])
    assert len(warned) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        IRExecutor(ir, net.state_dict()).execute((X,))
    with (
        pytest.warns(UserWarning, match=r"found \[7, 5\]"),
        pytest.raises(ExecutionError, match=r"node 'linear' \(aten.linear.default\)"),
    ):
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


def test_what_is_no_dict_of_weights(net, ir, tmp_path):
    torch.save(net.state_dict(), tmp_path / "w.pt")
    with pytest.raises(TypeError, match=r"expected tensors by state_dict key, found the path '.*w.pt'.*weights_path"):
        torch_ir.execute_ir(ir, (X,), weights=tmp_path / "w.pt")
    with pytest.raises(TypeError, match="found the path 'w.pt'"):
        IRExecutor(ir).load_weights_from_state_dict("w.pt")
    with pytest.raises(ValueError, match="Either weights or weights_path must be provided"):
        torch_ir.execute_ir(ir, (X,))


def test_a_graph_without_weights_needs_none():
    class Constant(nn.Module):
        def forward(self, x):
            return x + torch.tensor([1.0, 2.0, 3.0, 4.0])

    ir = torch_ir.extract_ir(Constant(), (X,), strict=False)
    assert ir.weights  # a constant with a value
    assert_same(torch_ir.execute_ir(ir, (X,))[0], Constant()(X))
    assert_same(IRExecutor(ir).execute((X,))[0], Constant()(X))


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

    with pytest.raises(
        ExecutionError, match=r"node 'topk' \(op: aten.topk.default\): .* executor: expected 2, found 1"
    ):
        torch_ir.execute_ir(ir, (X,), net.state_dict())


@pytest.mark.parametrize(
    "results, found",
    [
        (lambda x: None, r"results of the registered executor: expected 1, found None"),
        (lambda x: [x, x], r"results of the registered executor: expected 1, found 2"),
        (lambda x: [1.0], r"result 'relu' .*: expected float32\[2, 3\], found 1.0"),
        (lambda x: [None], r"result 'relu' .*: expected float32\[2, 3\], found None"),
        (lambda x: x.double(), r"result 'relu' .*: expected float32\[2, 3\], found float64\[2, 3\]"),
        (lambda x: x[:1], r"result 'relu' .*: expected float32\[2, 3\], found float32\[1, 3\]"),
        (lambda x: x[0], r"result 'relu' .*: expected float32\[2, 3\], found float32\[3\]"),
    ],
)
def test_results_of_registered_executors_are_as_declared(net, ir, results, found):
    register_executor("aten.relu.default")(lambda inputs, attrs: results(inputs[0]))
    with pytest.raises(ExecutionError, match=r"node 'relu' \(op: aten.relu.default\): " + found):
        torch_ir.execute_ir(ir, (X,), net.state_dict())


@pytest.mark.filterwarnings("ignore:input 'x'")
def test_registered_executors_with_other_sizes(net, ir):
    register_executor("aten.relu.default")(lambda inputs, attrs: inputs[0].relu())
    x = torch.randn(7, 4)
    assert_same(torch_ir.execute_ir(ir, (x,), net.state_dict())[0], net(x)[0])


def test_an_overload_without_a_function_takes_that_of_another():
    class Sums(nn.Module):
        def forward(self, x):
            return x.sum(), x.sum(dim=1)

    ir = torch_ir.extract_ir(Sums(), (X,), strict=False)
    register_executor("aten.sum.dim_IntList")(lambda inputs, attrs: inputs[0].sum(attrs.get("dim")) * 2)
    whole, rows = torch_ir.execute_ir(ir, (X + 1,))
    assert_same(whole, (X + 1).sum() * 2)
    assert_same(rows, (X + 1).sum(1) * 2)
    register_executor("aten.sum.default")(lambda inputs, attrs: inputs[0].sum())
    assert_same(torch_ir.execute_ir(ir, (X + 1,))[0], (X + 1).sum())


@pytest.mark.parametrize("register", [register_executor, torch_ir.register_op])
def test_patterns_that_name_no_op(register):
    name = register.__name__
    with pytest.raises(TypeError, match=rf'{name}: .* as in @{name}\("aten.relu.default"\), found a function'):
        register(lambda inputs, attrs: inputs)
    with pytest.raises(ValueError, match=f'{name}: expected an op_type of the graph, "aten.relu", found "aten::relu"'):
        register("aten::relu")


def test_seeds():
    class Noise(nn.Module):
        def forward(self, x):
            return x + torch.rand_like(x)

    ir = torch_ir.extract_ir(Noise(), (X,), strict=False)
    executor = IRExecutor(ir)
    (first,) = executor.execute((X,), seed=7)
    torch.manual_seed(7)
    assert torch.equal(first, Noise()(X))
    assert torch.equal(executor.registry["rand_like"] + X, first)
    assert torch.equal(torch_ir.execute_ir(ir, (X,), seed=7)[0], first)
    assert not torch.equal(executor.execute((X,), seed=8)[0], first)
    assert not torch.equal(executor.execute((X,))[0], executor.execute((X,))[0])
    before = torch.random.get_rng_state()
    assert torch_ir.verify_ir_with_state_dict(ir, {}, Noise(), (X,), seed=7)[0]
    assert not torch_ir.verify_ir_with_state_dict(ir, {}, Noise(), (X,))[0]
    assert not torch.equal(torch.random.get_rng_state(), before)  # without a seed, the program's generator
    assert torch.equal(executor.execute((X,), seed=np.int64(7))[0], first)
    with pytest.raises(ValueError, match=r"seed: expected a number from 0 to 2\*\*64 - 1, found -1"):
        executor.execute((X,), seed=-1)


def test_threads_are_limited():
    before = torch_ir.get_threads()
    for count in (-1, 0, 1025, 100000):
        with pytest.raises(ValueError, match=f"threads: expected a number from 1 to 1024, found {count}"):
            torch_ir.set_threads(count)
    assert torch_ir.get_threads() == before
    torch_ir.set_threads(1)
    assert torch_ir.get_threads() == 1
    torch_ir.set_threads(before)


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
    with pytest.raises(ExecutionError, match="state: there is no 'counts'; the closest name is 'count'"):
        executor.execute((X,), state={"counts": torch.zeros(())})


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


class Difference(nn.Module):
    def forward(self, d, factor=2, *, scale):
        return (d["a"] - d["b"][0]) * factor * scale


@pytest.mark.parametrize("container", [dict, collections.OrderedDict])
def test_dicts_are_bound_by_their_keys(container):
    inputs = container(a=X, b=[X * 3])
    exported = torch_ir.extract_ir(Difference(), (inputs,), strict=False, kwargs={"scale": X + 2})
    other = container(b=[X * 5], a=X + 1)
    expected = Difference()(other, scale=X)
    for ir in (exported, torch_ir.deserialize_ir(torch_ir.serialize_ir(exported))):
        assert_same(torch_ir.execute_ir(ir, (other, X))[0], expected)
        for wrong, message in (
            ({"a": X, "bb": [X]}, "input 'd': there is no 'bb'; the closest name is 'b'; 'b' is missing"),
            ({"a": X}, "input 'd': 'b' is missing"),
            ({"a": X, "b": [X, X]}, r"input 'd\['b'\]': expected a builtins.list with 1 values, found a list of 2"),
            ({"a": [X], "b": [X]}, r"input 'd\['a'\]': expected a tensor or number, found a list of 1"),
            ([X, [X]], "input 'd': expected a .*ict with the keys 'a', 'b', found a list of 2"),
            (X, "input 'd': expected a .*ict with the keys 'a', 'b', found a Tensor"),
        ):
            with pytest.raises(ExecutionError, match=message):
                torch_ir.execute_ir(ir, (wrong, X))
        with pytest.raises(ExecutionError, match=r"Expected 2 inputs \(d, scale\), got 1"):
            torch_ir.execute_ir(ir, (other,))


def test_dicts_are_bound_by_their_keys_without_torch(run_python, tmp_path):
    torch_ir.save_ir(
        torch_ir.extract_ir(Difference(), ({"a": X, "b": [X + 1]},), strict=False, kwargs={"scale": X + 2}),
        tmp_path / "ir.json",
    )
    code = """
import sys
sys.modules["torch"] = None  # an import of it fails
import numpy as np
import torch_ir
x = np.ones((2, 4), np.float32)
print(torch_ir.execute_ir(torch_ir.load_ir(sys.argv[1]), ({"b": [x], "a": 3 * x}, x))[0][0, 0])
"""
    assert run_python(code, str(tmp_path / "ir.json")) == "4.0\n"


def test_inputs_by_name():
    class Minus(nn.Module):
        def forward(self, query, key):
            return query - key

    ir = torch_ir.extract_ir(Minus(), (X, X + 1), strict=False)
    assert_same(torch_ir.execute_ir(ir, {"key": X, "query": X * 3})[0], X * 2)
    with pytest.raises(
        ExecutionError,
        match="inputs: there is no 'keys'; the closest name is 'key'; 'key' is missing. Expected 'query', 'key'",
    ):
        torch_ir.execute_ir(ir, {"keys": X, "query": X})
    with pytest.raises(ExecutionError, match="inputs: 'query', 'key' are missing"):
        torch_ir.execute_ir(ir, {})


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


@pytest.mark.filterwarnings("ignore:input 'x'")
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
