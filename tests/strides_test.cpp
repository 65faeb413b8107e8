// SPDX-License-Identifier: MIT
// How results lie in memory: the strides are PyTorch's.
#include <doctest/doctest.h>

#include "kernels/call.hpp"
#include "support/graphs.hpp"

using namespace torch_ir;

namespace {

Ints strides_of(std::string_view op, std::vector<IValue> args) { return kernels::call(op, std::move(args)).strides(); }

const Ints row_major{4, 1}, column_major{1, 3};
Tensor plain() { return test::noise({3, 4}, 1); }
Tensor transposed() { return test::noise({4, 3}, 2).transpose(0, 1); }
Tensor channels_last() { return test::noise({2, 6, 6, 4}, 3).permute(Ints{0, 3, 1, 2}); }

}  // namespace

TEST_CASE("some results lie in the order of their dimensions whatever the operands") {
    const Tensor index = Tensor::zeros({1}, DType::Int64);
    CHECK(strides_of("aten.log_sigmoid.default", {transposed()}) == row_major);
    CHECK(strides_of("aten.pow.Scalar", {2.0, transposed()}) == row_major);
    CHECK(strides_of("aten.topk.default", {transposed(), std::int64_t{3}, std::int64_t{0}}) == row_major);
    CHECK(strides_of("aten.sort.default", {transposed(), std::int64_t{0}}) == column_major);
    CHECK(strides_of("aten.index_copy.default", {transposed(), std::int64_t{0}, index, transposed().narrow(0, 0, 1)}) ==
          row_major);
    CHECK(strides_of("aten._softmax_backward_data.default", {plain(), transposed(), std::int64_t{1}, DType::Float32}) ==
          row_major);
    const Tensor volume = test::noise({2, 4, 4, 4, 2}, 4).permute(Ints{0, 4, 1, 2, 3});
    CHECK(strides_of("aten.avg_pool3d.default", {volume, Ints{2, 2, 2}}) == Ints{16, 8, 4, 2, 1});
    CHECK(strides_of("aten.max_pool3d.default", {volume, Ints{2, 2, 2}}) == Ints{16, 1, 8, 4, 2});
}

TEST_CASE("other results lie like one operand") {
    const Tensor sliced = Tensor::zeros({3, 16}, DType::Float32).as_strided({3, 4}, {16, 2}, 0);
    CHECK(strides_of("aten.index_fill.int_Scalar", {sliced, std::int64_t{0}, Tensor::zeros({1}, DType::Int64), 1.0}) ==
          row_major);
    const Tensor one = Tensor::zeros({1}, DType::Float32);
    CHECK(strides_of("aten.put.default", {transposed(), Tensor::zeros({1}, DType::Int64), one, false}) == column_major);
    const std::int64_t none = 0;
    CHECK(strides_of("aten.binary_cross_entropy_with_logits.default", {plain(), transposed(), None{}, None{}, none}) ==
          column_major);
    CHECK(strides_of("aten.quantile.default", {plain(), test::floats({2}, {.1F, .5F}), std::int64_t{0}}) == Ints{1, 2});
    CHECK(strides_of("aten.mode.default", {transposed(), std::int64_t{0}}) == Ints{1});
    CHECK(strides_of("aten.kl_div.default", {plain(), transposed(), none}) == column_major);
    const Tensor expanded = test::noise({1, 4}, 5).expand(Ints{3, 4});
    CHECK(strides_of("aten.huber_loss.default", {expanded, transposed(), none}) == row_major);
    CHECK(strides_of("aten.soft_margin_loss.default", {expanded, transposed(), none}) == row_major);
    CHECK(strides_of("aten.rms_norm.default", {channels_last(), Ints{6}}) == Ints{144, 1, 24, 4});
    CHECK(strides_of("aten.channel_shuffle.default", {channels_last(), std::int64_t{2}}) == Ints{144, 1, 24, 4});
    CHECK(strides_of("aten.pixel_unshuffle.default", {channels_last(), std::int64_t{2}}) == Ints{144, 1, 48, 16});
}

TEST_CASE("a conversion to a memory format copies what PyTorch does not take to be in it already") {
    const auto converted = [](const Tensor& x, MemoryFormat format) {
        return strides_of("aten.to.dtype", {x, x.dtype(), false, false, format});
    };
    const Tensor one_channel = test::noise({2, 1, 10, 10}, 14);
    CHECK(converted(one_channel, MemoryFormat::ChannelsLast) == Ints{100, 1, 10, 1});
    CHECK(strides_of("aten.contiguous.default", {one_channel, MemoryFormat::ChannelsLast}) == one_channel.strides());
    CHECK(converted(test::noise({2, 4, 1, 1}, 15), MemoryFormat::ChannelsLast) == Ints{4, 1, 4, 4});
    CHECK(converted(test::noise({2, 1, 5, 6, 7}, 16), MemoryFormat::ChannelsLast3d) == Ints{210, 1, 42, 7, 1});
    CHECK(converted(channels_last(), MemoryFormat::Contiguous) == Ints{144, 36, 6, 1});
    CHECK(converted(transposed(), MemoryFormat::Contiguous) == column_major);
}

TEST_CASE("operands that are converted lie densely first") {
    const Tensor row = test::noise({1, 4}, 11).expand(Ints{3, 4});
    const Tensor doubles = Tensor::zeros({4, 3}, DType::Float64).transpose(0, 1);
    const Tensor floats = transposed();
    for (const char* op : {"aten.mul.Tensor", "aten.add.Tensor", "aten.lt.Tensor"}) {
        CHECK(strides_of(op, {row, floats}) == column_major);
        CHECK(strides_of(op, {row, doubles}) == row_major);
    }
    CHECK(strides_of("aten.kl_div.default", {floats, row, std::int64_t{0}}) == row_major);
}

TEST_CASE("parts and rearrangements of larger results keep the strides of these") {
    const Tensor rows = test::noise({3, 4}, 12);
    CHECK(strides_of("aten.unique_dim.default", {rows, std::int64_t{1}}) == column_major);
    CHECK(strides_of("aten.unique_dim_consecutive.default", {test::noise({2, 3, 4}, 13), std::int64_t{2}}) ==
          Ints{3, 1, 6});
    CHECK(strides_of("aten.linalg_lstsq.default", {rows.transpose(0, 1), test::noise({4, 2}, 14)}) == Ints{1, 4});
}

TEST_CASE("attention lies like the query") {
    const auto attend = [](const Tensor& q) {
        return strides_of("aten.scaled_dot_product_attention.default", {q, q, q});
    };
    CHECK(attend(test::noise({2, 4, 6, 6}, 6)) == Ints{144, 36, 6, 1});
    CHECK(attend(test::noise({2, 6, 4, 6}, 6).transpose(1, 2)) == Ints{144, 6, 24, 1});
}

TEST_CASE("einsum multiplies its operands in the order that lets the result lie in that of the output") {
    const auto lies = [](const std::string& equation, const Tensor& a, const Tensor& b) {
        return strides_of("aten.einsum.default", {equation, TensorList{a, b}});
    };
    const Tensor a = test::noise({3, 4}, 7), b = test::noise({5, 4}, 8);
    CHECK(lies("ij,kj->ik", a, b) == Ints{5, 1});
    CHECK(lies("ij,kj->ki", a, b) == Ints{3, 1});
    const Tensor c = test::noise({2, 3, 6, 4}, 9), d = test::noise({2, 5, 4}, 10);
    CHECK(lies("bijd,bkd->bkij", c, d) == Ints{90, 18, 6, 1});
    CHECK(lies("bijd,bkd->jkbi", c, d) == Ints{15, 1, 90, 5});
}
