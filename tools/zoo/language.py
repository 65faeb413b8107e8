# SPDX-License-Identifier: MIT
"""Transformers and other models of text."""

import torch
from torch import nn
from torch.nn import functional as F

from . import zoo


def tokens(length=6, words=24):
    return lambda: [(torch.randint(0, words, (1, length)),)]


@zoo("attention", "language_model", "embedding", "skip_connections", "shared_weights", calls=tokens())
class Gpt(nn.Module):
    """A decoder as GPT-2 has it, with one layer; the head uses the weights of the embedding."""

    def __init__(self):
        super().__init__()
        self.words, self.places = nn.Embedding(24, 16), nn.Embedding(8, 16)
        self.n1, self.n2, self.n3 = nn.LayerNorm(16), nn.LayerNorm(16), nn.LayerNorm(16)
        self.qkv, self.out = nn.Linear(16, 48), nn.Linear(16, 16)
        self.up, self.down = nn.Linear(16, 64), nn.Linear(64, 16)

    def forward(self, words):
        b, n = words.shape
        x = self.words(words) + self.places(torch.arange(n))
        q, k, v = (t.view(b, n, 2, 8).transpose(1, 2) for t in self.qkv(self.n1(x)).split(16, -1))
        x = x + self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(b, n, 16))
        x = x + self.down(F.gelu(self.up(self.n2(x)), approximate="tanh"))
        return self.n3(x) @ self.words.weight.T


@zoo("attention", "language_model", "embedding", "normalization", "skip_connections", calls=tokens())
class Llama(nn.Module):
    """A decoder as Llama has it, with one layer: rotary positions, grouped queries, root mean square norms, SwiGLU."""

    def __init__(self):
        super().__init__()
        self.words, self.head = nn.Embedding(24, 16), nn.Linear(16, 24, bias=False)
        self.n1, self.n2, self.n3 = nn.RMSNorm(16, 1e-6), nn.RMSNorm(16, 1e-6), nn.RMSNorm(16, 1e-6)
        self.q, self.k, self.v, self.o = (nn.Linear(16, size, bias=False) for size in (16, 8, 8, 16))
        self.gate, self.up, self.down = nn.Linear(16, 32, bias=False), nn.Linear(16, 32, bias=False), nn.Linear(32, 16, bias=False)
        self.register_buffer("frequency", 10000.0 ** (-torch.arange(0, 4, 2) / 4), persistent=False)

    def rotate(self, x):
        angle = torch.arange(x.shape[-2])[:, None] * torch.cat([self.frequency, self.frequency])
        half = torch.cat([-x[..., 2:], x[..., :2]], -1)
        return x * angle.cos() + half * angle.sin()

    def forward(self, words):
        b, n = words.shape
        x = self.words(words)
        y = self.n1(x)
        q = self.rotate(self.q(y).view(b, n, 4, 4).transpose(1, 2))
        k = self.rotate(self.k(y).view(b, n, 2, 4).transpose(1, 2)).repeat_interleave(2, 1)
        v = self.v(y).view(b, n, 2, 4).transpose(1, 2).repeat_interleave(2, 1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(b, n, 16)
        x = x + self.o(y)
        y = self.n2(x)
        return self.head(self.n3(x + self.down(F.silu(self.gate(y)) * self.up(y))))


@zoo("attention", "embedding", "skip_connections", calls=lambda: [(torch.randint(0, 24, (2, 6)), torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]]))])
class Bert(nn.Module):
    """An encoder as BERT has it, with one layer, a mask over padding and a pooled first word."""

    def __init__(self):
        super().__init__()
        self.words, self.places, self.norm = nn.Embedding(24, 16), nn.Embedding(8, 16), nn.LayerNorm(16, 1e-12)
        self.q, self.k, self.v, self.o = (nn.Linear(16, 16) for _ in range(4))
        self.n1, self.n2 = nn.LayerNorm(16, 1e-12), nn.LayerNorm(16, 1e-12)
        self.up, self.down, self.pool = nn.Linear(16, 32), nn.Linear(32, 16), nn.Linear(16, 16)

    def forward(self, words, mask):
        b, n = words.shape
        x = self.norm(self.words(words) + self.places.weight[:n])
        q, k, v = (f(x).view(b, n, 2, 8).permute(0, 2, 1, 3) for f in (self.q, self.k, self.v))
        scores = q @ k.transpose(-1, -2) / 8**0.5
        scores = scores.masked_fill(mask[:, None, None, :] == 0, torch.finfo(x.dtype).min)
        y = (scores.softmax(-1) @ v).permute(0, 2, 1, 3).reshape(b, n, 16)
        x = self.n1(x + self.o(y))
        x = self.n2(x + self.down(F.gelu(self.up(x))))
        return x, torch.tanh(self.pool(x[:, 0]))


@zoo("attention", "embedding", "normalization", calls=tokens())
class RelativePositions(nn.Module):
    """The attention of T5: unscaled, with a learned bias for buckets of distance."""

    def __init__(self):
        super().__init__()
        self.words, self.norm, self.bias = nn.Embedding(24, 8), nn.RMSNorm(8), nn.Embedding(8, 2)
        self.q, self.k, self.v, self.o = (nn.Linear(8, 8, bias=False) for _ in range(4))

    def forward(self, words):
        b, n = words.shape
        x = self.words(words)
        q, k, v = (f(self.norm(x)).view(b, n, 2, 4).transpose(1, 2) for f in (self.q, self.k, self.v))
        apart = torch.arange(n)[None, :] - torch.arange(n)[:, None]
        far = 2 + (torch.log(apart.abs().float().clamp(min=1)) * 1.5).long()
        bucket = torch.where(apart.abs() < 2, apart.abs(), far.clamp(max=3)) + (apart > 0) * 4
        scores = q @ k.mT + self.bias(bucket).permute(2, 0, 1)
        return x + self.o((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, n, 8))


@zoo("attention", "multi_io", "skip_connections", calls=lambda: [(torch.randn(2, 5, 8), torch.randn(2, 4, 8))])
class EncoderDecoder(nn.Module):
    """nn.Transformer with a layer on either side and a causal mask."""

    def __init__(self):
        super().__init__()
        self.transformer = nn.Transformer(8, 2, 1, 1, 16, 0.0, batch_first=True)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(4))

    def forward(self, source, target):
        return self.transformer(source, target, tgt_mask=self.mask, tgt_is_causal=False)


@zoo("routing", "mlp", calls=lambda: [(torch.randn(6, 8),)])
class MixtureOfExperts(nn.Module):
    """Each row goes to the two experts of four that a gate chooses."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(8, 4, bias=False)
        self.up, self.down = nn.Parameter(torch.randn(4, 8, 12) / 3), nn.Parameter(torch.randn(4, 12, 8) / 4)

    def forward(self, x):
        weight, which = self.gate(x).softmax(-1).topk(2, -1)
        weight = weight / weight.sum(-1, keepdim=True)
        hidden = F.silu(torch.einsum("nd,nkdh->nkh", x, self.up[which]))
        return torch.einsum("nkh,nkhd,nk->nd", hidden, self.down[which], weight)


@zoo("embedding", "mlp", calls=lambda: [(torch.randint(0, 30, (12,)), torch.tensor([0, 3, 3, 8]))])
class BagOfWords(nn.Module):
    """The mean of the words of each text, one of which is empty."""

    def __init__(self):
        super().__init__()
        self.words, self.out = nn.EmbeddingBag(30, 8, mode="mean"), nn.Linear(8, 3)

    def forward(self, words, starts):
        return self.out(self.words(words, starts))


@zoo("embedding", "mlp", "multi_io", "recommendation", calls=lambda: [(torch.randn(4, 5), torch.randint(0, 10, (4, 3)))])
class FactorizationMachine(nn.Module):
    """DeepFM: products of all pairs of features, beside a deep part."""

    def __init__(self):
        super().__init__()
        self.embedding, self.first = nn.Embedding(10, 4), nn.Embedding(10, 1)
        self.deep = nn.Sequential(nn.Linear(17, 8), nn.ReLU(), nn.Linear(8, 1))

    def forward(self, numbers, kinds):
        e = self.embedding(kinds)
        pairs = 0.5 * (e.sum(1).square() - e.square().sum(1)).sum(-1, keepdim=True)
        deep = self.deep(torch.cat([numbers, e.flatten(1)], -1))
        return torch.sigmoid(self.first(kinds).sum(1) + pairs + deep)


@zoo("embedding", "retrieval", "multi_io", "shared_weights", calls=lambda: [(torch.randint(0, 30, (3, 5)), torch.randint(0, 30, (3, 5)))])
class TwinEncoder(nn.Module):
    """Texts and their partners in one space: all cosines, and the contrastive loss."""

    def __init__(self):
        super().__init__()
        self.words, self.out = nn.Embedding(30, 8), nn.Linear(8, 6)
        self.scale = nn.Parameter(torch.tensor(2.0))

    def encode(self, words):
        return F.normalize(self.out(self.words(words).amax(1)), dim=-1)

    def forward(self, a, b):
        cosines = self.encode(a) @ self.encode(b).T * self.scale.exp()
        targets = torch.arange(a.shape[0])
        return cosines, (F.cross_entropy(cosines, targets) + F.cross_entropy(cosines.T, targets)) / 2
