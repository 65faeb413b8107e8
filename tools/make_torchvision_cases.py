#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes op cases for torchvision's ops of detection models.

    python make_torchvision_cases.py DIR      writes DIR/torchvision.nms.default/, ...; needs torch, torchvision and safetensors
"""

import sys

import torch
import torchvision  # noqa: F401  registers torchvision::
from op_cases import make_case, write_cases

ops = torch.ops.torchvision
generator = torch.Generator().manual_seed(0)


def rand(*shape):
    return torch.randn(*shape, generator=generator)


def boxes(count, size):
    corner = torch.rand(count, 2, generator=generator) * size * 0.7
    return torch.cat([corner, corner + torch.rand(count, 2, generator=generator) * size * 0.4], 1)


def regions(images, count, size, scale=1.0):
    """Boxes of images in turn; the last is turned round, the one before reaches beyond the image."""
    of = torch.arange(count).remainder(images)[:, None].float()
    box = boxes(count, size)
    box[-2] = torch.tensor([-3.0, -2.0, size + 4.0, size * 0.6])
    box[-1] = box[-1, [2, 3, 0, 1]]
    return torch.cat([of, box * scale], 1)


def nms():
    box = boxes(12, 10.0)
    scores = torch.rand(12, generator=generator)
    for threshold in (0.0, 0.3, 0.7):
        yield box, scores, threshold
    yield box.double()[:8], scores.double()[:8].round(decimals=1), 0.2  # scores that are equal
    yield torch.empty(0, 4), torch.empty(0), 0.5


def roi_align():
    x, rois = rand(2, 2, 7, 9), regions(2, 6, 8.0)
    for aligned in (False, True):
        for ratio in (-1, 2):
            yield x, rois, 1.0, 3, 2, ratio, aligned
    yield x.double(), regions(2, 5, 8.0, 4.0).double(), 0.25, 2, 2, 0, True
    yield x, torch.empty(0, 5), 1.0, 2, 2, 2, False


def ps_roi_align():
    x, rois = rand(2, 8, 7, 9), regions(2, 6, 8.0)[:-1]
    yield x, rois, 1.0, 2, 2, -1
    yield x.double(), regions(2, 5, 8.0, 2.0)[:-1].double(), 0.5, 2, 4, 2


def roi_pool():
    x, rois = rand(2, 2, 7, 9), regions(2, 6, 8.0)
    yield x, rois, 1.0, 3, 2
    yield x.double(), regions(2, 5, 8.0, 4.0).double(), 0.25, 2, 2


def ps_roi_pool():
    x, rois = rand(2, 8, 7, 9), regions(2, 6, 8.0)
    yield x, rois, 1.0, 2, 2
    yield x.double(), regions(2, 5, 8.0, 2.0).double(), 0.5, 2, 4


def deform_conv2d():
    def call(groups, offset_groups, use_mask, stride, pad, dilation, kernel, dtype=torch.float32):
        x, weight = rand(2, 4, 6, 7), rand(6, 4 // groups, *kernel)
        size = [(n + 2 * pad[d] - dilation[d] * (kernel[d] - 1) - 1) // stride[d] + 1 for d, n in enumerate((6, 7))]
        taps = kernel[0] * kernel[1] * offset_groups
        offset = rand(2, 2 * taps, *size) * 2
        mask = rand(2, taps, *size) if use_mask else torch.zeros(2, 1)
        tensors = (t.to(dtype) for t in (x, weight, offset, mask, rand(6)))
        return (*tensors, *stride, *pad, *dilation, groups, offset_groups, use_mask)

    yield call(1, 1, True, (1, 1), (1, 1), (1, 1), (3, 3))
    yield call(2, 2, False, (2, 1), (0, 1), (1, 2), (2, 3))
    yield call(1, 4, True, (1, 2), (2, 0), (2, 1), (3, 1), torch.float64)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for calls in (nms, roi_align, ps_roi_align, roi_pool, ps_roi_pool, deform_conv2d):
        op = getattr(ops, calls.__name__).default
        tensors = {}
        cases = [make_case(op, args, {}, index, tensors) for index, args in enumerate(calls())]
        write_cases(sys.argv[1], op, cases, tensors)
        print(op, len(cases))
