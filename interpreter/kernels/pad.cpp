// SPDX-License-Identifier: MIT
// Padding in all modes, and images to columns and back.
#include <algorithm>
#include <numeric>
#include <ranges>

#include "elementwise.hpp"
#include "kernels/families.hpp"
#include "kernels/fits.hpp"
#include "kernels/layout.hpp"
#include "kernels/move.hpp"
#include "kernels/view.hpp"
#include "parallel.hpp"
#include "stepwise.hpp"

namespace torch_ir::kernels {

Tensor constant_pad(In self, const Ints& pad, const Scalar& value) {
    if (pad.size() % 2 != 0 || static_cast<std::int64_t>(pad.size() / 2) > self.dim())
        throw ArgumentError("constant_pad_nd: expected pad to have two values for each of at most " +
                            std::to_string(self.dim()) + " dimensions, found " + to_string(pad));
    Ints shape = self.shape();
    Tensor source = self;
    Ints starts(shape.size(), 0);
    for (std::size_t i = 0; i < pad.size() / 2; ++i) {
        const std::size_t d = shape.size() - 1 - i;
        const std::int64_t before = pad[2 * i];
        const std::int64_t after = pad[2 * i + 1];
        if (__builtin_add_overflow(shape[d], before, &shape[d]) || __builtin_add_overflow(shape[d], after, &shape[d]) ||
            shape[d] < 0)
            throw ArgumentError("constant_pad_nd: the input size " + std::to_string(self.shape()[d]) +
                                ", plus negative padding " + std::to_string(before) + " and " + std::to_string(after) +
                                ", resulted in a negative output size");
        starts[d] = std::max<std::int64_t>(before, 0);
        const auto dim = static_cast<std::int64_t>(d);
        const std::int64_t first = std::min(std::max<std::int64_t>(-before, 0), source.size(dim));
        const std::int64_t length =
            std::max<std::int64_t>(0, source.size(dim) - first - std::max<std::int64_t>(-after, 0));
        source = source.narrow(dim, first, length);
    }
    Tensor result = empty_format(shape, self.dtype(), suggested_format(self));
    check_fits("constant_pad_nd", value, self.dtype());
    result.fill(value);
    Tensor inner = result;
    for (std::size_t d = 0; d < shape.size(); ++d)
        inner = inner.narrow(static_cast<std::int64_t>(d), starts[d], source.shape()[d]);
    inner.copy_from(source);
    return result;
}

namespace {

enum class PadMode { Reflect, Replicate, Circular };

constexpr const char* mode_names[] = {"reflect", "replicate", "circular"};

/// For each place of the padded dimension, where in the input it is read from.
Ints padded_indices(PadMode mode, std::int64_t length, std::int64_t before, std::int64_t after) {
    const std::string op = std::string(mode_names[static_cast<int>(mode)]) + " padding";
    const auto fail = [&](const std::string& what) {
        throw ArgumentError(op + ": " + what + ", found padding (" + std::to_string(before) + ", " +
                            std::to_string(after) + ") of a dimension of size " + std::to_string(length));
    };
    if (mode == PadMode::Reflect && (before >= length || after >= length))
        fail("padding size should be less than the corresponding input dimension");
    std::int64_t size = 0;
    if (__builtin_add_overflow(length, before, &size) || __builtin_add_overflow(size, after, &size) || size < 0)
        fail("the padded dimension is too small");
    if (length == 0 && size > 0) fail("expected a non-empty dimension");
    // Circular padding repeats what negative padding leaves.
    const std::int64_t dropped = std::max<std::int64_t>(-before, 0);
    const std::int64_t period = length - dropped - std::max<std::int64_t>(-after, 0);
    if (mode == PadMode::Circular && std::max(before, after) > period)
        fail("padding value causes wrapping around more than once");
    Ints indices(static_cast<std::size_t>(size));
    for (std::int64_t i = 0; i < size; ++i) {
        std::int64_t from = i - before;
        if (mode == PadMode::Replicate) from = std::clamp<std::int64_t>(from, 0, length - 1);
        if (mode == PadMode::Circular) from = dropped + (i - std::max<std::int64_t>(before, 0) + period) % period;
        if (mode == PadMode::Reflect) from = from < 0 ? -from : from >= length ? 2 * (length - 1) - from : from;
        indices[static_cast<std::size_t>(i)] = from;
    }
    return indices;
}

/// The last `padding.size() / 2` dimensions padded, last one first.
Tensor index_pad(In self, const Ints& padding, PadMode mode) {
    const auto dims = static_cast<std::int64_t>(padding.size() / 2);
    const std::string op = std::string(mode_names[static_cast<int>(mode)]) + " padding";
    if (padding.empty() || padding.size() % 2 != 0 || (self.dim() != dims + 1 && self.dim() != dims + 2))
        throw ArgumentError(op + ": expected " + std::to_string(dims + 1) + " or " + std::to_string(dims + 2) +
                            " dimensions for padding " + to_string(padding) + ", found " + describe(self));
    const std::int64_t batch = self.dim() - dims - (mode == PadMode::Circular ? 0 : 1);
    for (std::int64_t d = mode == PadMode::Circular ? self.dim() : (self.dim() == dims + 2 ? 1 : 0); d < self.dim();
         ++d)
        if (self.size(d) == 0 && d != batch - 1)
            throw ArgumentError(op + ": expected non-zero size for all dimensions but the batch, found " +
                                describe(self));
    Tensor result = self;
    for (std::int64_t i = 0; i < dims; ++i) {
        const std::int64_t before = padding[static_cast<std::size_t>(2 * i)];
        const std::int64_t after = padding[static_cast<std::size_t>(2 * i + 1)];
        const std::int64_t d = self.dim() - 1 - i;
        const Ints indices = padded_indices(mode, self.size(d), before, after);
        if (before != 0 || after != 0) result = index_select(result, d, Tensor::from_ints(indices));
    }
    if (mode != PadMode::Circular &&
        std::ranges::all_of(std::views::drop(result.shape(), result.dim() - dims), [](auto n) { return n == 0; }))
        throw ArgumentError(op + ": padding " + to_string(padding) + " leaves nothing of " + describe(self));
    if (result.storage() == self.storage()) return self.clone();
    return mode == PadMode::Circular ? result : in_format(result, suggested_format(self));
}

/// What was read from a place several times is added up there.
Tensor pad_backward(PadMode mode, std::size_t dims, In grad_output, In self, const Ints& padding) {
    const std::string op = std::string(mode_names[static_cast<int>(mode)]) + " padding";
    const auto rank = static_cast<std::size_t>(self.dim());
    if (padding.size() != 2 * dims || (rank != dims + 1 && rank != dims + 2))
        throw ArgumentError(op + ": expected padding of " + std::to_string(2 * dims) + " values and self of " +
                            std::to_string(dims + 1) + " or " + std::to_string(dims + 2) + " dimensions, found " +
                            to_string(padding) + " and " + describe(self));
    Ints expected = self.shape();
    for (std::size_t i = 0; i < dims; ++i) expected[expected.size() - 1 - i] += padding[2 * i] + padding[2 * i + 1];
    if (grad_output.shape() != expected)
        throw ArgumentError(op + ": expected grad_output of shape " + to_string(expected) + ", found " +
                            describe(grad_output));
    if (grad_output.dtype() != self.dtype())
        throw ArgumentError(op + ": expected grad_output of the dtype of self, found " + describe(grad_output) +
                            " and " + describe(self));
    // For each place of a padded plane, by its depth, row and column, where in the plane of the input it is read from.
    Ints places[3]{{0}, {0}, {0}};
    std::int64_t plane = 1;
    for (std::size_t i = 0; i < dims; ++i) {
        const std::int64_t size = self.size(-1 - static_cast<std::int64_t>(i));
        places[2 - i] = padded_indices(mode, size, padding[2 * i], padding[2 * i + 1]);
        for (std::int64_t& place : places[2 - i]) place *= plane;
        plane *= size;
    }
    const Tensor sums = Tensor::zeros(self.shape(), self.dtype());
    visit_stepwise(self.dtype(), [&]<class C, class A>(C, A) {
        const Tensor work = sums.to(dtype_of<C>());
        const Tensor grad = grad_output.to(dtype_of<C>()).contiguous();
        const std::int64_t planes = plane == 0 ? 0 : work.numel() / plane;
        const std::int64_t padded = planes == 0 ? 0 : grad.numel() / planes;
        parallel_for(planes, std::max<std::int64_t>(1, parallel_grain / std::max<std::int64_t>(1, padded)),
                     [&](std::int64_t begin, std::int64_t end) {
                         for (std::int64_t p = begin; p < end; ++p) {
                             const C* from = grad.data<C>() + p * padded;
                             for (const std::int64_t depth : places[0])
                                 for (const std::int64_t row : places[1]) {
                                     C* to = work.data<C>() + p * plane + depth + row;
                                     for (const std::int64_t column : places[2]) add_to(to[column], A(*from++));
                                 }
                         }
                     });
        if (work.storage() != sums.storage()) sums.copy_from(work);
    });
    return dims == 2 ? in_format(sums, suggested_format(self)) : sums;
}

void add_pad(Registry& r, PadMode mode, std::size_t dims) {
    const std::string op =
        std::string(mode == PadMode::Reflect ? "reflection" : "replication") + "_pad" + std::to_string(dims) + "d";
    const std::string rest = "SymInt[" + std::to_string(2 * dims) + "] padding) -> Tensor";
    r.add(op + "(Tensor self, " + rest, [mode, dims](In self, const Ints& padding) {
        if (padding.size() != 2 * dims)
            throw ArgumentError("expected padding to have " + std::to_string(2 * dims) + " values, found " +
                                to_string(padding));
        return index_pad(self, padding, mode);
    });
    r.add(op + "_backward(Tensor grad_output, Tensor self, " + rest,
          [mode, dims](In grad_output, In self, const Ints& padding) {
              return pad_backward(mode, dims, grad_output, self, padding);
          });
}

Tensor pad_mode(In self, const Ints& pad, int mode, std::optional<double> value) {
    if (pad.size() % 2 != 0) throw ArgumentError("pad: expected pad to have an even length, found " + to_string(pad));
    if (mode == 0) {
        const double number = value.value_or(0);
        return constant_pad(self, pad, Scalar(number));
    }
    if (value && *value != 0) throw ArgumentError("pad: value must be None or 0 for modes other than constant");
    return index_pad(self, pad, static_cast<PadMode>(mode - 1));
}

Tensor pad(In self, const Ints& pad, const std::string& mode, std::optional<double> value) {
    const char* const modes[] = {"constant", "reflect", "replicate", "circular"};
    for (int i = 0; i < 4; ++i)
        if (mode == modes[i]) return pad_mode(self, pad, i, value);
    throw ArgumentError("pad: expected mode to be constant, reflect, replicate or circular, found '" + mode + "'");
}

Tensor pad_enum(In self, const Ints& pad, std::int64_t mode, std::optional<double> value) {
    if (mode < 0 || mode > 3)
        throw ArgumentError("_pad_enum: expected mode from 0 to 3, found " + std::to_string(mode));
    return pad_mode(self, pad, static_cast<int>(mode + 1) % 4, value);  // reflect, replicate, circular, constant
}

Tensor pad_sequence(const TensorList& sequences, bool batch_first, double padding_value,
                    const std::string& padding_side) {
    if (sequences.empty()) throw ArgumentError("pad_sequence: received an empty list of sequences");
    if (padding_side != "left" && padding_side != "right")
        throw ArgumentError("pad_sequence: expected padding_side to be 'left' or 'right', found '" + padding_side +
                            "'");
    std::int64_t longest = 0;
    for (const Tensor& sequence : sequences) {
        if (sequence.dim() == 0)
            throw ArgumentError("pad_sequence: expected sequences with at least one dimension, found a 0-d tensor");
        longest = std::max(longest, sequence.size(0));
    }
    Ints shape = sequences.front().shape();
    shape[0] = longest;
    shape.insert(shape.begin() + (batch_first ? 0 : 1), static_cast<std::int64_t>(sequences.size()));
    Tensor result = Tensor::full(shape, padding_value, sequences.front().dtype());
    for (std::size_t i = 0; i < sequences.size(); ++i) {
        const std::int64_t length = sequences[i].size(0);
        const Tensor slot = result.select(batch_first ? 0 : 1, static_cast<std::int64_t>(i))
                                .narrow(0, padding_side == "left" ? longest - length : 0, length);
        if (slot.shape() != sequences[i].shape())
            throw ArgumentError("pad_sequence: expected sequences to agree in all dimensions but the first, found " +
                                describe(sequences.front()) + " and " + describe(sequences[i]));
        slot.copy_from(sequences[i]);
    }
    return result;
}

/// The geometry of sliding 2-d windows.
struct Windows {
    Ints kernel, dilation, padding, stride;
    Ints count;  // windows down and across

    Windows(const char* op, const Ints& size, Ints kernel_size, Ints dilation_, Ints padding_, Ints stride_)
        : kernel(std::move(kernel_size)),
          dilation(std::move(dilation_)),
          padding(std::move(padding_)),
          stride(std::move(stride_)) {
        for (auto* pair : {&kernel, &dilation, &padding, &stride})
            if (pair->size() != 2)
                throw ArgumentError(std::string(op) +
                                    ": expected kernel_size, dilation, padding and stride of 2 values each, found " +
                                    to_string(*pair));
        for (std::size_t i = 0; i < 2; ++i) {
            constexpr std::int64_t limit = std::int64_t{1} << 31;
            if (kernel[i] <= 0 || dilation[i] <= 0 || stride[i] <= 0 || padding[i] < 0 ||
                std::max({kernel[i], dilation[i], stride[i], padding[i]}) > limit)
                throw ArgumentError(std::string(op) + ": expected kernel_size " + to_string(kernel) + ", dilation " +
                                    to_string(dilation) + " and stride " + to_string(stride) +
                                    " to be positive and padding " + to_string(padding) + " not negative");
            const std::int64_t room = size[i] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1;
            if (room < 0)
                throw ArgumentError(std::string(op) + ": kernel_size " + to_string(kernel) +
                                    " is larger than the padded input " + to_string(size));
            count.push_back(room / stride[i] + 1);
        }
    }

    /// Window indices along dimension i for which kernel place `k` lies inside [0, size): first and one past the last.
    std::pair<std::int64_t, std::int64_t> inside(std::size_t i, std::int64_t k, std::int64_t size) const {
        const std::int64_t shift = k * dilation[i] - padding[i];
        const std::int64_t first = shift >= 0 ? 0 : (-shift + stride[i] - 1) / stride[i];
        const std::int64_t last = size - 1 - shift < 0 ? 0 : (size - 1 - shift) / stride[i] + 1;
        return {std::min(first, count[i]), std::clamp<std::int64_t>(last, std::min(first, count[i]), count[i])};
    }
};

/// Calls `f(image view, column view)` of [windows down, windows across] for every kernel place; `image` is [N, C, H,
/// W], `columns` [N, C, kh, kw, oh, ow].
template <class F>
void for_kernel_places(const Windows& w, In image, In columns, F f) {
    for (std::int64_t i = 0; i < w.kernel[0]; ++i)
        for (std::int64_t j = 0; j < w.kernel[1]; ++j) {
            const auto [top, bottom] = w.inside(0, i, image.size(2));
            const auto [left, right] = w.inside(1, j, image.size(3));
            if (top >= bottom || left >= right) continue;
            const std::int64_t y = top * w.stride[0] + i * w.dilation[0] - w.padding[0];
            const std::int64_t x = left * w.stride[1] + j * w.dilation[1] - w.padding[1];
            const Tensor part = slice(slice(image, 2, y, y + (bottom - top - 1) * w.stride[0] + 1, w.stride[0]), 3, x,
                                      x + (right - left - 1) * w.stride[1] + 1, w.stride[1]);
            f(part, columns.select(2, i).select(2, j).narrow(2, top, bottom - top).narrow(3, left, right - left));
        }
}

Tensor im2col(In self, const Ints& kernel_size, const Ints& dilation, const Ints& padding, const Ints& stride) {
    if (self.dim() != 3 && self.dim() != 4)
        throw ArgumentError("im2col: expected a 3-d or 4-d tensor, found " + describe(self));
    const Tensor image = self.dim() == 3 ? self.unsqueeze(0) : self;
    const Windows w("im2col", {image.size(2), image.size(3)}, kernel_size, dilation, padding, stride);
    const std::int64_t n = image.size(0);
    const std::int64_t c = image.size(1);
    if (c == 0 || image.size(2) == 0 || image.size(3) == 0)
        throw ArgumentError("im2col: expected non-zero sizes of all dimensions but the batch, found " + describe(self));
    const Tensor columns = Tensor::zeros({n, c, w.kernel[0], w.kernel[1], w.count[0], w.count[1]}, self.dtype());
    for_kernel_places(w, image, columns, [](In from, In to) { to.copy_from(from); });
    const Tensor result = columns.reshape({n, c * w.kernel[0] * w.kernel[1], w.count[0] * w.count[1]});
    return self.dim() == 3 ? result.select(0, 0) : result;
}

Tensor col2im(In self, const Ints& output_size, const Ints& kernel_size, const Ints& dilation, const Ints& padding,
              const Ints& stride) {
    if (self.dim() != 2 && self.dim() != 3)
        throw ArgumentError("col2im: expected a 2-d or 3-d tensor, found " + describe(self));
    if (output_size.size() != 2)
        throw ArgumentError("col2im: expected output_size of 2 values, found " + to_string(output_size));
    const Tensor batch = self.dim() == 2 ? self.unsqueeze(0) : self;
    const Windows w("col2im", output_size, kernel_size, dilation, padding, stride);
    const std::int64_t places = w.kernel[0] * w.kernel[1];
    const std::int64_t n = batch.size(0);
    if (batch.size(1) % places != 0 || batch.size(2) != w.count[0] * w.count[1])
        throw ArgumentError("col2im: expected [N, C * " + std::to_string(places) + ", " +
                            std::to_string(w.count[0] * w.count[1]) + "], found " + describe(self));
    const std::int64_t c = batch.size(1) / places;
    const Tensor columns = batch.reshape({n, c, w.kernel[0], w.kernel[1], w.count[0], w.count[1]});
    const Tensor result = Tensor::zeros({n, c, output_size[0], output_size[1]}, self.dtype());
    visit_stepwise(self.dtype(), [&]<class C, class A>(C, A) {
        const Tensor image = result.to(dtype_of<C>());
        for_kernel_places(w, image, columns, [](In to, In from) {
            elementwise_into<C>(
                to, [](C a, C b) { return static_cast<C>(A(a) + A(b)); }, to, from);
        });
        if (image.storage() != result.storage()) result.copy_from(image);
    });
    return self.dim() == 2 ? result.select(0, 0) : result;
}

}  // namespace

void register_pad(Registry& r) {
    r.add("constant_pad_nd(Tensor self, SymInt[] pad, Scalar value=0) -> Tensor", constant_pad);
    r.add("pad(Tensor self, SymInt[] pad, str mode=\"constant\", float? value=None) -> Tensor", pad);
    r.add("_pad_enum(Tensor self, SymInt[] pad, int mode, float? value=None) -> Tensor", pad_enum);
    r.add("_pad_circular(Tensor self, SymInt[] pad) -> Tensor",
          [](In self, const Ints& pad) { return index_pad(self, pad, PadMode::Circular); });
    for (const PadMode mode : {PadMode::Reflect, PadMode::Replicate})
        for (std::size_t dims = 1; dims <= 3; ++dims) add_pad(r, mode, dims);
    r.add(
        "pad_sequence(Tensor[] sequences, bool batch_first=False, float padding_value=0., str padding_side=\"right\") "
        "-> Tensor",
        pad_sequence);
    r.add("im2col(Tensor self, int[2] kernel_size, int[2] dilation, int[2] padding, int[2] stride) -> Tensor", im2col);
    r.add(
        "col2im(Tensor self, SymInt[2] output_size, int[2] kernel_size, int[2] dilation, int[2] padding, int[2] "
        "stride) -> Tensor",
        col2im);
}

}  // namespace torch_ir::kernels
