# SPDX-License-Identifier: MIT
"""Writes tests/data/extractor: what torch.export gives for the modules of extractor_models.py, and TorchScript files of some.

usage: make_extractor_cases.py TORCH_IR_TOOL
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from extractor_models import Bag, Branch, Counter, DecoderLayer, EncoderLayer, LlmBlock, Loops, Mlp, Nonzero, Recurrent, ResNetBlock, UNet
from safetensors.torch import save_file
from torch import nn

target = pathlib.Path(__file__).resolve().parents[1] / "tests/data/extractor"


def functional(ir):
    """torch.export keeps in-place calls: those on a whole buffer become functional ones, and the buffer is a mutated one."""
    keys = ir["weight_name_mapping"]
    now = {}
    for node in ir["nodes"]:
        buffer = node["inputs"][0]["name"] if node["inputs"] else None
        node["inputs"] = [now.get(tensor["name"], tensor) for tensor in node["inputs"]]
        name, overload = node["op_type"].rsplit(".", 1)
        if name.endswith("_"):
            node["op_type"] = name[:-1] + "." + overload
            now[buffer] = {**node["outputs"][0], "producer_node": node["name"], "producer_output_idx": 0}
    kinds = {"p_": "parameter", "b_": "buffer"}
    ir["signature"] = {
        "inputs": [{"kind": kinds[name[:2]], "name": name, "target": key} for name, key in keys.items()]
        + [{"kind": "user_input", "name": tensor["name"]} for tensor in ir["graph_inputs"]],
        "outputs": [{"kind": "buffer_mutation", "name": now[b]["name"], "target": keys[b]} for b in keys if b in now]
        + [{"kind": "user_output", "name": tensor["name"]} for tensor in ir["graph_outputs"]],
    }
    return ir


def write(name, module, args, tool, decompose=False, in_place=False):
    program = torch.export.export(module, args)
    if decompose:
        program = program.run_decompositions({})
    path = target / f"{name}.json"
    with tempfile.TemporaryDirectory() as folder:
        torch.export.save(program, f"{folder}/model.pt2")
        subprocess.run([tool, "extract", f"{folder}/model.pt2", "-o", str(path), "--quiet"], check=True)
    if in_place:
        path.write_text(json.dumps(functional(json.loads(path.read_text())), indent=2) + "\n")


def write_script(name, module, inputs, trace=False, freeze=False):
    """A TorchScript file with inputs and what it returns for them."""
    folder = target / "scripts" / name
    folder.mkdir(parents=True, exist_ok=True)
    module.eval()
    script = torch.jit.trace(module, tuple(inputs.values())) if trace else torch.jit.script(module)
    script = torch.jit.freeze(script) if freeze else script
    script.save(str(folder / "model.pt"))
    with torch.no_grad():
        outputs = torch.utils._pytree.tree_leaves(torch.jit.load(str(folder / "model.pt"))(**inputs))
    tensors = {name: torch.as_tensor(value).contiguous() for name, value in inputs.items()}
    save_file(tensors, str(folder / "inputs.safetensors"))
    save_file({f"output_{i}": y.contiguous() for i, y in enumerate(outputs)}, str(folder / "expected.safetensors"))


def main():
    tool = sys.argv[1]
    target.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    ids, offsets = torch.tensor([1, 2, 4, 5, 4, 3, 2, 9]), torch.tensor([0, 3])
    write("mlp", Mlp().eval(), (torch.zeros(2, 8),), tool)
    write("resnet_block", ResNetBlock().eval(), (torch.zeros(2, 4, 8, 8),), tool)
    write("resnet_block_train", ResNetBlock().train(), (torch.zeros(2, 4, 8, 8),), tool, decompose=True)
    write("recurrent", Recurrent().eval(), (torch.zeros(2, 4, 6),), tool)
    write("encoder_layer", EncoderLayer().eval(), (torch.zeros(2, 5, 16), torch.zeros(5, 5)), tool)
    write("decoder_layer", DecoderLayer().eval(), (torch.zeros(2, 5, 16), torch.zeros(2, 7, 16)), tool)
    write("bag", Bag().eval(), (ids, offsets), tool)
    write("unet", UNet().eval(), (torch.zeros(1, 3, 16, 16),), tool)
    step = (torch.zeros(1, 2, 32), torch.tensor([3, 4]), torch.zeros(2, 4), torch.zeros(2, 4), torch.zeros(2, 12, dtype=torch.bool))
    write("llm_block", LlmBlock().eval(), step, tool, in_place=True)

    image, sequence, memory = torch.randn(1, 4, 6, 6), torch.randn(5, 2, 16), torch.randn(6, 2, 16)
    encoder, decoder = nn.TransformerEncoderLayer(16, 4, 24), nn.TransformerDecoderLayer(16, 4, 24)
    write_script("traced", ResNetBlock(), {"x": image}, trace=True)
    write_script("scripted", ResNetBlock(), {"x": image})
    write_script("frozen", ResNetBlock(), {"x": image}, freeze=True)
    write_script("loops", Loops(), {"x": torch.randn(2, 6), "n": 2, "bias": torch.randn(6)})
    write_script("counter", Counter(), {"x": torch.randn(3)})
    write_script("branch", Branch(), {"x": torch.ones(3)})
    write_script("nonzero", Nonzero(), {"x": torch.ones(3)})
    write_script("transformer_encoder_layer", encoder, {"src": sequence})
    write_script("transformer_decoder_layer", decoder, {"tgt": sequence, "memory": memory})
    write("transformer_encoder_layer", encoder, (sequence,), tool)
    write("transformer_decoder_layer", decoder, (sequence, memory), tool)


main()
