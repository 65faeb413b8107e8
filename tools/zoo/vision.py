# SPDX-License-Identifier: MIT
"""Models of images, volumes and points."""

import torch
from torch import nn
from torch.nn import functional as F

from . import zoo


def images(channels=3, size=16):
    return lambda: [(torch.randn(2, channels, size, size),)]


@zoo("convolution", "vision", calls=images(1))
class LeNet(nn.Module):
    """Two convolutions with average pools, then three linear layers."""

    def __init__(self):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(1, 4, 5, padding=2), nn.Conv2d(4, 8, 5)
        self.l1, self.l2, self.l3 = nn.Linear(32, 24), nn.Linear(24, 16), nn.Linear(16, 10)

    def forward(self, x):
        x = F.avg_pool2d(torch.tanh(self.c1(x)), 2)
        x = F.avg_pool2d(torch.tanh(self.c2(x)), 2).flatten(1)
        return self.l3(torch.tanh(self.l2(torch.tanh(self.l1(x)))))


@zoo("convolution", "skip_connections", "vision", calls=images(8, 8))
class InvertedResidual(nn.Module):
    """The block of MobileNet v2: a depthwise convolution between two of size 1, with ReLU6."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(8, 24, 1, bias=False), nn.BatchNorm2d(24), nn.ReLU6(),
            nn.Conv2d(24, 24, 3, padding=1, groups=24, bias=False), nn.BatchNorm2d(24), nn.ReLU6(),
            nn.Conv2d(24, 8, 1, bias=False), nn.BatchNorm2d(8))

    def forward(self, x):
        return x + self.layers(x)


@zoo("convolution", "skip_connections", "vision", calls=images(8, 8))
class SqueezeExcite(nn.Module):
    """A residual block of ResNeXt: grouped convolution, channels weighted by what the whole image says."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(8, 8, 3, padding=1, groups=4), nn.BatchNorm2d(8)
        self.down, self.up = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1)

    def forward(self, x):
        y = F.silu(self.norm(self.conv(x)))
        return x + y * torch.sigmoid(self.up(F.relu(self.down(y.mean((2, 3), keepdim=True)))))


@zoo("convolution", "segmentation", "skip_connections", "vision", calls=images())
class UNet(nn.Module):
    """Down with strides and up with transposed convolutions, joined across."""

    def __init__(self):
        super().__init__()
        self.d1, self.d2, self.d3 = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1)
        self.u2, self.u1 = nn.ConvTranspose2d(8, 8, 2, 2), nn.ConvTranspose2d(16, 4, 3, 2, 1, output_padding=1)
        self.head = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        a = F.relu(self.d1(x))
        b = F.relu(self.d2(a))
        c = F.relu(self.d3(b))
        y = torch.cat([self.u2(c), b], 1)
        return self.head(torch.cat([self.u1(y), a], 1))


@zoo("convolution", "vision", calls=images(4, 9))
class InceptionBlock(nn.Module):
    """Four branches of different windows side by side, on an odd size."""

    def __init__(self):
        super().__init__()
        self.b1, self.b3, self.b5, self.pool = nn.Conv2d(4, 3, 1), nn.Conv2d(4, 3, 3, padding="same"), nn.Conv2d(
            4, 3, 5, padding=2), nn.Conv2d(4, 3, 1)

    def forward(self, x):
        pooled = self.pool(F.max_pool2d(x, 3, 1, 1))
        return F.max_pool2d(F.elu(torch.cat([self.b1(x), self.b3(x), self.b5(x), pooled], 1)), 2, ceil_mode=True)


@zoo("convolution", "skip_connections", "vision", "normalization", calls=images(8, 8))
class ConvNextBlock(nn.Module):
    """A wide depthwise convolution, then layer norm and two linear layers over the channels, scaled."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(8, 8, 7, padding=3, groups=8), nn.LayerNorm(8, eps=1e-6)
        self.l1, self.l2 = nn.Linear(8, 32), nn.Linear(32, 8)
        self.scale = nn.Parameter(torch.rand(8))

    def forward(self, x):
        y = self.norm(self.conv(x).permute(0, 2, 3, 1))
        return x + (self.l2(F.gelu(self.l1(y))) * self.scale).permute(0, 3, 1, 2)


@zoo("mlp", "skip_connections", "vision", calls=images(3, 8))
class MlpMixer(nn.Module):
    """Patches mixed along positions, then along channels."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 12, 2, 2)
        self.n1, self.n2 = nn.LayerNorm(12), nn.LayerNorm(12)
        self.positions = nn.Sequential(nn.Linear(16, 8), nn.GELU(), nn.Linear(8, 16))
        self.channels = nn.Sequential(nn.Linear(12, 24), nn.GELU(), nn.Linear(24, 12))
        self.head = nn.Linear(12, 5)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = x + self.positions(self.n1(x).mT).mT
        x = x + self.channels(self.n2(x))
        return self.head(x.mean(1))


@zoo("attention", "skip_connections", "vision", calls=images(3, 8))
class VisionTransformer(nn.Module):
    """Patches and a class token through a layer of nn.TransformerEncoderLayer, norm first."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, 4)
        self.token, self.place = nn.Parameter(torch.randn(1, 1, 16)), nn.Parameter(torch.randn(1, 5, 16))
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, 0.0, "gelu", batch_first=True, norm_first=True)
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 5)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.place
        return self.head(self.norm(self.layer(x)[:, 0]))


@zoo("attention", "vision", calls=lambda: [(torch.randn(1, 4, 4, 8),)])
class ShiftedWindows(nn.Module):
    """The attention of Swin: the image rolled, cut into windows, with a bias by relative position."""

    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)
        self.bias = nn.Parameter(torch.randn(9, 2))
        place = torch.stack(torch.meshgrid(torch.arange(2), torch.arange(2), indexing="ij")).flatten(1)
        apart = place[:, :, None] - place[:, None, :] + 1
        self.register_buffer("which", apart[0] * 3 + apart[1])

    def forward(self, x):
        b = x.shape[0]
        x = torch.roll(x, (-1, -1), (1, 2)).view(b, 2, 2, 2, 2, 8).permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, 8)
        q, k, v = self.qkv(x).view(-1, 4, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
        y = F.scaled_dot_product_attention(q, k, v, self.bias[self.which].permute(2, 0, 1))
        y = self.out(y.transpose(1, 2).reshape(-1, 4, 8)).view(b, 2, 2, 2, 2, 8).permute(0, 1, 3, 2, 4, 5)
        return torch.roll(y.reshape(b, 4, 4, 8), (1, 1), (1, 2))


@zoo("convolution", "generative", "vision", calls=lambda: [(torch.randn(2, 8),)])
class Generator(nn.Module):
    """The generator of a DCGAN: noise through transposed convolutions."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.ConvTranspose2d(8, 8, 4, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
            nn.ConvTranspose2d(8, 4, 4, 2, 1, bias=False), nn.BatchNorm2d(4), nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(4, 3, 4, 2, 1), nn.Tanh())

    def forward(self, noise):
        return self.layers(noise[:, :, None, None])


@zoo("convolution", "generative", "vision", calls=images(3, 6))
class SuperResolution(nn.Module):
    """Pixels from channels, added to a bicubic enlargement."""

    def __init__(self):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect"), nn.Conv2d(8, 12, 3, padding=1)
        self.slope = nn.PReLU(8)

    def forward(self, x):
        detail = F.pixel_shuffle(self.c2(self.slope(self.c1(x))), 2)
        return F.interpolate(x, scale_factor=2, mode="bicubic", align_corners=False) + detail


@zoo("convolution", "normalization", "vision", calls=images(6, 6))
class StyleTransfer(nn.Module):
    """Instance norm, group norm and an enlargement by nearest neighbours."""

    def __init__(self):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(6, 8, 3, 2, 1), nn.Conv2d(8, 3, 3, padding=1)
        self.n1, self.n2 = nn.InstanceNorm2d(8, affine=True), nn.GroupNorm(1, 3)

    def forward(self, x):
        x = F.interpolate(F.mish(self.n1(self.c1(x))), scale_factor=2.0, mode="nearest")
        return torch.sigmoid(self.n2(self.c2(x)))


@zoo("convolution", "vision", calls=images(1, 8))
class SpatialTransformer(nn.Module):
    """An affine map that the image itself chooses, applied with grid_sample."""

    def __init__(self):
        super().__init__()
        self.conv, self.theta = nn.Conv2d(1, 4, 3, 2), nn.Linear(36, 6)

    def forward(self, x):
        theta = self.theta(F.relu(self.conv(x)).flatten(1)).view(-1, 2, 3)
        grid = F.affine_grid(theta, list(x.shape), align_corners=False)
        return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


@zoo("convolution", "vision", calls=lambda: [(torch.randn(1, 2, 4, 6, 6),)])
class VideoNet(nn.Module):
    """Three-dimensional convolution and pools."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv3d(2, 4, 3, padding=1), nn.BatchNorm3d(4), nn.Linear(4, 3)

    def forward(self, x):
        x = F.max_pool3d(F.relu(self.norm(self.conv(x))), 2)
        return F.log_softmax(self.head(F.adaptive_avg_pool3d(x, 1).flatten(1)), -1)


@zoo("detection", "multi_io", "vision", calls=images(4, 4))
class BoxHead(nn.Module):
    """Boxes from anchors and offsets, clamped to the image, and the best five by score."""

    def __init__(self):
        super().__init__()
        self.scores, self.offsets = nn.Conv2d(4, 3, 1), nn.Conv2d(4, 12, 1)
        y, x = torch.meshgrid(torch.arange(4.0), torch.arange(4.0), indexing="ij")
        centre = torch.stack([x, y], -1).view(16, 1, 2).expand(16, 3, 2) * 4 + 2
        size = torch.tensor([[4.0, 4.0], [8.0, 4.0], [4.0, 8.0]]).expand(16, 3, 2)
        self.register_buffer("anchors", torch.cat([centre, size], -1).reshape(48, 4))

    def forward(self, x):
        b = x.shape[0]
        scores = torch.sigmoid(self.scores(x)).permute(0, 2, 3, 1).reshape(b, 48)
        offsets = self.offsets(x).permute(0, 2, 3, 1).reshape(b, 48, 4)
        centre = self.anchors[:, :2] + offsets[..., :2] * self.anchors[:, 2:]
        size = self.anchors[:, 2:] * offsets[..., 2:].clamp(max=2.0).exp()
        boxes = torch.cat([centre - size / 2, centre + size / 2], -1).clamp(0, 16)
        best, which = scores.topk(5, 1)
        return best, boxes.gather(1, which[..., None].expand(-1, -1, 4))


@zoo("points", "reduction", calls=lambda: [(torch.randn(2, 20, 3),)])
class PointNet(nn.Module):
    """Every point by itself, then the maximum over all: the order of the points does not matter."""

    def __init__(self):
        super().__init__()
        self.c1, self.c2, self.head = nn.Conv1d(3, 8, 1), nn.Conv1d(8, 16, 1), nn.Linear(19, 4)

    def forward(self, points):
        features = F.relu(self.c2(F.relu(self.c1(points.transpose(1, 2)))))
        return self.head(torch.cat([features.amax(-1), points.std(1)], -1))
