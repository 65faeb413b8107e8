# SPDX-License-Identifier: MIT
"""Models that are there for their graphs: state, control flow, sizes that vary, nested inputs, other dtypes."""

import torch
from torch import nn
from torch._higher_order_ops.while_loop import while_loop
from torch.export import Dim
from torch.nn import functional as F

from . import zoo


@zoo("mlp", calls=lambda: [(torch.randn(4, 8),)])
class Perceptron(nn.Module):
    """Linear layers with a norm of the batch and dropout, which does nothing here."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Hardswish(), nn.Dropout(0.5), nn.Linear(16, 3), nn.Softmax(-1))

    def forward(self, x):
        return self.layers(x)


@zoo("mlp", "activation", calls=lambda: [(torch.randn(3, 12),)])
class Activations(nn.Module):
    """A dozen activations, each on the numbers that the one before left."""

    def forward(self, x):
        for f in (F.selu, F.celu, F.softsign, F.hardtanh, F.logsigmoid, F.softshrink, F.tanhshrink, F.hardsigmoid, F.mish, F.silu, F.relu6):
            x = f(x) + 0.25 * x
        return F.glu(x, -1)


@zoo("mlp", "generative", "multi_io", calls=lambda: [(torch.randn(4, 12), torch.randn(4, 3))])
class VariationalAutoencoder(nn.Module):
    """Codes from given noise; the picture, its code and the divergence."""

    def __init__(self):
        super().__init__()
        self.encode, self.decode = nn.Linear(12, 6), nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 12), nn.Sigmoid())

    def forward(self, x, noise):
        mean, log_variance = self.encode(x).chunk(2, -1)
        divergence = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(-1)
        return self.decode(mean + noise * torch.exp(0.5 * log_variance)), mean, divergence.mean()


@zoo("mlp", "shared_weights", calls=lambda: [(torch.randn(4, 6), torch.randn(4, 2))])
class HyperNetwork(nn.Module):
    """A net that computes the weights of another for every row."""

    def __init__(self):
        super().__init__()
        self.weights = nn.Linear(2, 18)

    def forward(self, x, condition):
        return torch.tanh(torch.bmm(self.weights(condition).view(-1, 3, 6), x[..., None]))[..., 0]


@zoo("graph", "mlp", calls=lambda: [(torch.randn(5, 4), torch.tensor([[0, 1, 2, 3, 4, 0, 2], [1, 2, 3, 4, 0, 2, 0]]))])
class GraphConvolution(nn.Module):
    """Two rounds of messages along edges, scaled by the degrees of their ends."""

    def __init__(self):
        super().__init__()
        self.l1, self.l2 = nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, x, edges):
        source, target = edges[0], edges[1]
        degree = torch.ones(5).index_add(0, target, torch.ones(7))
        scale = (degree[source] * degree[target]).rsqrt()[:, None]
        for layer in (self.l1, self.l2):
            y = layer(x)
            x = torch.relu(y / degree[:, None] + torch.zeros_like(y).index_add(0, target, y[source] * scale))
        return x


@zoo("graph", "attention", calls=lambda: [(torch.randn(5, 4), torch.tensor([[0, 1, 2, 3, 4, 0, 2], [1, 2, 3, 4, 0, 2, 0]]))])
class GraphAttention(nn.Module):
    """Messages weighted by a softmax over the edges that reach a node."""

    def __init__(self):
        super().__init__()
        self.project, self.left, self.right = nn.Linear(4, 6, bias=False), nn.Linear(6, 1), nn.Linear(6, 1)

    def forward(self, x, edges):
        source, target = edges[0], edges[1]
        y = self.project(x)
        score = F.leaky_relu(self.left(y)[source, 0] + self.right(y)[target, 0], 0.2)
        most = torch.full((5,), float("-inf")).scatter_reduce(0, target, score, "amax")
        weight = torch.exp(score - most[target])
        total = torch.zeros(5).scatter_add(0, target, weight)
        return F.elu(torch.zeros_like(y).index_add(0, target, y[source] * (weight / total[target])[:, None]))


@zoo("state", "normalization", calls=lambda: [(torch.randn(4, 6),)])
class RunningNorm(nn.Module):
    """Keeps a mean and a variance over all calls in buffers."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(6))
        self.register_buffer("var", torch.ones(6))
        self.register_buffer("calls", torch.tensor(0))

    def forward(self, x):
        self.calls.add_(1)
        self.mean.lerp_(x.mean(0), 0.1)
        self.var.mul_(0.9).add_(x.var(0), alpha=0.1)
        return (x - self.mean) * torch.rsqrt(self.var + 1e-5)


@zoo("state", "attention", "language_model", calls=lambda: [(torch.randn(1, 1, 8), torch.tensor([2]))])
class KvCache(nn.Module):
    """A step of a decoder: the key and value go into the cache at a given place, and the query sees all up to there."""

    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)
        self.register_buffer("keys", torch.randn(1, 2, 6, 4))
        self.register_buffer("values", torch.randn(1, 2, 6, 4))

    def forward(self, x, place):
        q, k, v = (t.view(1, 1, 2, 4).transpose(1, 2) for t in self.qkv(x).chunk(3, -1))
        self.keys.index_copy_(2, place, k)
        self.values.index_copy_(2, place, v)
        seen = (torch.arange(6) <= place)[None, None, None]
        y = F.scaled_dot_product_attention(q, self.keys, self.values, seen)
        return self.out(y.transpose(1, 2).reshape(1, 1, 8))


@zoo("control_flow", "mlp", calls=lambda: [(torch.full((2, 4), 0.5),), (torch.full((2, 4), -0.5),)])
class Router(nn.Module):
    """One of two nets, by the sign of the sum: one call for each."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x):
        return torch.cond(x.sum() > 0, lambda t: torch.relu(self.a(t)), lambda t: torch.tanh(self.b(t)), (x,))


@zoo("control_flow", "recurrent", calls=lambda: [(torch.randn(3, 4),)])
class FixedPoint(nn.Module):
    """The same map again until it hardly moves, at most twenty times."""

    def __init__(self):
        super().__init__()
        self.map = nn.Linear(4, 4)
        with torch.no_grad():
            self.map.weight.mul_(0.3)

    def forward(self, x):

        def moves(z, before, n):
            return ((z - before).abs().amax() > 1e-3) & (n < 20)

        def step(z, before, n):
            return torch.tanh(self.map(z) + x), z.clone(), n + 1

        return while_loop(moves, step, (x.sin(), x.cos() + 1, torch.tensor(0)))[0]


@zoo("dynamic_shapes", "mlp", calls=lambda: [(torch.randn(4, 6),), (torch.randn(7, 6),)], dynamic_shapes={"x": {0: Dim("rows", max=64)}})
class AnyBatch(nn.Module):
    """A net for any number of rows; the second call has another."""

    def __init__(self):
        super().__init__()
        self.l1, self.l2 = nn.Linear(6, 8), nn.Linear(8, 2)

    def forward(self, x):
        x = torch.relu(self.l1(x))
        return self.l2(x - x.mean(0)).reshape(x.shape[0], -1, 1)


@zoo("dynamic_shapes", "attention", calls=lambda: [(torch.randn(2, 5, 8),), (torch.randn(3, 9, 8),)],
     dynamic_shapes={"x": {0: Dim("batch", max=16), 1: Dim("length", max=32)}})
class AnyLength(nn.Module):
    """Attention over a sequence of any length."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0] + x.flip(1)


@zoo("dynamic_shapes", "convolution", "vision", calls=lambda: [(torch.randn(1, 3, 8, 12),), (torch.randn(1, 3, 13, 9),)],
     dynamic_shapes={"x": {2: Dim("height", min=4, max=64), 3: Dim("width", min=4, max=64)}})
class AnyImage(nn.Module):
    """A convolutional net for images of any height and width."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3, 2, 1), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(F.relu(self.conv(x)).mean((-2, -1)))


@zoo("multi_io", "mlp", calls=lambda: [({"left": torch.randn(2, 4), "right": [torch.randn(2, 4), torch.randn(2, 1)]}, 2.5)])
class NestedInputs(nn.Module):
    """Takes a dictionary with a list in it and a number, gives a dictionary."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, batch, scale: float):
        first, second = batch["right"]
        return {"sum": self.linear(batch["left"] + first) * scale, "parts": (first - second, second.sum())}


@zoo("precision", "mlp", calls=lambda: [(torch.randn(4, 8, dtype=torch.bfloat16),)])
class BrainFloat(nn.Module):
    """A net in bfloat16 with its norm in float32."""

    def __init__(self):
        super().__init__()
        self.linear, self.norm = nn.Linear(8, 8, dtype=torch.bfloat16), nn.LayerNorm(8)

    def forward(self, x):
        return self.norm(self.linear(x).float()).to(torch.bfloat16) + x


@zoo("quantization", "mlp", calls=lambda: [(torch.randn(4, 8),)])
class IntegerLinear(nn.Module):
    """Weights of 8 bits with a scale per row; the rows of the input are rounded to 8 bits as they come."""

    def __init__(self):
        super().__init__()
        self.register_buffer("weight", torch.randint(-127, 128, (5, 8), dtype=torch.int8))
        self.register_buffer("scale", torch.rand(5) / 64)

    def forward(self, x):
        step = x.abs().amax(-1, keepdim=True) / 127
        rounded = torch.round(x / step).clamp(-128, 127).to(torch.int8)
        return (rounded.to(torch.int32) @ self.weight.to(torch.int32).T).float() * step * self.scale


@zoo("linear_algebra", calls=lambda: [(torch.randn(6, 3), torch.randn(6, 1))])
class RidgeRegression(nn.Module):
    """Solves the normal equations by a Cholesky factor."""

    def forward(self, x, y):
        factor = torch.linalg.cholesky(x.T @ x + 0.1 * torch.eye(3))
        weights = torch.cholesky_solve(x.T @ y, factor)
        return weights, (x @ weights - y).square().mean()


@zoo("reduction", "multi_io", calls=lambda: [(torch.randn(3, 4, 5),)])
class Statistics(nn.Module):
    """Moments, order statistics, running sums and counts of one tensor."""

    def forward(self, x):
        values, which = x.sort(-1, descending=True)
        return (x.mean((0, 2)), x.var(1, correction=0), x.median(1)[0], values[..., :2], which[..., 0], x.cumsum(1), x.logsumexp(-1),
                (x > 0).sum((1, 2)), torch.linalg.vector_norm(x, 3, -1), x.argmax(1))
