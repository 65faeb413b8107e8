#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A backend: translates the graph of a case directory to ONNX and runs it with ONNX Runtime.

usage: onnxruntime_backend.py CASE OUT [--dump FILE] [--fault gelu_tanh|eps]

Needs onnx, onnxruntime and safetensors; for a case with a model.pt2 also the tool torch-ir (in PATH, or where TORCH_IR_TOOL says).
Exit status 77 says that the graph has an op, a dtype or a size that this script does not translate.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file, save_file

DTYPES = {
    "float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE, "int64": TensorProto.INT64, "int32": TensorProto.INT32, "bool": TensorProto.BOOL
}


class Unsupported(Exception):
    pass


class Translation:
    """The ONNX graph under construction."""

    def __init__(self, fault):
        self.fault = fault
        self.nodes = []
        self.initializers = []

    def constant(self, values, dtype="int64"):
        name = f"constant_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(numpy.asarray(values, dtype), name))
        return name

    def emit(self, op, inputs, output, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output


def pair(value):
    return list(value) * 2 if len(value) == 1 else list(value)


def window(attrs, kernel=None):
    """The attributes that convolutions and pools share."""
    padding = pair(attrs.get("padding", [0, 0]))
    attributes = {"strides": pair(attrs.get("stride") or kernel or [1, 1]), "pads": padding * 2}
    if kernel:
        attributes.update(kernel_shape=pair(kernel), ceil_mode=int(attrs.get("ceil_mode", False)))
    return attributes


def linear(t, x, y, attrs, meta):
    weight = t.emit("Transpose", [x[1]], y + "_weight", perm=[1, 0])
    if len(x) == 2:
        return t.emit("MatMul", [x[0], weight], y)
    t.emit("Add", [t.emit("MatMul", [x[0], weight], y + "_product"), x[2]], y)


def binary(op):

    def translate(t, x, y, attrs, meta):
        other = x[1] if len(x) > 1 else t.constant(attrs["other"], meta["inputs"][0]["dtype"])
        if attrs.get("alpha", 1) != 1:
            other = t.emit("Mul", [other, t.constant(attrs["alpha"], meta["inputs"][0]["dtype"])], y + "_scaled")
        t.emit(op, [x[0], other], y)

    return translate


def norm_inputs(t, x, meta, shape, names):
    """The tensor inputs in order, ones or zeros in place of a weight or bias that is None."""
    given = dict(zip(meta.get("input_args", names), x))
    dtype = meta["inputs"][0]["dtype"]
    given.setdefault("weight", t.constant(numpy.ones(shape), dtype))
    given.setdefault("bias", t.constant(numpy.zeros(shape), dtype))
    return [given[name] for name in names]


def eps(t, attrs):
    return 1e-3 if t.fault == "eps" else attrs.get("eps", 1e-5)


def layer_norm(t, x, y, attrs, meta):
    shape = attrs["normalized_shape"]
    t.emit("LayerNormalization", norm_inputs(t, x, meta, shape, ["input", "weight", "bias"]), y, axis=-len(shape), epsilon=eps(t, attrs))


def batch_norm(t, x, y, attrs, meta):
    if attrs.get("training"):
        raise Unsupported("batch_norm with statistics of the batch")
    names = ["input", "weight", "bias", "running_mean", "running_var"]
    t.emit("BatchNormalization", norm_inputs(t, x, meta, meta["inputs"][0]["shape"][1], names), y, epsilon=eps(t, attrs))


def gelu(t, x, y, attrs, meta):
    t.emit("Gelu", x, y, approximate="tanh" if t.fault == "gelu_tanh" else attrs.get("approximate", "none"))


def adaptive_avg_pool(t, x, y, attrs, meta):
    if pair(attrs["output_size"]) != [1, 1]:
        raise Unsupported("adaptive_avg_pool2d to more than one element")
    t.emit("GlobalAveragePool", x, y)


def avg_pool(t, x, y, attrs, meta):
    if attrs.get("divisor_override") is not None:
        raise Unsupported("avg_pool2d with a divisor")
    t.emit("AveragePool", x, y, count_include_pad=int(attrs.get("count_include_pad", True)), **window(attrs, attrs["kernel_size"]))


def transpose(t, x, y, attrs, meta):
    dims = list(range(len(meta["outputs"][0]["shape"])))
    if dims:
        a, b = attrs["dim0"], attrs["dim1"]
        dims[a], dims[b] = dims[b], dims[a]
    permute(t, x, y, {"dims": dims}, meta)


def permute(t, x, y, attrs, meta):
    rank = len(attrs["dims"])
    if rank == 0:
        t.emit("Identity", x, y)
    else:
        t.emit("Transpose", x, y, perm=[dim % rank for dim in attrs["dims"]])


def reshape(t, x, y, attrs, meta):
    t.emit("Reshape", [x[0], t.constant(meta["outputs"][0]["shape"])], y, allowzero=1)


def mean(t, x, y, attrs, meta):
    t.emit("ReduceMean", [x[0], t.constant(attrs["dim"])], y, keepdims=int(attrs.get("keepdim", False)))


def unary(op):
    return lambda t, x, y, attrs, meta: t.emit(op, x, y)


# Op -> function of the translation, the names of the tensor inputs, the name of the result, the other arguments, the node.
RULES = {
    "aten.linear.default": linear,
    "aten.matmul.default": unary("MatMul"),
    "aten.conv2d.default": lambda t, x, y, attrs, meta: t.emit(
        "Conv", x, y, group=attrs.get("groups", 1), dilations=pair(attrs.get("dilation", [1])), **window(attrs)),
    "aten.max_pool2d.default": lambda t, x, y, attrs, meta: t.emit(
        "MaxPool", x, y, dilations=pair(attrs.get("dilation", [1])), **window(attrs, attrs["kernel_size"])),
    "aten.avg_pool2d.default": avg_pool,
    "aten.adaptive_avg_pool2d.default": adaptive_avg_pool,
    "aten.batch_norm.default": batch_norm,
    "aten.layer_norm.default": layer_norm,
    "aten.relu.default": unary("Relu"),
    "aten.gelu.default": gelu,
    "aten.tanh.default": unary("Tanh"),
    "aten.sigmoid.default": unary("Sigmoid"),
    "aten.softmax.int": lambda t, x, y, attrs, meta: t.emit("Softmax", x, y, axis=attrs["dim"]),
    "aten.log_softmax.int": lambda t, x, y, attrs, meta: t.emit("LogSoftmax", x, y, axis=attrs["dim"]),
    "aten.add.Tensor": binary("Add"),
    "aten.sub.Tensor": binary("Sub"),
    "aten.mul.Tensor": binary("Mul"),
    "aten.div.Tensor": binary("Div"),
    "aten.mean.dim": mean,
    "aten.embedding.default": unary("Gather"),
    "aten.cat.default": lambda t, x, y, attrs, meta: t.emit("Concat", x, y, axis=attrs.get("dim", 0)),
    "aten.view.default": reshape,
    "aten.reshape.default": reshape,
    "aten.flatten.using_ints": reshape,
    "aten.contiguous.default": unary("Identity"),
    "aten.transpose.int": transpose,
    "aten.permute.default": permute,
}


def translate(ir, weights, fault, all_values):
    """The ONNX model of a graph in torch-ir's JSON; its results are the graph's, or every value."""
    t = Translation(fault)

    def info(tensor):
        if tensor["dtype"] not in DTYPES or not all(isinstance(size, int) for size in tensor["shape"]):
            raise Unsupported(f"'{tensor['name']}' is {tensor['dtype']}{tensor['shape']}")
        return helper.make_tensor_value_info(tensor["name"], DTYPES[tensor["dtype"]], tensor["shape"])

    for placeholder, key in ir["weight_name_mapping"].items():
        constant = ir.get("constants", {}).get(key)
        values = numpy.array(constant["data"], constant["dtype"]).reshape(constant["shape"]) if constant else weights[key]
        t.initializers.append(numpy_helper.from_array(values, placeholder))
    for node in ir["nodes"]:
        if node["op_type"] not in RULES:
            raise Unsupported(node["op_type"])
        if node["attrs"].get("dtype") is not None:
            raise Unsupported(f"{node['op_type']} with another dtype")
        RULES[node["op_type"]](t, [tensor["name"] for tensor in node["inputs"]], node["outputs"][0]["name"], node["attrs"], node)
    results = [node["outputs"][0] for node in ir["nodes"]] if all_values else ir["graph_outputs"]
    graph = helper.make_graph(t.nodes, "case", [info(tensor) for tensor in ir["graph_inputs"]], [info(tensor) for tensor in results], t.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    return model


def load_case(case):
    """The graph and weights of a case directory."""
    if not (case / "model.pt2").exists():
        ir = json.loads((case / "ir.json").read_text())
        weights = case / "weights.safetensors"
        return ir, load_file(weights) if weights.exists() else {}
    with tempfile.TemporaryDirectory() as scratch:
        ir, weights = pathlib.Path(scratch, "ir.json"), pathlib.Path(scratch, "weights.safetensors")
        tool = os.environ.get("TORCH_IR_TOOL", "torch-ir")
        subprocess.run([tool, "extract", case, "-o", ir, "--weights-out", weights, "--quiet"], check=True)
        return json.loads(ir.read_text()), load_file(weights)


def run(ir, weights, inputs, fault, all_values):
    """The values by name."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = translate(ir, weights, fault, all_values).SerializeToString()
    try:
        session = onnxruntime.InferenceSession(model, options)
    except Exception as error:  # an op has no kernel for the dtype or rank; the types of these errors have no common base
        raise Unsupported(f"ONNX Runtime refuses it: {error}") from error
    given = {}
    for position, tensor in enumerate(ir["graph_inputs"]):
        given[tensor["name"]] = inputs[tensor["name"] if tensor["name"] in inputs else f"input_{position}"]
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, given)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--dump", type=pathlib.Path, help="write every value of the graph here")
    parser.add_argument("--fault", choices=["gelu_tanh", "eps"], help="compute something wrong on purpose")
    options = parser.parse_args()
    try:
        ir, weights = load_case(options.case)
        if ir.get("signature") and any(output["kind"] != "user_output" for output in ir["signature"]["outputs"]):
            raise Unsupported("the graph changes its state")
        inputs = load_file(options.case / "inputs.safetensors")
        values = run(ir, weights, inputs, options.fault, False)
        names = [output["name"] for output in ir["graph_outputs"]]
        save_file({f"output_{i}": numpy.ascontiguousarray(values[name]) for i, name in enumerate(names)}, options.out)
        if options.dump:
            save_file(run(ir, weights, inputs, options.fault, True), options.dump)
    except Unsupported as reason:
        print(f"not supported: {reason}", file=sys.stderr)
        sys.exit(77)


if __name__ == "__main__":
    main()
