# SPDX-License-Identifier: MIT
"""Without torch: loading, validating, running, comparing and drawing need NumPy alone."""

import numpy as np
import pytest
import torch_ir
from conftest import REPOSITORY
from torch_ir import tensors


def test_all_but_extraction_works_without_torch(data, run_python, tmp_path):
    code = """
import sys
sys.modules["torch"] = None  # an import of it fails
from pathlib import Path
import numpy as np
import torch_ir
case = Path(sys.argv[1])
ir = torch_ir.load_ir(case / "ir.json")
assert torch_ir.validate_ir(ir)
weights = torch_ir.load_weights(case / "weights.safetensors")
inputs = torch_ir.load_weights(case / "inputs.safetensors")
expected = torch_ir.load_weights(case / "expected.safetensors")
names = [meta.name for meta in ir.graph_inputs]
outputs = torch_ir.execute_ir(ir, tuple(inputs.get(n, inputs.get(f"input_{i}")) for i, n in enumerate(names)), weights)
for i, output in enumerate(outputs):
    assert type(output) is np.ndarray
    assert torch_ir.compare(output, expected[f"output_{i}"])
assert torch_ir.ir_to_mermaid(ir).startswith("flowchart TD")
assert torch_ir.generate_op_distribution_pie(ir).startswith("pie")
torch_ir.save_ir(ir, sys.argv[2])
assert torch_ir.load_ir(sys.argv[2]) == ir
print(len(outputs))
"""
    assert run_python(code, str(data / "zoo/pytorch_ir/MultiTaskHead"), str(tmp_path / "ir.json")) == "2\n"


CASES = sorted(path.parent for path in (REPOSITORY / "tests/data").glob("language/*/model.pt2"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_models_for_each_feature_of_the_language(case):
    ir = torch_ir.load_ir(case / "model.pt2")
    ir = torch_ir.deserialize_ir(torch_ir.serialize_ir(ir))
    assert torch_ir.validate_ir(ir)
    inputs, expected = (torch_ir.load_weights(case / f"{name}.safetensors", "numpy") for name in ("inputs", "expected"))
    signature = ir.signature or {
        "inputs": [{"kind": "user_input", "name": meta.name} for meta in ir.graph_inputs],
        "outputs": [{"kind": "user_output", "name": meta.name} for meta in ir.graph_outputs],
    }
    entries = [entry for entry in signature["inputs"] if entry["kind"] == "user_input"]
    values = [inputs.get(e.get("name"), inputs.get(f"input_{i}")) for i, e in enumerate(entries) if "value" not in e]
    outputs = iter(torch_ir.execute_ir(ir, tuple(values), torch_ir.load_weights(case / "model.pt2", "numpy")))
    entries = [entry for entry in signature["outputs"] if entry["kind"] == "user_output"]
    for i, entry in enumerate(entries):
        if "value" not in entry:
            assert torch_ir.compare(next(outputs), expected.get(f"output_{i}", expected.get(entry["name"])))


def relu_graph(dtype, shape):
    meta = {"shape": list(shape), "dtype": dtype}
    return torch_ir.IR.from_dict(
        {
            "graph_inputs": [{"name": "x", **meta}],
            "graph_outputs": [{"name": "relu", **meta}],
            "weights": [],
            "nodes": [
                {
                    "name": "relu",
                    "op_type": "aten.relu.default",
                    "inputs": [{"name": "x", "producer_node": "x", **meta}],
                    "outputs": [{"name": "relu", **meta}],
                    "attrs": {},
                }
            ],
        }
    )


def run_relu(value, dtype="float32", shape=(2, 3)):
    (output,) = torch_ir.execute_ir(relu_graph(dtype, shape), (value,), weights={})
    return output


VALUES = np.array([[-1, 2, -3], [4, -5, 6]], np.float32)
RELU = np.array([[0, 2, 0], [4, 0, 6]], np.float32)


def test_inputs_of_all_kinds():
    class Dlpack:
        """Has only DLPack."""

        def __dlpack__(self, **kwargs):
            return VALUES.__dlpack__(**kwargs)

        def __dlpack_device__(self):
            return VALUES.__dlpack_device__()

    bytes_of = memoryview(VALUES)
    reversed_rows = VALUES[::-1].copy()[::-1]
    columns = np.asfortranarray(VALUES)
    wide = np.zeros((2, 6), np.float32)
    wide[:, ::2] = VALUES
    swapped = VALUES.astype(">f4")
    readonly = VALUES.copy()
    readonly.flags.writeable = False
    for value in (VALUES, Dlpack(), bytes_of, reversed_rows, columns, wide[:, ::2], swapped, readonly):
        np.testing.assert_array_equal(run_relu(value), RELU)


def test_memory_is_shared_both_ways():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    core = tensors.to_core(array)
    back = tensors.to_numpy(core)
    assert np.shares_memory(array, back)
    array[0, 0] = 7
    assert back[0, 0] == 7
    strided = tensors.to_numpy(tensors.to_core(array[:, ::2]))
    assert np.shares_memory(array, strided) and strided.tolist() == array[:, ::2].tolist()
    # An array keeps its memory alive by itself.
    output = run_relu(VALUES.copy())
    assert output.flags.writeable and not output.flags.owndata
    np.testing.assert_array_equal(output, RELU)
    np.testing.assert_array_equal(np.from_dlpack(core), array)


def test_an_input_that_is_returned_is_copied():
    ir = relu_graph("float32", (2, 3))
    ir.graph_outputs.append(torch_ir.TensorMeta("x", (2, 3), "float32"))
    value = VALUES.copy()
    relu, x = torch_ir.execute_ir(ir, (value,), weights={})
    assert not np.shares_memory(x, value)
    np.testing.assert_array_equal(x, value)


def test_empty_and_scalar_arrays():
    assert run_relu(np.zeros((0, 3), np.float32), shape=(0, 3)).shape == (0, 3)
    assert run_relu(np.float32(-2), shape=()).tolist() == 0
    assert run_relu(np.array(3, np.float32), shape=()).tolist() == 3


def test_bfloat16_arrays_are_structured():
    bits = np.array([[0xBF80, 0x4000, 0xC040], [0x4080, 0xC0A0, 0x40C0]], np.uint16)  # the values of VALUES
    array = bits.view(tensors.numpy_dtype("bfloat16"))
    output = run_relu(array, "bfloat16")
    assert output.dtype == np.dtype([("bfloat16", "<u2")])
    np.testing.assert_array_equal(output["bfloat16"], np.where(bits & 0x8000, 0, bits))
    np.testing.assert_array_equal(torch_ir.astype(array, "float32"), VALUES)
    # Ties go to even: 1 + 1/256 lies between 1 and 1 + 1/128, 1 + 3/256 between 1 + 1/128 and 1 + 1/64.
    ties = np.array([1 + 1 / 256, 1 + 3 / 256], np.float32)
    assert torch_ir.astype(ties, "bfloat16")["bfloat16"].tolist() == [0x3F80, 0x3F82]
    assert torch_ir.astype(np.array([1.0, 448.0], np.float32), "float8_e4m3fn")["float8_e4m3fn"].tolist() == [
        0x38,
        0x7E,
    ]


def test_arrays_of_ml_dtypes_are_taken():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    output = run_relu(VALUES.astype(ml_dtypes.bfloat16), "bfloat16")
    np.testing.assert_array_equal(torch_ir.astype(output, "float32"), RELU)


def test_messages_for_wrong_inputs():
    with pytest.raises(
        torch_ir.ExecutionError, match=r"input 'x': expected float32 with 2 dimensions, found float64\[2, 3\]"
    ):
        run_relu(VALUES.astype(np.float64))
    with pytest.raises(torch_ir.ExecutionError, match="PyTorch has no dtype like NumPy's datetime64"):
        run_relu(np.zeros((2, 3), "datetime64[s]"))
    with pytest.raises(torch_ir.ExecutionError, match="Expected 1 inputs, got 2"):
        torch_ir.execute_ir(relu_graph("float32", (2, 3)), (VALUES, VALUES), weights={})
    with pytest.raises(torch_ir.ExecutionError, match="inputs: 'x' is missing. Expected 'x'"):
        torch_ir.execute_ir(relu_graph("float32", (2, 3)), {}, weights={})


def test_constants_of_every_dtype_survive_the_text():
    rng = np.random.default_rng(0)
    for name in sorted(tensors._PLAIN) + sorted(tensors._OPAQUE):
        dtype = tensors.numpy_dtype(name)
        raw = rng.integers(0, 2 if name == "bool" else 120, 6 * dtype.itemsize, np.uint8)
        array = raw.view(dtype).reshape(2, 3)
        encoded = tensors.encode_constant(array)
        assert encoded["dtype"] == name and encoded["shape"] == [2, 3]
        decoded = tensors.decode_constant(encoded)
        assert tensors.to_numpy(tensors.to_core(decoded)).tobytes() == array.tobytes(), name


def test_non_finite_constants():
    for name in ("float32", "complex64"):
        array = np.array([np.inf, -np.inf, np.nan, 1.5], name)
        decoded = tensors.to_numpy(tensors.to_core(tensors.decode_constant(tensors.encode_constant(array))))
        np.testing.assert_array_equal(decoded, array)


@pytest.mark.parametrize("name", ["bfloat16", "complex32"])
def test_structured_arrays_of_the_other_byte_order(name):
    array = tensors.astype(np.array([1, -2.5, 3], np.float32), name)
    swapped = array.astype(array.dtype.newbyteorder(">"))
    assert swapped.dtype != array.dtype and swapped.tobytes() != array.tobytes()
    assert tensors.to_numpy(tensors.to_core(swapped)).tobytes() == array.tobytes()
