// SPDX-License-Identifier: MIT
// Shapes without values: what the extractor says of the result of an op, against a run of it.
#include "support/extractor_test.hpp"

using namespace torch_ir;

namespace {

using at::Tensor;
using Function = Tensor (*)(const Tensor&);

/// Ops for which LibTorch has no Meta kernel in C++, or which choose their strides.
const std::vector<std::pair<const char*, Function>> shape_programs{
    {"conv1d",
     [](const Tensor& x) {
         return at::conv1d(x[0], at::ones({5, 6, 3}), {}, 2, 1);
     }},
    {"conv3d",
     [](const Tensor& x) {
         return at::conv3d(x.unsqueeze(0), at::ones({4, 2, 1, 2, 2}), {}, at::IntArrayRef({1, 1, 1}),
                           at::IntArrayRef({0, 0, 0}), at::IntArrayRef({2, 2, 2}));
     }},
    {"conv2d groups",
     [](const Tensor& x) {
         return at::conv2d(x, at::ones({8, 2, 3, 3}), {}, 1, 1, 1, 2);
     }},
    {"conv2d channels last",
     [](const Tensor& x) {
         return at::conv2d(x.contiguous(at::MemoryFormat::ChannelsLast), at::ones({6, 4, 3, 3}));
     }},
    {"conv_transpose2d",
     [](const Tensor& x) {
         return at::conv_transpose2d(x, at::ones({4, 3, 3, 3}), {}, 2, 1, 1);
     }},
    {"group_norm", [](const Tensor& x) { return at::group_norm(x, 2); }},
    {"instance_norm", [](const Tensor& x) { return at::instance_norm(x, {}, {}, {}, {}, true, 0.1, 1e-5, true); }},
    {"batch_norm",
     [](const Tensor& x) { return at::batch_norm(x, {}, {}, at::zeros(4), at::ones(4), false, 0.1, 1e-5, true); }},
    {"rms_norm", [](const Tensor& x) { return at::rms_norm(x, {6}); }},
    {"attention",
     [](const Tensor& x) {
         return at::scaled_dot_product_attention(x.transpose(1, 2), x.transpose(1, 2), x.transpose(1, 2));
     }},
    {"attention, other value size",
     [](const Tensor& x) { return at::scaled_dot_product_attention(x, x, x.slice(-1, 0, 3)); }},
    {"kthvalue", [](const Tensor& x) { return std::get<0>(x.kthvalue(2, 1)); }},
    {"median", [](const Tensor& x) { return std::get<1>(x.median(2, true)); }},
    {"mode", [](const Tensor& x) { return std::get<0>(x.mode()); }},
    {"cummax", [](const Tensor& x) { return std::get<1>(x.cummax(2)); }},
    {"sort", [](const Tensor& x) { return std::get<1>(x.transpose(1, 3).sort(1)); }},
    {"topk", [](const Tensor& x) { return std::get<0>(x.topk(2, 1)); }},
    {"logcumsumexp", [](const Tensor& x) { return x.logcumsumexp(1); }},
    {"grid_sample",
     [](const Tensor& x) {
         return at::grid_sampler(x, at::zeros({2, 3, 5, 2}), 0, 0, false);
     }},
    {"max_pool3d", [](const Tensor& x) { return at::max_pool3d(x.unsqueeze(0), 2); }},
    {"max_pool2d with indices", [](const Tensor& x) { return std::get<1>(at::max_pool2d_with_indices(x, 2)); }},
    {"adaptive_avg_pool2d",
     [](const Tensor& x) {
         return at::adaptive_avg_pool2d(x, {3, 2});
     }},
    {"im2col",
     [](const Tensor& x) {
         return at::im2col(x, {2, 2}, {1, 1}, {0, 0}, {1, 1});
     }},
    {"take", [](const Tensor& x) { return x.take(at::arange(3)); }},
    {"bucketize",
     [](const Tensor& x) {
         return at::bucketize(x, at::tensor({0.0F, 1.0F}));
     }},
    {"rfft", [](const Tensor& x) { return at::fft_rfft(x); }},
    {"stft", [](const Tensor& x) { return at::stft(x[0][0], 4, 2, 4, at::ones({4}), false, true, true); }},
    {"pinv", [](const Tensor& x) { return at::linalg_pinv(x.slice(-1, 0, 4)); }},
    {"eig", [](const Tensor& x) { return std::get<1>(at::linalg_eig(x)); }},
    {"solve", [](const Tensor& x) { return at::linalg_solve(at::eye(6) + 0 * x, x); }},
    {"lstsq", [](const Tensor& x) { return std::get<0>(at::linalg_lstsq(x, x)); }},
    {"cdist", [](const Tensor& x) { return at::cdist(x, x); }},
    {"reflection_pad",
     [](const Tensor& x) {
         return at::pad(x, {1, 2, 1, 0}, "reflect");
     }},
    {"roll and flip",
     [](const Tensor& x) {
         return x.roll(1, 2).flip({0, 3});
     }},
    {"prelu", [](const Tensor& x) { return at::prelu(x, at::full({4}, 0.1)); }},
    {"log_sigmoid", [](const Tensor& x) { return at::log_sigmoid(x); }},
    {"multinomial", [](const Tensor& x) { return x[0][0].abs().multinomial(3); }},
    {"complex", [](const Tensor& x) { return at::complex(x, x); }},
    {"weight_norm",
     [](const Tensor& x) {
         return at::_weight_norm(x, x.flatten(1).norm(2, 1).view({2, 1, 1, 1}));
     }},
    {"embedding",
     [](const Tensor& x) {
         return at::embedding(x[0][0], at::tensor({1, 2, 3, 0}).view({2, 2}));
     }},
    {"index_select",
     [](const Tensor& x) {
         return x.transpose(0, 1).index_select(0, at::tensor({1, 1, 0}));
     }},
    {"gather",
     [](const Tensor& x) {
         return x.gather(1, at::zeros({1, 2, 3, 4}, at::kLong));
     }},
    {"where",
     [](const Tensor& x) {
         return at::where(x > 0, x, at::zeros({6, 1}, at::kDouble));
     }},
    {"one_hot", [](const Tensor& x) { return at::one_hot((x > 0).to(at::kLong), 3); }},
    {"repeat_interleave", [](const Tensor& x) { return x.repeat_interleave(3, 1); }},
    {"histc", [](const Tensor& x) { return x.histc(7, -1, 1); }},
    {"searchsorted", [](const Tensor& x) { return at::searchsorted(at::arange(4).to(at::kFloat), x); }},
    {"bicubic",
     [](const Tensor& x) {
         return at::upsample_bicubic2d(x, {9, 7}, false);
     }},
    {"pixel_shuffle", [](const Tensor& x) { return at::pixel_shuffle(x, 2); }},
    {"ctc_loss",
     [](const Tensor& x) {
         return at::ctc_loss(x.reshape({6, 8, 6}), at::ones({8, 2}, at::kLong), at::full({8}, 6), at::full({8}, 2));
     }},
    {"cross_entropy",
     [](const Tensor& x) {
         return at::cross_entropy_loss(x.flatten(2), at::ones({2, 36}, at::kLong));
     }},
    {"einsum",
     [](const Tensor& x) {
         return at::einsum("abij,abjk->baik", {x, x});
     }},
    {"addition of transposed",
     [](const Tensor& x) {
         return x.transpose(2, 3) + x.permute({0, 1, 3, 2});
     }},
    {"reductions",
     [](const Tensor& x) {
         return x.var({1, 2}).amax(0, true);
     }},
};

void check_shape(Function function, const Tensor& x) {
    const Model model = extract(function, std::tuple(x)).model;
    const Tensor expected = function(x);
    const TensorMeta found = model.graph.value(model.graph.outputs.back().get<ValueRef>()).meta;
    CHECK((found.shape == Shape(expected.sizes().begin(), expected.sizes().end())));
    const Shape strides =
        expected.is_contiguous() ? Shape() : Shape(expected.strides().begin(), expected.strides().end());
    CHECK((found.strides.value_or(Shape()) == strides));
    const std::string dtype = c10::toString(expected.scalar_type());
    CHECK(name(found.dtype) == (dtype == "Float"    ? "float32"
                                : dtype == "Double" ? "float64"
                                : dtype == "Long"   ? "int64"
                                                    : "complex64"));
}

}  // namespace

TEST_CASE("shapes, strides and dtypes on the meta device are those of a run") {
    at::manual_seed(5);
    const Tensor x = at::rand({2, 4, 6, 6});
    for (const auto& [name, function] : shape_programs) {
        CAPTURE(std::string(name));
        try {
            check_shape(function, x);
        } catch (const std::exception& error) {
            FAIL_CHECK(std::string(error.what()));
        }
    }
}

namespace {

/// Ops on a float32 and a tensor of another dtype.
const std::vector<std::pair<const char*, Tensor (*)(const Tensor&, const Tensor&)>> mixed_programs{
    {"mm", [](const Tensor& x, const Tensor& y) { return at::mm(x[0][0], y[0][0]); }},
    {"mm, the other way round", [](const Tensor& x, const Tensor& y) { return at::mm(y[0][0], x[0][0]); }},
    {"mm_out",
     [](const Tensor& x, const Tensor& y) {
         Tensor result = at::empty({6, 6}) + x[0][0];
         return at::mm_out(result, y[0][0], y[0][0]);
     }},
    {"addmm_",
     [](const Tensor& x, const Tensor& y) {
         Tensor result = x[0][0] * 1;
         return result.addmm_(y[0][0], y[0][0]);
     }},
    {"matmul", [](const Tensor& x, const Tensor& y) { return x.matmul(y); }},
    {"bmm", [](const Tensor& x, const Tensor& y) { return at::bmm(x[0], y[0]); }},
    {"addmm", [](const Tensor& x, const Tensor& y) { return at::addmm(y[0][0], x[0][0], x[0][0]); }},
    {"linear", [](const Tensor& x, const Tensor& y) { return at::linear(x, y[0][0]); }},
    {"linear, bias", [](const Tensor& x, const Tensor& y) { return at::linear(x, x[0][0], y[0][0][0]); }},
    {"mv", [](const Tensor& x, const Tensor& y) { return x[0][0].mv(y[0][0][0]); }},
    {"dot", [](const Tensor& x, const Tensor& y) { return x[0][0][0].dot(y[0][0][0]); }},
    {"einsum",
     [](const Tensor& x, const Tensor& y) {
         return at::einsum("abij,abjk->baik", {x, y});
     }},
    {"bilinear",
     [](const Tensor& x, const Tensor& y) {
         return at::bilinear(x, y, at::ones({3, 6, 6}));
     }},
    {"conv1d", [](const Tensor& x, const Tensor& y) { return at::conv1d(x[0], y[0]); }},
    {"conv2d", [](const Tensor& x, const Tensor& y) { return at::conv2d(y, x.slice(2, 0, 3).slice(3, 0, 3)); }},
    {"conv2d, bias",
     [](const Tensor& x, const Tensor& y) {
         return at::conv2d(x, x.slice(2, 0, 3).slice(3, 0, 3), y[0][0][0].slice(0, 0, 2));
     }},
    {"conv_transpose2d", [](const Tensor& x, const Tensor& y) { return at::conv_transpose2d(x.transpose(0, 1), y); }},
    {"attention", [](const Tensor& x, const Tensor& y) { return at::scaled_dot_product_attention(x, y, y); }},
    {"attention, mask", [](const Tensor& x, const Tensor& y) { return at::scaled_dot_product_attention(x, x, x, y); }},
    {"lstm",
     [](const Tensor& x, const Tensor& y) {
         const std::vector<Tensor> weights{at::ones({4, 6}), at::ones({4, 1})};
         return std::get<0>(at::lstm(y[0], {x[0].narrow(0, 0, 1).narrow(2, 0, 1), x[0].narrow(0, 0, 1).narrow(2, 0, 1)},
                                     weights, false, 1, 0, false, false, false));
     }},
    {"index_put_",
     [](const Tensor& x, const Tensor& y) {
         Tensor result = x * 1;
         result.index_put_({at::tensor({1, 0})}, y);
         return result;
     }},
    {"index_add", [](const Tensor& x, const Tensor& y) { return x.index_add(0, at::arange(2), y); }},
    {"scatter_add", [](const Tensor& x, const Tensor& y) { return x.scatter_add(0, at::zeros_like(x, at::kLong), y); }},
    {"prelu", [](const Tensor& x, const Tensor& y) { return x.prelu(y[0][0][0].slice(0, 0, 4)); }},
    {"group_norm", [](const Tensor& x, const Tensor& y) { return at::group_norm(x, 2, y[0][0][0].slice(0, 0, 4)); }},
    {"layer_norm", [](const Tensor& x, const Tensor& y) { return at::layer_norm(y, {6}, x[0][0][0], x[0][0][0]); }},
    {"batch_norm",
     [](const Tensor& x, const Tensor& y) {
         const Tensor of_channels = x[0][0][0].slice(0, 0, 4);
         return at::batch_norm(y, of_channels, of_channels, of_channels, of_channels, false, 0.1, 1e-5, true);
     }},
    {"embedding", [](const Tensor& x, const Tensor& y) { return at::embedding(x[0][0], y); }},
    {"cross_entropy", [](const Tensor& x, const Tensor& y) { return at::cross_entropy_loss(x, y.select(1, 0)); }},
    {"gather", [](const Tensor& x, const Tensor& y) { return x.gather(0, y); }},
    {"cat",
     [](const Tensor& x, const Tensor& y) {
         return at::cat({x, y});
     }},
    {"add", [](const Tensor& x, const Tensor& y) { return x + y; }},
    {"copy_", [](const Tensor& x, const Tensor& y) { return (x * 1).copy_(y); }},
    {"where", [](const Tensor& x, const Tensor& y) { return at::where(x > 0, x, y); }},
    {"lerp", [](const Tensor& x, const Tensor& y) { return x.lerp(y, 0.5); }},
    {"cdist", [](const Tensor& x, const Tensor& y) { return at::cdist(x, y); }},
    {"slice_scatter", [](const Tensor& x, const Tensor& y) { return x.slice_scatter(y, 0); }},
};

}  // namespace

TEST_CASE("an error about dtypes names the op, the module and the dtypes") {
    const torch::nn::Sequential net(torch::nn::ReLU(),
                                    torch::nn::Conv2d(torch::nn::Conv2dOptions(4, 3, 3).bias(false)));
    CHECK_THROWS_WITH_AS(
        extract(net, std::tuple(at::rand({2, 4, 6, 6}, at::kDouble))),
        "cannot extract: aten::conv2d in 1 is given tensors of float32 and float64, and PyTorch "
        "refuses that: expected scalar type Double but found Float; convert them to one dtype with to()",
        ArgumentError);
}

TEST_CASE("looking for a shape draws no random numbers") {
    at::manual_seed(5);
    const Tensor expected = at::rand({3});
    at::manual_seed(5);
    extract([](const Tensor& x) { return x.multinomial(3); }, std::tuple(at::ones({2, 8})));
    CHECK(at::equal(at::rand({3}), expected));
}

TEST_CASE("tensors of several dtypes are taken where a run takes them") {
    const Tensor x = at::rand({2, 4, 6, 6});
    const Tensor numbers = at::zeros_like(x, at::kLong);
    for (const c10::ScalarType dtype : {at::kDouble, at::kBFloat16, at::kLong}) {
        const Tensor y = at::zeros_like(x, dtype);
        for (const auto& [name, function] : mixed_programs) {
            CAPTURE(std::string(name));
            CAPTURE(std::string(c10::toString(dtype)));
            bool is_taken = true;
            try {
                function(x, y);
            } catch (const std::exception&) {  // oneDNN throws errors of its own
                is_taken = false;
            }
            std::string error;
            try {
                extract(function, std::tuple(x, y));
            } catch (const std::exception& e) {
                error = e.what();
            }
            CHECK_MESSAGE(is_taken == error.empty(), error);
        }
    }
}
