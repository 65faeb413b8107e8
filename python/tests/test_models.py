# SPDX-License-Identifier: MIT
"""Models of the library transformers with random weights."""

import pytest
import torch_ir

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
TOKENS = {"vocab_size": 100, "max_position_embeddings": 64, **SMALL}
GPT2 = {"vocab_size": 100, "n_positions": 64, "n_embd": 32, "n_layer": 2, "n_head": 4}


def bert():
    return transformers.BertModel(transformers.BertConfig(**TOKENS))


def gpt2():
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(**GPT2))


def vit():
    return transformers.ViTModel(transformers.ViTConfig(image_size=32, patch_size=8, **SMALL))


def llama():
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(num_key_value_heads=2, **TOKENS))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [bert, gpt2, vit, llama], ids=lambda make: make.__name__)
def test_models_agree(make):
    torch.manual_seed(0)
    model = make().eval()
    inputs = (torch.randn(2, 3, 32, 32),) if make is vit else (torch.randint(0, 100, (2, 9)),)
    with torch.device("meta"):
        meta_model = make().eval()
    ir = torch_ir.extract_ir(meta_model, tuple(value.to("meta") for value in inputs))
    ir = torch_ir.deserialize_ir(torch_ir.serialize_ir(ir))
    assert torch_ir.validate_ir(ir)
    passed, report = torch_ir.verify_ir_with_state_dict(ir, model.state_dict(), model, inputs, 1e-4, 1e-5)
    assert passed, report
    # Outputs that nest, the keys and values of GPT-2 and Llama among them, are compared one by one.
    assert report.num_outputs == {bert: 2, gpt2: 5, vit: 2, llama: 5}[make]


class Step(torch.nn.Module):
    """One token, and the keys and values of those before."""

    def __init__(self):
        super().__init__()
        self.model = gpt2()

    def forward(self, token, cache):
        result = self.model(token, past_key_values=cache, use_cache=True)
        return result.logits, result.past_key_values


@pytest.mark.filterwarnings("ignore")
def test_decoding_with_a_growing_cache():
    torch.manual_seed(0)
    model = Step().eval()
    tokens = torch.randint(0, 100, (1, 8))

    def cache_of(length):
        return model.model(tokens[:, :length]).past_key_values

    growing = {2: torch.export.Dim.DYNAMIC}
    shapes = {"token": None, "cache": [[growing] * 2, [growing] * 2]}
    ir = torch_ir.extract_ir(model, (tokens[:, 4:5], cache_of(4)), strict=False, dynamic_shapes=shapes)
    executor = torch_ir.IRExecutor(ir, model.state_dict())
    cache = torch_ir.tensors.flatten(cache_of(3))
    for length in range(3, 8):
        logits, *cache = executor.execute((tokens[:, length : length + 1], *cache))
        expected = model.model(tokens[:, : length + 1]).logits[:, -1]
        torch.testing.assert_close(logits[:, -1], expected, rtol=1e-4, atol=1e-5)
        assert {tuple(tensor.shape) for tensor in cache} == {(1, 4, length + 1, 8)}
