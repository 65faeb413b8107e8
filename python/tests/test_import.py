# SPDX-License-Identifier: MIT
"""The names of pytorch-ir 0.2.3 are there; importing costs next to nothing and brings no torch."""

import importlib

import pytest

NAMES = """
extract_ir verify_ir verify_ir_with_state_dict IR OpNode TensorMeta export_model ExportError convert_exported_program
ConversionError serialize_ir deserialize_ir save_ir load_ir validate_ir SerializationError IRExecutor execute_ir
ExecutionError load_weights load_weights_pt load_weights_safetensors WeightLoadError VerificationReport register_op
register_executor ir_to_mermaid generate_op_distribution_pie
""".split()

MODULES = {
    "analyzer": ["GraphAnalyzer", "NodeInfo"],
    "cli": ["main", "create_parser", "cmd_info", "cmd_visualize"],
    "converter": ["convert_exported_program", "convert_node", "ConversionError"],
    "executor": ["IRExecutor", "TensorRegistry", "ExecutionError", "execute_ir"],
    "exporter": [
        "export_model",
        "ExportError",
        "is_meta_tensor",
        "is_meta_module",
        "validate_meta_device",
        "validate_inputs_meta",
        "get_model_name",
    ],
    "ir": ["IR", "OpNode", "TensorMeta"],
    "serializer": ["serialize_ir", "deserialize_ir", "save_ir", "load_ir", "validate_ir", "SerializationError"],
    "verifier": ["verify_ir", "verify_ir_with_state_dict", "VerificationReport"],
    "visualize": ["ir_to_mermaid", "generate_op_distribution_pie"],
    "weight_loader": ["load_weights", "load_weights_pt", "load_weights_safetensors", "validate_weights_against_ir"],
    "ops": ["register_op", "register_executor", "get_conversion_fn", "get_execution_fn"],
    "ops.registry": ["register_op", "register_executor", "get_conversion_fn", "get_execution_fn"],
    "ops.aten_ops": ["get_op_type"],
    "ops.aten_impl": ["execute_getitem"],
}


def test_names_of_the_package():
    import torch_ir

    assert set(NAMES) <= set(torch_ir.__all__)
    assert set(torch_ir.__all__) <= set(dir(torch_ir))
    for name in torch_ir.__all__:
        assert getattr(torch_ir, name).__doc__
    with pytest.raises(AttributeError):
        torch_ir.no_such_name


@pytest.mark.parametrize("module", MODULES)
def test_names_of_modules(module):
    found = importlib.import_module(f"torch_ir.{module}")
    for name in MODULES[module]:
        assert hasattr(found, name)


def test_all_names_are_there_without_torch(run_python):
    run_python(f"""
import sys
sys.modules["torch"] = None  # an import of it fails
from torch_ir import *
import importlib
for module in {list(MODULES)}:
    importlib.import_module(f"torch_ir.{{module}}")
print(extract_ir, verify_ir)
""")


def test_an_executor_of_a_module_is_no_leak(run_python, data):
    # The fixture looks at what is printed at the end.
    run_python(
        """
import sys
import torch_ir
from pathlib import Path
case = Path(sys.argv[1])
executor = torch_ir.IRExecutor(torch_ir.load_ir(case / "ir.json"))
executor.load_weights(case / "weights.safetensors")
inputs = torch_ir.load_weights(case / "inputs.safetensors")

@torch_ir.register_executor("aten.relu.default")
def relu(inputs, attrs):
    return [inputs[0] * (inputs[0] > 0)]

executor.execute(tuple(inputs.values()))
""",
        str(data / "zoo/pytorch_ir/MultiTaskHead"),
    )


def test_import_is_quick_and_brings_no_torch(run_python):
    code = """
import sys, time
start = time.process_time()
import torch_ir
print(time.process_time() - start)
print("torch" in sys.modules, "numpy" in sys.modules)
"""
    times = []
    for _ in range(3):
        seconds, modules = run_python(code).splitlines()
        assert modules == "False False"
        times.append(float(seconds))
    assert min(times) < 0.1
