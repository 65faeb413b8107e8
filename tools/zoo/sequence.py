# SPDX-License-Identifier: MIT
"""Models of sequences: recurrent, convolutional, spectral, state spaces."""

import torch
from torch import nn
from torch.nn import functional as F

from . import zoo


def tokens(length=7, words=20):
    return lambda: [(torch.randint(0, words, (2, length)),)]


@zoo("recurrent", "embedding", calls=tokens())
class LstmTagger(nn.Module):
    """Two layers of LSTM in both directions; a tag for each word."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(20, 8, padding_idx=0)
        self.lstm, self.tags = nn.LSTM(8, 6, 2, batch_first=True, bidirectional=True), nn.Linear(12, 5)

    def forward(self, words):
        return F.log_softmax(self.tags(self.lstm(self.words(words))[0]), -1)


@zoo("recurrent", "multi_io", calls=lambda: [(torch.randn(5, 2, 4), torch.randn(1, 2, 6))])
class GruForecast(nn.Module):
    """A GRU from a given state; the forecast and the state to go on from."""

    def __init__(self):
        super().__init__()
        self.gru, self.out = nn.GRU(4, 6), nn.Linear(6, 4)

    def forward(self, x, state):
        y, state = self.gru(x, state)
        return x[-1] + self.out(y[-1]), state


@zoo("recurrent", calls=lambda: [(torch.randn(2, 5, 4),)])
class ElmanNet(nn.Module):
    """A plain recurrent net with ReLU."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(4, 6, nonlinearity="relu", batch_first=True)

    def forward(self, x):
        return self.rnn(x)[1][0]


@zoo("recurrent", "shared_weights", calls=lambda: [(torch.randn(4, 2, 3),)])
class LstmCellLoop(nn.Module):
    """One LSTM cell used at every step."""

    def __init__(self):
        super().__init__()
        self.cell = nn.LSTMCell(3, 5)

    def forward(self, x):
        h = c = x.new_zeros(x.shape[1], 5)
        states = []
        for step in x.unbind(0):
            h, c = self.cell(step, (h, c))
            states.append(h)
        return torch.stack(states)


@zoo("recurrent", "attention", "multi_io", "shared_weights", calls=lambda: [(torch.randn(2, 6, 4), torch.randn(2, 3, 4))])
class AttentiveDecoder(nn.Module):
    """A GRU cell that looks at the source with additive attention at each step."""

    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(8, 4)
        self.query, self.key, self.score = nn.Linear(4, 4, bias=False), nn.Linear(4, 4), nn.Linear(4, 1, bias=False)

    def forward(self, source, target):
        h = source.mean(1)
        outputs = []
        for step in target.unbind(1):
            weights = self.score(torch.tanh(self.query(h)[:, None] + self.key(source))).softmax(1)
            h = self.cell(torch.cat([step, (weights * source).sum(1)], -1), h)
            outputs.append(h)
        return torch.stack(outputs, 1)


@zoo("convolution", "sequence", "skip_connections", calls=lambda: [(torch.randn(2, 4, 24),)])
class CausalConvolutions(nn.Module):
    """Gated convolutions with growing dilation that see only the past, as in WaveNet."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv1d(4, 8, 2, dilation=2**i) for i in range(3))
        self.mix = nn.ModuleList(nn.Conv1d(4, 4, 1) for _ in range(3))

    def forward(self, x):
        total = torch.zeros_like(x)
        for layer, mix in zip(self.layers, self.mix):
            value, gate = layer(F.pad(x, (layer.dilation[0], 0))).chunk(2, 1)
            y = mix(torch.tanh(value) * torch.sigmoid(gate))
            total, x = total + y, x + y
        return F.relu(total)


@zoo("sequence", "spectral", "skip_connections", calls=lambda: [(torch.randn(2, 8, 6),)])
class FourierMixer(nn.Module):
    """The layer of FNet: the real part of a Fourier transform in place of attention."""

    def __init__(self):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(6), nn.LayerNorm(6)
        self.l1, self.l2 = nn.Linear(6, 12), nn.Linear(12, 6)

    def forward(self, x):
        x = self.n1(x + torch.fft.fft2(x).real)
        return self.n2(x + self.l2(F.gelu(self.l1(x), approximate="tanh")))


@zoo("sequence", "spectral", calls=lambda: [(torch.randn(2, 64),)])
class SpectrogramFrontEnd(nn.Module):
    """Sound to the logarithm of its power in bands of frequency."""

    def __init__(self):
        super().__init__()
        self.register_buffer("window", torch.hann_window(16))
        self.register_buffer("bands", torch.rand(5, 9))

    def forward(self, sound):
        spectrum = torch.stft(sound, 16, 8, window=self.window, return_complex=True)
        return torch.log(self.bands @ spectrum.abs().square() + 1e-3)


@zoo("sequence", "spectral", calls=lambda: [(torch.randn(1, 16, 3),)])
class SpectralFilter(nn.Module):
    """A long convolution done as a product of complex spectra."""

    def __init__(self):
        super().__init__()
        self.filter = nn.Parameter(torch.randn(9, 3, 2) / 3)

    def forward(self, x):
        spectrum = torch.fft.rfft(x, dim=1, norm="ortho") * torch.view_as_complex(self.filter)
        return torch.fft.irfft(spectrum, n=x.shape[1], dim=1, norm="ortho")


@zoo("sequence", "state_space", calls=lambda: [(torch.randn(2, 6, 4),)])
class SelectiveScan(nn.Module):
    """The state space of Mamba, step by step: how much is kept depends on the input."""

    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(torch.rand(4, 3))
        self.step, self.bc, self.skip = nn.Linear(4, 4), nn.Linear(4, 6), nn.Parameter(torch.randn(4))

    def forward(self, x):
        step = F.softplus(self.step(x))
        b, c = self.bc(x).split(3, -1)
        keep = torch.exp(-step[..., None] * self.a)
        add = step[..., None] * b[:, :, None, :] * x[..., None]
        h = torch.zeros_like(add[:, 0])
        outputs = []
        for i in range(x.shape[1]):
            h = keep[:, i] * h + add[:, i]
            outputs.append((h * c[:, i, None, :]).sum(-1))
        return torch.stack(outputs, 1) + self.skip * x


@zoo("sequence", "attention", calls=lambda: [(torch.randn(2, 6, 4),)])
class LinearAttention(nn.Module):
    """Attention without softmax as running sums: its cost grows with the length, not with its square."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(4, 12, bias=False)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        q, k = F.elu(q) + 1, F.elu(k) + 1
        memory = torch.einsum("blk,blv->blkv", k, v).cumsum(1)
        return torch.einsum("blk,blkv->blv", q, memory) / (q * k.cumsum(1)).sum(-1, keepdim=True)
