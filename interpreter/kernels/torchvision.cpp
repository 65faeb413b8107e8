// SPDX-License-Identifier: MIT
// Ops of detection models, as torchvision's CPU kernels compute them (torchvision/csrc/ops/cpu): boxes that do not
// overlap, regions of interest, deformable convolution. A region is a row [image, x1, y1, x2, y2].
#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>
#include <vector>

#include "kernels/call.hpp"
#include "kernels/families.hpp"
#include "parallel.hpp"
#include "rows.hpp"

namespace torch_ir::kernels {
namespace {

using Two = std::tuple<Tensor, Tensor>;
using I = std::int64_t;

/// A dimension of a sampling grid beyond this is no region of an image.
constexpr double grid_limit = 1 << 16;

void check_same_dtype(const char* op, In input, In other, const char* other_name) {
    if (input.dtype() != other.dtype())
        throw ArgumentError(std::string(op) + ": expected '" + other_name + "' of dtype " +
                            std::string(name(input.dtype())) + ", found " + describe(other));
}

void check_float(const char* op, In input, bool half) {
    const DType dtype = input.dtype();
    if (dtype != DType::Float32 && dtype != DType::Float64 && !(half && dtype == DType::Float16))
        throw ArgumentError(std::string(op) + ": expected " + (half ? "float16, " : "") + "float32 or float64, found " +
                            describe(input));
}

/// Indices of the boxes [x1, y1, x2, y2] that no box of a higher score overlaps by more than the threshold, best first.
Tensor nms(In dets, In scores, double iou_threshold) {
    if (dets.dim() != 2 || dets.size(1) != 4 || scores.dim() != 1 || scores.size(0) != dets.size(0))
        throw ArgumentError("nms: expected 'dets' [n, 4] and 'scores' [n], found " + describe(dets) + " and " +
                            describe(scores));
    check_float("nms", dets, false);
    check_same_dtype("nms", dets, scores, "scores");
    const I count = dets.size(0);
    const Tensor order = call("aten.argsort.stable", {scores, true, I{0}, true}).contiguous();
    const I* best = order.data<I>();
    std::vector<I> kept;
    const Tensor rows = dets.contiguous();
    visit_float(dets.dtype(), "nms", [&]<class C>(C) {
        const C* box = rows.data<C>();
        std::vector<bool> suppressed(static_cast<std::size_t>(count));
        const auto area = [&](const C* b) { return (b[2] - b[0]) * (b[3] - b[1]); };
        for (I i = 0; i < count; ++i) {
            if (suppressed[static_cast<std::size_t>(best[i])]) continue;
            kept.push_back(best[i]);
            const C* a = box + best[i] * 4;
            for (I j = i + 1; j < count; ++j) {
                const C* b = box + best[j] * 4;
                const C width = std::max(C(0), std::min(a[2], b[2]) - std::max(a[0], b[0]));
                const C height = std::max(C(0), std::min(a[3], b[3]) - std::max(a[1], b[1]));
                const C both = width * height;
                if (both / (area(a) + area(b) - both) > iou_threshold)
                    suppressed[static_cast<std::size_t>(best[j])] = true;
            }
        }
    });
    const Tensor result = Tensor::empty(Ints{static_cast<I>(kept.size())}, DType::Int64);
    std::ranges::copy(kept, result.data<I>());
    return result;
}

struct Pooled {
    I height;
    I width;
};

void check_regions(const char* op, In input, In rois, Pooled pooled) {
    if (input.dim() != 4 || rois.dim() != 2 || rois.size(1) != 5)
        throw ArgumentError(std::string(op) + ": expected 'input' [n, c, h, w] and 'rois' [k, 5], found " +
                            describe(input) + " and " + describe(rois));
    if (pooled.height < 1 || pooled.width < 1)
        throw ArgumentError(std::string(op) + ": expected 'pooled_height' and 'pooled_width' of at least 1, found " +
                            std::to_string(pooled.height) + " and " + std::to_string(pooled.width));
    check_same_dtype(op, input, rois, "rois");
    if (input.numel() == 0 && rois.size(0) > 0)
        throw ArgumentError(std::string(op) + ": expected 'input' with elements, found " + describe(input));
}

template <class C>
I image_of(const char* op, const C* roi, I images) {
    if (!(roi[0] > -1 && roi[0] < static_cast<C>(images)))
        throw ArgumentError(std::string(op) + ": expected the first column of 'rois' to be an image of " +
                            std::to_string(images) + ", found " + std::to_string(static_cast<double>(roi[0])));
    return static_cast<I>(roi[0]);
}

/// Where one coordinate samples: two neighbours and how much of the second.
template <class C>
struct Tap {
    bool inside = false;
    I low = 0;
    I high = 0;
    C part = 0;
};

template <class C>
Tap<C> tap_at(C at, I size) {
    Tap<C> tap;
    if (!(at >= -1 && at <= static_cast<C>(size))) return tap;
    tap.inside = true;
    at = std::max(at, C(0));
    tap.low = static_cast<I>(at);
    if (tap.low >= size - 1) {
        tap.low = tap.high = size - 1;
    } else {
        tap.high = tap.low + 1;
        tap.part = at - static_cast<C>(tap.low);
    }
    return tap;
}

/// The samples of one axis of a region: `grid` of them in each of the bins.
template <class C>
struct AxisSamples {
    double grid = 0;  // as torchvision counts them, which may be negative
    std::vector<Tap<C>> taps;

    AxisSamples(const char* op, C start, C length, I bins, I ratio, I size) {
        grid = ratio > 0 ? static_cast<double>(ratio) : static_cast<double>(std::ceil(length / static_cast<C>(bins)));
        if (grid > grid_limit)
            throw ArgumentError(std::string(op) + ": expected a region or a 'sampling_ratio' of at most " +
                                std::to_string(static_cast<I>(grid_limit)) + " samples a bin, found " +
                                std::to_string(grid));
        const C bin = length / static_cast<C>(bins);
        for (I b = 0; b < bins; ++b)
            for (I i = 0; i < samples(); ++i)
                taps.push_back(tap_at(
                    start + static_cast<C>(b) * bin + (static_cast<C>(i) + C(0.5)) * bin / static_cast<C>(grid), size));
    }
    I samples() const { return grid > 0 ? static_cast<I>(grid) : 0; }
};

/// Sum of the samples of one bin in a plane of `width` columns.
template <class C>
C bin_sum(const C* plane, I width, const AxisSamples<C>& y, const AxisSamples<C>& x, I bin_y, I bin_x) {
    C total = 0;
    for (I i = bin_y * y.samples(); i < (bin_y + 1) * y.samples(); ++i)
        for (I j = bin_x * x.samples(); j < (bin_x + 1) * x.samples(); ++j) {
            const Tap<C>& v = y.taps[static_cast<std::size_t>(i)];
            const Tap<C>& h = x.taps[static_cast<std::size_t>(j)];
            if (!v.inside || !h.inside) continue;
            const C* top = plane + v.low * width;
            const C* bottom = plane + v.high * width;
            total += (1 - v.part) * (1 - h.part) * top[h.low] + (1 - v.part) * h.part * top[h.high] +
                     v.part * (1 - h.part) * bottom[h.low] + v.part * h.part * bottom[h.high];
        }
    return total;
}

Tensor roi_align(In input, In rois, double spatial_scale, I pooled_height, I pooled_width, I sampling_ratio,
                 bool aligned) {
    const Pooled pooled{pooled_height, pooled_width};
    check_regions("roi_align", input, rois, pooled);
    check_float("roi_align", input, true);
    return visit_float(input.dtype(), "roi_align", [&]<class C>(C) {
        const Tensor x = input.to(dtype_of<C>()).contiguous(), regions = rois.to(dtype_of<C>()).contiguous();
        const I channels = x.size(1), height = x.size(2), width = x.size(3);
        const Tensor y = Tensor::empty(Ints{rois.size(0), channels, pooled.height, pooled.width}, dtype_of<C>());
        parallel_for(rois.size(0), 1, [&](I begin, I end) {
            for (I n = begin; n < end; ++n) {
                const C* roi = regions.data<C>() + n * 5;
                const C scale = static_cast<C>(spatial_scale), shift = aligned ? C(0.5) : C(0);
                const C* image = x.data<C>() + image_of("roi_align", roi, x.size(0)) * channels * height * width;
                const auto axis = [&](int at, I bins, I size) {
                    const C start = roi[at] * scale - shift;
                    const C length = roi[at + 2] * scale - shift - start;
                    return AxisSamples<C>("roi_align", start, aligned ? length : std::max(length, C(1)), bins,
                                          sampling_ratio, size);
                };
                const AxisSamples<C> vertical = axis(2, pooled.height, height);
                const AxisSamples<C> horizontal = axis(1, pooled.width, width);
                const C count = static_cast<C>(std::max(vertical.grid * horizontal.grid, 1.0));
                C* to = y.data<C>() + n * channels * pooled.height * pooled.width;
                for (I c = 0; c < channels; ++c)
                    for (I i = 0; i < pooled.height; ++i)
                        for (I j = 0; j < pooled.width; ++j)
                            *to++ = bin_sum(image + c * height * width, width, vertical, horizontal, i, j) / count;
            }
        });
        return y.to(input.dtype());
    });
}

I channels_of_bins(const char* op, In input, Pooled pooled) {
    const I bins = pooled.height * pooled.width;
    if (input.size(1) % bins != 0)
        throw ArgumentError(std::string(op) + ": expected the channels of 'input' to be a multiple of " +
                            std::to_string(bins) + ", found " + describe(input));
    return input.size(1) / bins;
}

/// Each bin of each result has an input channel of its own; the second result says which.
Two ps_roi_align(In input, In rois, double spatial_scale, I pooled_height, I pooled_width, I sampling_ratio) {
    const Pooled pooled{pooled_height, pooled_width};
    check_regions("ps_roi_align", input, rois, pooled);
    check_float("ps_roi_align", input, true);
    const I channels = channels_of_bins("ps_roi_align", input, pooled);
    return visit_float(input.dtype(), "ps_roi_align", [&]<class C>(C) {
        const Tensor x = input.to(dtype_of<C>()).contiguous(), regions = rois.to(dtype_of<C>()).contiguous();
        const I height = x.size(2), width = x.size(3);
        const Ints shape{rois.size(0), channels, pooled.height, pooled.width};
        const Tensor y = Tensor::empty(shape, dtype_of<C>()), mapping = Tensor::empty(shape, DType::Int32);
        for (I n = 0; n < rois.size(0); ++n) {
            const C* roi = regions.data<C>() + n * 5;
            const C scale = static_cast<C>(spatial_scale);
            const C* image = x.data<C>() + image_of("ps_roi_align", roi, x.size(0)) * x.size(1) * height * width;
            const auto axis = [&](int at, I bins, I size) {
                const C start = roi[at] * scale - C(0.5);
                return AxisSamples<C>("ps_roi_align", start, roi[at + 2] * scale - C(0.5) - start, bins, sampling_ratio,
                                      size);
            };
            const AxisSamples<C> vertical = axis(2, pooled.height, height);
            const AxisSamples<C> horizontal = axis(1, pooled.width, width);
            const C count = static_cast<C>(vertical.grid * horizontal.grid);
            for (I c = 0; c < x.size(1); ++c) {
                const I at = n * x.size(1) + c, bin = c % (pooled.height * pooled.width);
                y.data<C>()[at] = bin_sum(image + c * height * width, width, vertical, horizontal, bin / pooled.width,
                                          bin % pooled.width) /
                                  count;
                mapping.data<std::int32_t>()[at] = static_cast<std::int32_t>(c);
            }
        }
        return Two(y.to(input.dtype()), mapping);
    });
}

/// The whole pixels of one axis of a region.
template <class C>
struct AxisPixels {
    I start;
    C bin;

    /// `extra` pixels belong to the region beyond the difference of its corners.
    AxisPixels(const char* op, C first, C last, C scale, I bins, I extra) {
        const C low = std::round(first * scale), high = std::round(last * scale);
        if (!(std::abs(low) < C(1 << 30) && std::abs(high) < C(1 << 30)))
            throw ArgumentError(std::string(op) + ": expected regions within 2^30 pixels");
        start = static_cast<I>(low);
        bin = static_cast<C>(std::max<I>(static_cast<I>(high) - start + extra, 1)) / static_cast<C>(bins);
    }
    I begin(I at, I limit) const {
        return std::clamp<I>(static_cast<I>(std::floor(static_cast<C>(at) * bin)) + start, 0, limit);
    }
    I end(I at, I limit) const {
        return std::clamp<I>(static_cast<I>(std::ceil(static_cast<C>(at + 1) * bin)) + start, 0, limit);
    }
};

/// The largest pixel of each bin and where it lies in its plane, -1 where there is none.
Two roi_pool(In input, In rois, double spatial_scale, I pooled_height, I pooled_width) {
    const Pooled pooled{pooled_height, pooled_width};
    check_regions("roi_pool", input, rois, pooled);
    check_float("roi_pool", input, false);
    return visit_float(input.dtype(), "roi_pool", [&]<class C>(C) {
        const Tensor x = input.contiguous(), regions = rois.contiguous();
        const I channels = x.size(1), height = x.size(2), width = x.size(3);
        const Ints shape{rois.size(0), channels, pooled.height, pooled.width};
        const Tensor y = Tensor::empty(shape, x.dtype()), argmax = Tensor::empty(shape, DType::Int32);
        for (I n = 0; n < rois.size(0); ++n) {
            const C* roi = regions.data<C>() + n * 5;
            const C scale = static_cast<C>(spatial_scale);
            const C* image = x.data<C>() + image_of("roi_pool", roi, x.size(0)) * channels * height * width;
            const AxisPixels<C> rows("roi_pool", roi[2], roi[4], scale, pooled.height, 1);
            const AxisPixels<C> columns("roi_pool", roi[1], roi[3], scale, pooled.width, 1);
            I at = n * channels * pooled.height * pooled.width;
            for (I c = 0; c < channels; ++c)
                for (I i = 0; i < pooled.height; ++i)
                    for (I j = 0; j < pooled.width; ++j, ++at) {
                        const I top = rows.begin(i, height), bottom = rows.end(i, height);
                        const I left = columns.begin(j, width), right = columns.end(j, width);
                        C best = bottom <= top || right <= left ? C(0) : C(-std::numeric_limits<float>::max());
                        I where = -1;
                        for (I h = top; h < bottom; ++h)
                            for (I w = left; w < right; ++w)
                                if (const C value = image[(c * height + h) * width + w]; value > best) {
                                    best = value;
                                    where = h * width + w;
                                }
                        y.data<C>()[at] = best;
                        argmax.data<std::int32_t>()[at] = static_cast<std::int32_t>(where);
                    }
        }
        return Two(y, argmax);
    });
}

/// Means of bins; the last row and column of an image never count.
Two ps_roi_pool(In input, In rois, double spatial_scale, I pooled_height, I pooled_width) {
    const Pooled pooled{pooled_height, pooled_width};
    check_regions("ps_roi_pool", input, rois, pooled);
    check_float("ps_roi_pool", input, false);
    const I channels = channels_of_bins("ps_roi_pool", input, pooled);
    return visit_float(input.dtype(), "ps_roi_pool", [&]<class C>(C) {
        const Tensor x = input.contiguous(), regions = rois.contiguous();
        const I height = x.size(2), width = x.size(3);
        const Ints shape{rois.size(0), channels, pooled.height, pooled.width};
        const Tensor y = Tensor::empty(shape, x.dtype()), mapping = Tensor::empty(shape, DType::Int32);
        for (I n = 0; n < rois.size(0); ++n) {
            const C* roi = regions.data<C>() + n * 5;
            const C scale = static_cast<C>(spatial_scale);
            const C* image = x.data<C>() + image_of("ps_roi_pool", roi, x.size(0)) * x.size(1) * height * width;
            const AxisPixels<C> rows("ps_roi_pool", roi[2], roi[4], scale, pooled.height, 0);
            const AxisPixels<C> columns("ps_roi_pool", roi[1], roi[3], scale, pooled.width, 0);
            for (I c = 0; c < x.size(1); ++c) {
                const I at = n * x.size(1) + c, bin = c % (pooled.height * pooled.width);
                const I top = rows.begin(bin / pooled.width, height - 1),
                        bottom = rows.end(bin / pooled.width, height - 1);
                const I left = columns.begin(bin % pooled.width, width - 1);
                const I right = columns.end(bin % pooled.width, width - 1);
                C total = 0;
                for (I h = top; h < bottom; ++h)
                    for (I w = left; w < right; ++w) total += image[(c * height + h) * width + w];
                const bool empty = bottom <= top || right <= left;
                y.data<C>()[at] = empty ? C(0) : total / static_cast<C>((bottom - top) * (right - left));
                mapping.data<std::int32_t>()[at] = static_cast<std::int32_t>(c);
            }
        }
        return Two(y, mapping);
    });
}

/// The value between the four pixels around a place; those outside are 0.
template <class C>
C between(const C* plane, I height, I width, C y, C x) {
    if (!(y > -1 && y < static_cast<C>(height) && x > -1 && x < static_cast<C>(width))) return 0;
    const I top = static_cast<I>(std::floor(y)), left = static_cast<I>(std::floor(x));
    const C down = y - static_cast<C>(top), right = x - static_cast<C>(left);
    const auto pixel = [&](I i, I j) {
        return i >= 0 && i < height && j >= 0 && j < width ? plane[i * width + j] : C(0);
    };
    return (1 - down) * (1 - right) * pixel(top, left) + (1 - down) * right * pixel(top, left + 1) +
           down * (1 - right) * pixel(top + 1, left) + down * right * pixel(top + 1, left + 1);
}

/// A convolution that reads every pixel of a window at a place of its own: offsets [n, 2 g kh kw, oh, ow], y before x,
/// and factors `mask` [n, g kh kw, oh, ow], for g groups of channels.
Tensor deform_conv2d(In input, In weight, In offset, In mask, In bias, I stride_h, I stride_w, I pad_h, I pad_w,
                     I dilation_h, I dilation_w, I groups, I offset_groups, bool use_mask) {
    const auto fail = [&](const std::string& expected, const std::string& found) {
        throw ArgumentError("deform_conv2d: expected " + expected + ", found " + found);
    };
    if (input.dim() != 4 || weight.dim() != 4)
        fail("'input' [n, c, h, w] and 'weight' [o, c / groups, kh, kw]", describe(input) + " and " + describe(weight));
    check_float("deform_conv2d", input, true);
    check_same_dtype("deform_conv2d", input, weight, "weight");
    check_same_dtype("deform_conv2d", input, offset, "offset");
    if (use_mask) check_same_dtype("deform_conv2d", input, mask, "mask");
    if (stride_h < 1 || stride_w < 1 || dilation_h < 1 || dilation_w < 1 || pad_h < 0 || pad_w < 0 || groups < 1 ||
        offset_groups < 1)
        fail("positive strides, dilations and groups and no negative padding",
             to_string(Ints{stride_h, stride_w, dilation_h, dilation_w, pad_h, pad_w, groups, offset_groups}));
    const I images = input.size(0), channels = input.size(1), height = input.size(2), width = input.size(3);
    const I outputs = weight.size(0), kernel_h = weight.size(2), kernel_w = weight.size(3);
    const I taps = kernel_h * kernel_w;
    if (channels % groups != 0 || outputs % groups != 0 || weight.size(1) * groups != channels ||
        channels % offset_groups != 0)
        fail("channels that 'groups' and 'offset_groups' divide", describe(input) + " and " + describe(weight));
    const I out_h = (height + 2 * pad_h - (dilation_h * (kernel_h - 1) + 1)) / stride_h + 1;
    const I out_w = (width + 2 * pad_w - (dilation_w * (kernel_w - 1) + 1)) / stride_w + 1;
    if (out_h < 1 || out_w < 1) fail("a kernel within the padded 'input'", describe(weight) + " on " + describe(input));
    if (offset.shape() != Ints{images, offset_groups * 2 * taps, out_h, out_w})
        fail("'offset' " + to_string(Ints{images, offset_groups * 2 * taps, out_h, out_w}), describe(offset));
    if (use_mask && mask.shape() != Ints{images, offset_groups * taps, out_h, out_w})
        fail("'mask' " + to_string(Ints{images, offset_groups * taps, out_h, out_w}), describe(mask));
    if (bias.shape() != Ints{outputs}) fail("'bias' " + to_string(Ints{outputs}), describe(bias));
    return visit_float(input.dtype(), "deform_conv2d", [&]<class C>(C) {
        const auto plain = [](In t) { return t.to(dtype_of<C>()).contiguous(); };
        const Tensor x = plain(input), shifts = plain(offset), factors = use_mask ? plain(mask) : Tensor();
        const I places = out_h * out_w;
        const Tensor columns = Tensor::empty(Ints{images, groups, channels / groups * taps, places}, dtype_of<C>());
        parallel_for(images * channels, 1, [&](I begin, I end) {
            for (I plane = begin; plane < end; ++plane) {
                const I group = plane / channels * offset_groups + plane % channels / (channels / offset_groups);
                const C* from = x.data<C>() + plane * height * width;
                const C* shift = shifts.data<C>() + group * 2 * taps * places;
                C* to = columns.data<C>() + plane * taps * places;
                for (I k = 0; k < taps; ++k)
                    for (I p = 0; p < places; ++p) {
                        const I row = p / out_w * stride_h - pad_h + k / kernel_w * dilation_h;
                        const I column = p % out_w * stride_w - pad_w + k % kernel_w * dilation_w;
                        const C y = static_cast<C>(row) + shift[2 * k * places + p];
                        const C at = static_cast<C>(column) + shift[(2 * k + 1) * places + p];
                        const C factor = use_mask ? factors.data<C>()[(group * taps + k) * places + p] : C(1);
                        to[k * places + p] = factor * between(from, height, width, y, at);
                    }
            }
        });
        const Tensor kernel = plain(weight).reshape(Ints{1, groups, outputs / groups, channels / groups * taps});
        const Tensor product = call("aten.matmul.default", {kernel, columns});
        const Tensor result = product.reshape(Ints{images, outputs, out_h, out_w});
        return call("aten.add.Tensor", {result, plain(bias).reshape(Ints{1, outputs, 1, 1})}).to(input.dtype());
    });
}

}  // namespace

void register_torchvision(Registry& r) {
    r.add("torchvision::nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor", nms);
    r.add(
        "torchvision::roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt "
        "pooled_width, int sampling_ratio, bool aligned) -> Tensor",
        roi_align);
    r.add(
        "torchvision::ps_roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt "
        "pooled_width, int sampling_ratio) -> (Tensor, Tensor)",
        ps_roi_align);
    r.add(
        "torchvision::roi_pool(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt "
        "pooled_width) -> (Tensor, Tensor)",
        roi_pool);
    r.add(
        "torchvision::ps_roi_pool(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt "
        "pooled_width) -> (Tensor, Tensor)",
        ps_roi_pool);
    r.add(
        "torchvision::deform_conv2d(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, SymInt "
        "stride_h, SymInt stride_w, SymInt pad_h, SymInt pad_w, SymInt dilation_h, SymInt dilation_w, SymInt groups, "
        "SymInt offset_groups, bool use_mask) -> Tensor",
        deform_conv2d);
}

}  // namespace torch_ir::kernels
