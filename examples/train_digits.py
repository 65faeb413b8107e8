# SPDX-License-Identifier: MIT
"""Trains the two small models of this folder on scikit-learn's handwritten digits and exports them as case directories.

    python train_digits.py DIR      writes DIR/digits_cnn/ and DIR/digits_transformer/

The folders beside this file were made so. Needs torch, scikit-learn and safetensors.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F


class DigitsCNN(nn.Module):
    """Two convolutions with batch norm on 8x8 images."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(32)
        self.fc = nn.Linear(32 * 2 * 2, 10)

    def forward(self, image):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(image))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        return F.log_softmax(self.fc(x.flatten(1)), dim=-1)


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x):
        batch, length, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, length, width)
        x = x + self.proj(attended)
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class DigitsTransformer(nn.Module):
    """Reads the eight rows of an image as eight tokens."""

    def __init__(self, width=48, heads=4, layers=2):
        super().__init__()
        self.embed = nn.Linear(8, width)
        self.position = nn.Parameter(torch.randn(8, width) * 0.1)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, image):
        x = self.embed(image.squeeze(1)) + self.position
        return F.log_softmax(self.head(self.norm(self.blocks(x)).mean(1)), dim=-1)


def train(model, images, labels):
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    for epoch in range(40):
        for batch in torch.randperm(len(images)).split(64):
            optimizer.zero_grad()
            F.nll_loss(model(images[batch]), labels[batch]).backward()
            optimizer.step()
    return model.eval()


def export(model, images, labels, accuracy, directory):
    directory.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        expected = model(images)
        torch.export.save(torch.export.export(model, (images,)), directory / "model.pt2")
    save_file({"image": images}, directory / "inputs.safetensors")
    save_file({"output_0": expected}, directory / "expected.safetensors")
    meta = {
        "name": directory.name,
        "categories": ["example"],
        "description": f"{type(model).__doc__} {accuracy:.1%} of 360 unseen digits are recognised; "
        f"the inputs are {len(images)} of them, showing {labels.tolist()}.",
    }
    (directory / "meta.json").write_text(json.dumps(meta, indent=1) + "\n")


if __name__ == "__main__":
    torch.manual_seed(0)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    labels = torch.tensor(digits.target)
    order = torch.randperm(len(images))
    seen, unseen = order[:-360], order[-360:]
    for model, name in ((DigitsCNN(), "digits_cnn"), (DigitsTransformer(), "digits_transformer")):
        train(model, images[seen], labels[seen])
        with torch.no_grad():
            accuracy = (model(images[unseen]).argmax(1) == labels[unseen]).double().mean().item()
        print(name, accuracy)
        export(model, images[unseen[:16]], labels[unseen[:16]], accuracy, Path(sys.argv[1]) / name)
