# SPDX-License-Identifier: MIT
"""The five models that the benchmarks run, with their real sizes and random weights, and their export as case directories.

    python models.py DIR [NAME ...]      writes DIR/NAME/ and DIR/NAME.core/ (after run_decompositions())

Needs torch, transformers and safetensors.
"""

import sys
from pathlib import Path

import torch
from torch import nn
from safetensors.torch import save_file


def conv_bn(inputs, outputs, kernel, stride=1, groups=1, activation=None):
    layers = [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, *([activation()] if activation else []))


def relu():
    return nn.ReLU(inplace=True)


class Bottleneck(nn.Module):
    def __init__(self, inputs, width, stride):
        super().__init__()
        outputs = 4 * width
        self.body = nn.Sequential(
            conv_bn(inputs, width, 1, activation=relu),
            conv_bn(width, width, 3, stride, activation=relu),
            conv_bn(width, outputs, 1),
        )
        self.shortcut = conv_bn(inputs, outputs, 1, stride) if stride != 1 or inputs != outputs else nn.Identity()
        self.relu = relu()

    def forward(self, x):
        y = self.body(x)
        y += self.shortcut(x)
        return self.relu(y)


class ResNet50(nn.Module):
    def __init__(self):
        super().__init__()
        layers = [conv_bn(3, 64, 7, 2, activation=relu), nn.MaxPool2d(3, 2, 1)]
        inputs = 64
        for width, count, stride in [(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)]:
            for i in range(count):
                layers.append(Bottleneck(inputs, width, stride if i == 0 else 1))
                inputs = 4 * width
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(2048, 1000)

    def forward(self, x):
        return self.fc(torch.flatten(self.pool(self.features(x)), 1))


class InvertedResidual(nn.Module):
    def __init__(self, inputs, outputs, stride, expansion):
        super().__init__()
        hidden = inputs * expansion
        layers = [conv_bn(inputs, hidden, 1, activation=nn.ReLU6)] if expansion != 1 else []
        layers += [conv_bn(hidden, hidden, 3, stride, hidden, nn.ReLU6), conv_bn(hidden, outputs, 1)]
        self.body = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.body(x) if self.residual else self.body(x)


class MobileNetV2(nn.Module):
    def __init__(self):
        super().__init__()
        layers = [conv_bn(3, 32, 3, 2, activation=nn.ReLU6)]
        inputs = 32
        plan = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
        for expansion, outputs, count, stride in plan:
            for i in range(count):
                layers.append(InvertedResidual(inputs, outputs, stride if i == 0 else 1, expansion))
                inputs = outputs
        layers.append(conv_bn(inputs, 1280, 1, activation=nn.ReLU6))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, 1000))

    def forward(self, x):
        return self.classifier(nn.functional.adaptive_avg_pool2d(self.features(x), 1).flatten(1))


class Logits(nn.Module):
    """A transformers model that returns only its tensors."""

    def __init__(self, model, pick):
        super().__init__()
        self.model = model
        self.pick = pick

    def forward(self, *inputs):
        return self.pick(self.model, *inputs)


def minilm():
    from transformers import BertConfig, BertModel

    config = BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)
    model = BertModel(config)
    ids = torch.randint(0, config.vocab_size, (8, 64))
    mask = torch.ones(8, 64, dtype=torch.int64)
    mask[1::2, 48:] = 0
    return Logits(model, lambda m, i, a: m(input_ids=i, attention_mask=a).last_hidden_state), (ids, mask)


def gpt2():
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(GPT2Config())
    return Logits(model, lambda m, i: m(input_ids=i, use_cache=False).logits), (torch.randint(0, 50257, (1, 128)),)


def vit_b16():
    from transformers import ViTConfig, ViTForImageClassification

    model = ViTForImageClassification(ViTConfig(num_labels=1000))
    return Logits(model, lambda m, x: m(pixel_values=x).logits), (torch.randn(1, 3, 224, 224),)


def resnet50():
    return ResNet50(), (torch.randn(1, 3, 224, 224),)


def mobilenet_v2():
    return MobileNetV2(), (torch.randn(1, 3, 224, 224),)


MODELS = {f.__name__: f for f in (minilm, gpt2, vit_b16, resnet50, mobilenet_v2)}


def build(name):
    """The model in eval mode with batch-norm statistics that keep activations in range, and its inputs."""
    torch.manual_seed(0)
    model, inputs = MODELS[name]()
    if any(isinstance(m, nn.BatchNorm2d) for m in model.modules()):
        model.train()
        with torch.no_grad():
            for _ in range(3):
                model(torch.randn(4, 3, 224, 224))
    return model.eval(), inputs


def export(name, directory):
    model, inputs = build(name)
    with torch.no_grad():
        expected = model(*inputs)
        program = torch.export.export(model, inputs)
    for suffix, variant in (("", program), (".core", program.run_decompositions())):
        case = Path(directory) / (name + suffix)
        case.mkdir(parents=True, exist_ok=True)
        torch.export.save(variant, case / "model.pt2")
        names = [s.arg.name for s in variant.graph_signature.input_specs if s.kind.name == "USER_INPUT"]
        save_file({n: x.contiguous() for n, x in zip(names, inputs)}, case / "inputs.safetensors")
        save_file({"output_0": expected.contiguous()}, case / "expected.safetensors")


if __name__ == "__main__":
    for name in sys.argv[2:] or MODELS:
        export(name, sys.argv[1])
        print(name, flush=True)
