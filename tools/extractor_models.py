# SPDX-License-Identifier: MIT
"""The Python twins of tests/support/extractor_models.hpp, and modules for TorchScript."""

from typing import Dict, List, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import nn


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.dropout = nn.Linear(8, 16), nn.Linear(16, 4), nn.Dropout(0.5)

    def forward(self, x):
        return torch.softmax(self.fc2(self.dropout(torch.relu(self.fc1(x)))), -1)


class ResNetBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(4, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.shortcut = nn.Conv2d(4, 8, 1, stride=2)

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        s = self.shortcut(x)
        return torch.relu(y + s)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(6, 5, num_layers=2, bidirectional=True, batch_first=True)
        self.gru = nn.GRU(10, 7, batch_first=True)

    def forward(self, x):
        y, state = self.lstm(x)
        z, h = self.gru(y)
        return z, state, h


class EncoderLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(16), nn.LayerNorm(16)
        self.qkv, self.out, self.up, self.down = nn.Linear(16, 48), nn.Linear(16, 16), nn.Linear(16, 32), nn.Linear(32, 16)
        self.dropout = nn.Dropout(0.1)

    def attention(self, x, mask):
        b, t = x.shape[:2]
        q, k, v = self.qkv(x).view(b, t, 3, 4, 4).permute(2, 0, 3, 1, 4).unbind(0)
        y = F.scaled_dot_product_attention(q, k, v, mask)
        return self.out(y.transpose(1, 2).reshape(b, t, 16))

    def forward(self, x, mask):
        a = self.attention(self.norm1(x), mask)
        y = x + self.dropout(a)
        f = self.down(F.gelu(self.up(self.norm2(y))))
        return y + self.dropout(f)


class DecoderLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(16), nn.LayerNorm(16), nn.LayerNorm(16)
        self.qkv, self.out, self.q, self.kv = nn.Linear(16, 48), nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 32)
        self.cross, self.up, self.down = nn.Linear(16, 16), nn.Linear(16, 32), nn.Linear(32, 16)

    @staticmethod
    def heads(x):
        return x.view(x.size(0), x.size(1), 4, 4).transpose(1, 2)

    @staticmethod
    def merged(x):
        return x.transpose(1, 2).reshape(x.size(0), x.size(2), 16)

    def forward(self, x, memory):
        parts = self.qkv(x).chunk(3, -1)
        q1, k1, v1 = self.heads(parts[0]), self.heads(parts[1]), self.heads(parts[2])
        a = F.scaled_dot_product_attention(q1, k1, v1, is_causal=True)
        y = self.norm1(x + self.out(self.merged(a)))
        q2 = self.heads(self.q(y))
        both = self.kv(memory).chunk(2, -1)
        k2, v2 = self.heads(both[0]), self.heads(both[1])
        z = self.norm2(y + self.cross(self.merged(F.scaled_dot_product_attention(q2, k2, v2))))
        return self.norm3(z + self.down(torch.relu(self.up(z))))


class Bag(nn.Module):
    def __init__(self):
        super().__init__()
        self.bag, self.words = nn.EmbeddingBag(20, 6, mode="mean"), nn.Embedding(20, 6, padding_idx=0)

    def forward(self, ids, offsets):
        pooled = self.bag(ids, offsets)
        return torch.cat([pooled, self.words(ids)], 0)


class DoubleConv(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, padding=1)
        self.norm = nn.GroupNorm(2, n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1)

    def forward(self, x):
        return F.silu(self.conv2(F.silu(self.norm(self.conv1(x)))))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1, self.down2, self.middle = DoubleConv(3, 4), DoubleConv(4, 8), DoubleConv(8, 8)
        self.transposed = nn.ConvTranspose2d(8, 8, 2, stride=2)
        self.up2, self.up1, self.head = DoubleConv(16, 4), DoubleConv(8, 4), nn.Conv2d(4, 2, 1)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(self.pool(a))
        c = self.middle(self.pool(b))
        d = self.up2(torch.cat([self.transposed(c), b], 1))
        larger = F.interpolate(d, scale_factor=(2.0, 2.0), mode="nearest")
        return self.head(self.up1(torch.cat([larger, a], 1)))


class RmsNorm(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x):
        scale = torch.rsqrt(x.pow(2).mean(-1, True) + 1e-6)
        return x * scale * self.weight


class LlmBlock(nn.Module):
    size, heads, kv_heads, hidden, length = 32, 4, 2, 48, 12

    def __init__(self):
        super().__init__()
        self.head = self.size // self.heads
        kv = self.kv_heads * self.head
        self.norm1, self.norm2 = RmsNorm(self.size), RmsNorm(self.size)
        self.q, self.out = nn.Linear(self.size, self.size, False), nn.Linear(self.size, self.size, False)
        self.k, self.v = nn.Linear(self.size, kv, False), nn.Linear(self.size, kv, False)
        self.gate, self.up = nn.Linear(self.size, self.hidden, False), nn.Linear(self.size, self.hidden, False)
        self.down = nn.Linear(self.hidden, self.size, False)
        self.register_buffer("k_cache", torch.zeros(1, self.kv_heads, self.length, self.head))
        self.register_buffer("v_cache", torch.zeros(1, self.kv_heads, self.length, self.head))

    @staticmethod
    def rotated(x, cos, sin):
        halves = x.chunk(2, -1)
        first, second = halves[0] * cos, halves[1] * sin
        third, fourth = halves[1] * cos, halves[0] * sin
        left, right = first - second, third + fourth
        return torch.cat([left, right], -1)

    def forward(self, x, position, cos, sin, mask):
        b, t = x.shape[:2]
        h = self.norm1(x)
        queries = self.rotated(self.q(h).view(b, t, self.heads, self.head).transpose(1, 2), cos, sin)
        keys = self.rotated(self.k(h).view(b, t, self.kv_heads, self.head).transpose(1, 2), cos, sin)
        values = self.v(h).view(b, t, self.kv_heads, self.head).transpose(1, 2)
        self.k_cache.index_copy_(2, position, keys)
        self.v_cache.index_copy_(2, position, values)
        a = F.scaled_dot_product_attention(queries, self.k_cache, self.v_cache, mask, enable_gqa=True)
        y = x + self.out(a.transpose(1, 2).reshape(b, t, self.size))
        n = self.norm2(y)
        g = F.silu(self.gate(n))
        return y + self.down(g * self.up(n))


class Loops(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(6, 6) for _ in range(3)])
        self.register_buffer("scale", torch.full((6,), 1.5))
        self.table = torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]])

    def forward(self, x, n: int, bias: Optional[torch.Tensor] = None, sizes: Tuple[int, int] = (2, 3)) -> Tuple[torch.Tensor, Dict[str, torch.Tensor], List[torch.Tensor]]:
        parts: List[torch.Tensor] = []
        for i, layer in enumerate(self.layers):
            x = torch.tanh(layer(x))
            if i < n:
                parts.append(x)
        if bias is not None:
            x = x + bias
        y = torch.zeros(x.size(0), 6)
        for i in range(x.size(0)):
            y[i] = x[i] * i
        return x + self.table, {"scaled": x * self.scale, "rows": y.view(-1, sizes[0], sizes[1])}, parts


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("total", torch.zeros(3))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self.last = torch.zeros(0)

    def forward(self, x):
        if self.last.numel() == 0:
            self.last = torch.zeros_like(x)
        self.total += x
        self.steps.add_(1)
        y = x - self.last
        self.last = x
        return y + self.total


class Branch(nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            x = x * 2
        return x


class Nonzero(nn.Module):
    def forward(self, x):
        return x[x > 0]
