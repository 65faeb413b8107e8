// SPDX-License-Identifier: MIT
// What rounding may do to the result of an op, and what is no fault.
#include "verification/rounding.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <complex>

#include "support/locate.hpp"

using namespace torch_ir;
using test::dump;
using test::floats;
using test::Inputs;
using test::locate_in;
using test::noise;
using test::only_origin;

TEST_CASE("the sums of convolutions are the op's own, however they are taken") {
    struct Convolution {
        Ints x, w;
        ArgumentList stride, padding, dilation;
        std::int64_t groups;
    };
    const Convolution convolutions[] = {
        {{2, 6, 9, 11}, {6, 1, 3, 3}, {1, 1}, {1, 1}, {1, 1}, 6},   // depthwise, and the product by product ones
        {{2, 6, 9, 11}, {12, 1, 3, 3}, {2, 2}, {1, 1}, {1, 1}, 6},  // two of each channel
        {{1, 4, 12, 10}, {4, 1, 5, 3}, {3, 2}, {2, 0}, {1, 2}, 4},  // strides that leave a rest, dilation
        {{1, 4, 8, 8}, {2, 2, 2, 2}, {2, 2}, {0, 0}, {3, 1}, 2},    // two channels of a group
        {{2, 3, 40}, {3, 1, 7}, {2}, {5}, {1}, 3},                  // padding wider than half the kernel
        {{1, 2, 5, 6, 7}, {2, 1, 2, 3, 3}, {1, 2, 2}, {1, 1, 0}, {1, 1, 2}, 2},
        {{2, 8, 9, 11}, {12, 8, 3, 3}, {2, 1}, {1, 1}, {1, 1}, 1},  // by products of matrices
        {{2, 8, 9, 11}, {12, 4, 1, 1}, {1, 1}, {0, 0}, {1, 1}, 2},
        {{1, 8, 3, 3}, {12, 8, 1, 1}, {2, 2}, {1, 1}, {1, 1}, 1},  // as many pixels as the input has, but not the same
    };
    for (const Convolution& c : convolutions) {
        GraphBuilder b("Conv");
        const auto x = b.input("x", {Shape(c.x.begin(), c.x.end())});
        const auto w = b.input("w", {Shape(c.w.begin(), c.w.end())});
        const ArgumentList no_output_padding(c.stride.size(), Argument(std::int64_t{0}));
        const std::vector<Argument> args{x,       w, None{}, c.stride, c.padding, c.dilation, false, no_output_padding,
                                         c.groups};
        b.output(b.call("aten.convolution.default", args, {{1}}));
        const auto model = test::model_of(b);
        const Interpreter interpreter(model);
        const auto ints = [](const ArgumentList& list) {
            Ints values;
            for (const Argument& value : list) values.push_back(*value.get_if<std::int64_t>());
            return values;
        };
        const OpCall call(interpreter.unfused_plan().steps()[0],
                          {noise(c.x, 1), noise(c.w, 2), None{}, ints(c.stride), ints(c.padding), ints(c.dilation),
                           false, Ints(c.stride.size()), c.groups});
        const DType dtypes[] = {DType::Float32};
        Reference result = reference(call, dtypes, {})[0];
        result.compute();
        const Tensor sums = std::get<Tensor>(result.value).contiguous();
        const Tensor expected = std::get<Tensor>(call.in_double().run()[0]).contiguous();
        REQUIRE(sums.shape() == expected.shape());
        double largest = 0;
        for (std::int64_t i = 0; i < sums.numel(); ++i)
            largest = std::max(largest, std::fabs(sums.data<double>()[i] - expected.data<double>()[i]));
        CAPTURE(to_string(c.w));
        CHECK(largest < 1e-12);
    }
}

TEST_CASE("a sum of products may lose what its second moments say") {
    // p = 3 * 1, 4 * 1: S = 7, Q = 25, n = 2, and no partial sums for so few terms.
    GraphBuilder b("Dot");
    const auto x = b.input("x", {{1, 2}});
    const auto w = b.input("w", {{1, 2}});
    b.output(b.call("aten.linear.default", {x, w}, {{1, 1}}));
    const auto model = test::model_of(b);
    const Interpreter interpreter(model);
    const Step& step = interpreter.unfused_plan().steps()[0];
    const OpCall call(step, {floats({1, 2}, {3, 4}), floats({1, 2}, {1, 1}), None{}});
    const DType dtypes[] = {DType::Float32};
    Reference result = reference(call, dtypes, {})[0];
    result.compute();
    const double u = std::ldexp(1.0, -24);
    const double variance = u * u / 3 * (2 * 49.0 / 3 + 2 * (25 - 49.0 / 2) / 6 + 25 + 2 * 49) + u * u / 3 * 49;
    CHECK(test::values(std::get<Tensor>(result.value))[0] == 7);
    CHECK(test::values(result.sigma)[0] == doctest::Approx(std::sqrt(variance)).epsilon(1e-6));
    CHECK(test::values(result.bound)[0] == doctest::Approx(2 * u * std::sqrt(2 * 25.0) + u * 7).epsilon(1e-6));

    CHECK(judge_rounding(floats({1, 1}, {7}), result, false, {}).verdict == Verdict::Explained);
    CHECK(judge_rounding(floats({1, 1}, {7.00001F}), result, false, {}).verdict == Verdict::Wrong);
    CHECK(judge_rounding(floats({1, 1}, {NAN}), result, false, {}).verdict == Verdict::Wrong);
}

TEST_CASE("distances that are computed from products lose what their lengths round to") {
    GraphBuilder b("Distance");
    const auto x = b.input("x", {{30, 4}});
    b.output(b.call("aten.cdist.default", {x, x}, {{30, 30}}));
    const auto model = test::model_of(b);
    const Interpreter interpreter(model);
    const Tensor rows = floats({30, 4}, std::vector<float>(120, 1));
    const DType dtypes[] = {DType::Float32};
    const auto sigma = [&](IValue mode) {
        const OpCall call(interpreter.unfused_plan().steps()[0], {rows, rows, 2.0, std::move(mode)});
        Reference result = reference(call, dtypes, {})[0];
        result.compute();
        return test::values(result.sigma)[0];
    };
    // |x|² + |z|² = 8, of sums of n = 4: 8 u (1 + √n / 4), at distance 0.
    CHECK(sigma(None{}) == doctest::Approx(std::sqrt(12 * std::ldexp(1.0, -24))).epsilon(1e-6));
    CHECK(sigma(std::int64_t{2}) < 1e-6);  // never from products
}

TEST_CASE("sums may start from the bias, which is then in what each of their terms rounds") {
    GraphBuilder b("Linear");
    const auto x = b.input("x", {{8, 64}});
    const auto w = b.input("w", {{16, 64}});
    const auto bias = b.input("bias", {{16}});
    b.output(b.call("aten.linear.default", {x, w, bias}, {{8, 16}}));
    Inputs tensors{{"x", noise({8, 64}, 1)}, {"w", noise({16, 64}, 2)}, {"bias", floats({16}, {})}};
    const Tensor result = Tensor::empty({8, 16}, DType::Float32);
    const auto* a = tensors.at("x").data<float>();
    const auto* c = tensors.at("w").data<float>();
    for (std::int64_t j = 0; j < 16; ++j) tensors.at("bias").data<float>()[j] = 200.3F + static_cast<float>(j);
    for (std::int64_t i = 0; i < 8; ++i)
        for (std::int64_t j = 0; j < 16; ++j) {
            float sum = tensors.at("bias").data<float>()[j];
            for (std::int64_t k = 0; k < 64; ++k) sum = std::fma(a[i * 64 + k], c[j * 64 + k], sum);
            result.data<float>()[i * 16 + j] = sum;
        }
    const LocateResult located = locate_in(b, tensors, {{"linear", result}});
    CHECK(located.verdict() == Verdict::Explained);
    CHECK(located.findings.at(0).rounding.rms_q > 0.1);
    result.data<float>()[5] += 0.01F;
    CHECK(locate_in(b, tensors, {{"linear", result}}).verdict() != Verdict::Explained);
}

TEST_CASE("coarser arithmetic is explained by its profile only") {
    GraphBuilder b("Linear");
    const auto x = b.input("x", {{8, 64}});
    const auto w = b.input("w", {{16, 64}});
    b.output(b.call("aten.linear.default", {x, w}, {{8, 16}}));
    const Inputs tensors{{"x", noise({8, 64}, 1)}, {"w", noise({16, 64}, 2)}};
    const auto through = [](const Tensor& tensor, DType dtype) { return tensor.to(dtype).to(DType::Float32); };
    const Inputs rounded{{"x", through(tensors.at("x"), DType::BFloat16)},
                         {"w", through(tensors.at("w"), DType::BFloat16)}};
    const NamedTensors operands = dump(b, rounded);
    const NamedTensors stored{{"linear", dump(b, tensors).at("linear").to(DType::BFloat16)}};

    LocateResult result = locate_in(b, tensors, operands);
    CHECK(only_origin(result).rounding.verdict == Verdict::Wrong);
    CHECK(only_origin(result).hypotheses.at(0).name == "bf16 inputs");
    LocateOptions options;
    options.profile.operand = std::ldexp(1.0, -8);
    CHECK(locate_in(b, tensors, operands, options).verdict() == Verdict::Explained);
    // A dump in bfloat16 says itself how it was stored.
    CHECK(locate_in(b, tensors, stored).verdict() == Verdict::Explained);
}

TEST_CASE("results that do not round must agree in every bit; ties of an argmax are ties") {
    GraphBuilder b("Max");
    const auto x = b.input("x", {{2, 4}});
    const auto y = b.call("aten.relu.default", {x}, {{2, 4}});
    b.output(b.call("aten.argmax.default", {y, 1}, {{2}, DType::Int64}));
    const Inputs tensors{{"x", floats({2, 4}, {-1, 3, 3, 0, 2, 1, 0, 1})}};
    const auto indices = [](std::int64_t a, std::int64_t c) {
        const Tensor tensor = Tensor::empty({2}, DType::Int64);
        tensor.data<std::int64_t>()[0] = a;
        tensor.data<std::int64_t>()[1] = c;
        return tensor;
    };
    CHECK(locate_in(b, tensors, {{"argmax", indices(1, 0)}}).verdict() == Verdict::Explained);
    CHECK(locate_in(b, tensors, {{"argmax", indices(2, 0)}}).verdict() == Verdict::Explained);
    CHECK(locate_in(b, tensors, {{"argmax", indices(1, 1)}}).verdict() == Verdict::Wrong);
    CHECK(locate_in(b, tensors, {{"relu", floats({2, 4}, {0, 3, 3, 0, 2, 1, 0, 1})}}).verdict() == Verdict::Explained);
    CHECK(locate_in(b, tensors, {{"relu", floats({2, 4}, {0, 3, 3, 0, 2, 1, 0, 1.0000001F})}}).verdict() ==
          Verdict::Wrong);
}

TEST_CASE("sums round, though their op is one that else only moves") {
    GraphBuilder b("Sums");
    const auto base = b.input("base", {{1}});
    const auto index = b.input("index", {{200}, DType::Int64});
    const auto x = b.input("x", {{200}});
    b.output(b.call("aten.scatter.reduce", {base, 0, index, x}, {{1}}, {{"reduce", "add"}}));
    const Inputs tensors{
        {"base", floats({1}, {0})}, {"index", Tensor::zeros({200}, DType::Int64)}, {"x", noise({200}, 1)}};
    float backwards = 0;
    for (std::int64_t i = 200; i-- > 0;) backwards += tensors.at("x").data<float>()[i];
    const LocateResult result = locate_in(b, tensors, {{"scatter", floats({1}, {backwards})}});
    CHECK(result.verdict() == Verdict::Explained);
    CHECK(result.findings.at(0).rounding.max_q > 0);
    CHECK(locate_in(b, tensors, {{"scatter", floats({1}, {backwards + 0.01F})}}).verdict() != Verdict::Explained);
}

TEST_CASE("lists of tensors that are only moved are as they were for what comes after") {
    GraphBuilder b("Pairs");
    const auto x = b.input("x", {{4, 3}, DType::BFloat16});
    const auto y = b.input("y", {{4, 3}, DType::BFloat16});
    const auto pair = b.call_many("aten.broadcast_tensors.default", {ArgumentList{x, y}},
                                  {{{4, 3}, DType::BFloat16}, {{4, 3}, DType::BFloat16}});
    const auto p = b.call("aten.sigmoid.default", {pair[0]}, {{4, 3}, DType::BFloat16});
    b.output(b.call("aten.binary_cross_entropy.default", {p, pair[1]}, {{}, DType::BFloat16}));
    const Tensor half = Tensor::full({4, 3}, 0.5, DType::BFloat16);
    const Inputs tensors{{"x", half}, {"y", half}};
    const NamedTensors loss{{"binary_cross_entropy", dump(b, tensors).at("binary_cross_entropy")}};
    CHECK(locate_in(b, tensors, loss).verdict() == Verdict::Explained);
}

TEST_CASE("what the candidate's dtype does not hold is no fault") {
    GraphBuilder sum("Sum");
    const auto x = sum.input("x", {{3}});
    sum.output(sum.call("aten.add.Tensor", {x, x}, {{3}}));
    const Inputs large{{"x", floats({3}, {3e38F, -3e38F, 1})}};
    CHECK(locate_in(sum, large, {{"add", floats({3}, {INFINITY, -INFINITY, 2})}}).verdict() == Verdict::Explained);
    CHECK(locate_in(sum, large, {{"add", floats({3}, {INFINITY, INFINITY, 2})}}).verdict() == Verdict::Wrong);
    CHECK(locate_in(sum, large, {{"add", floats({3}, {INFINITY, -INFINITY, INFINITY})}}).verdict() == Verdict::Wrong);

    GraphBuilder product("Product");
    const auto a = product.input("a", {{1}, DType::Float16});
    product.output(product.call("aten.mul.Tensor", {a, a}, {{1}, DType::Float16}));
    const auto half = [](double value) { return Tensor::full({1}, value, DType::Float16); };
    const Inputs small{{"a", half(0x1p-12)}};  // its square is the smallest number
    CHECK(locate_in(product, small, {{"mul", half(0x1p-24)}}).verdict() == Verdict::Explained);
    CHECK(locate_in(product, small, {{"mul", half(0x1p-23)}}).verdict() == Verdict::Wrong);
    const Inputs between{{"a", half(0x1.3ap-12)}};  // its square is 1.504 of that: 2 is nearest
    CHECK(locate_in(product, between, {{"mul", half(0x1p-23)}}).verdict() == Verdict::Explained);
    CHECK(locate_in(product, between, {{"mul", half(0)}}).verdict() == Verdict::Wrong);

    GraphBuilder none("None");
    const auto e = none.input("e", {{0, 3}});
    none.output(none.call("aten.exp.default", {e}, {{0, 3}}));
    const Inputs empty{{"e", Tensor::empty({0, 3}, DType::Float32)}};
    CHECK(locate_in(none, empty, {{"exp", Tensor::empty({0, 3}, DType::Float32)}}).verdict() == Verdict::Explained);
}

TEST_CASE("numbers that are rounded to the tensor's dtype first are no fault") {
    GraphBuilder b("Numbers");
    const auto x = b.input("x", {{2}});
    b.output(b.call("aten.rsub.Scalar", {x, 0.8}, {{2}}));
    b.output(b.call("aten.pow.Tensor_Scalar", {x, 2.4}, {{2}}));
    b.output(b.call("aten.logit.default", {x, 0.001}, {{2}}));
    const Inputs tensors{{"x", floats({2}, {0.8F, 1e-5F})}};
    const float exponent = 2.4F;
    const NamedTensors values{{"rsub", floats({2}, {0.8F - 0.8F, 0.8F - 1e-5F})},
                              {"pow", floats({2}, {std::pow(0.8F, exponent), std::pow(1e-5F, exponent)})},
                              {"logit", floats({2}, {std::log(0.8F / (1 - 0.8F)), std::log(0.001F / (1 - 0.001F))})}};
    CHECK(locate_in(b, tensors, values).verdict() == Verdict::Explained);
    CHECK(locate_in(b, tensors, {{"pow", floats({2}, {std::pow(0.8F, 2.39F), std::pow(1e-5F, 2.39F)})}}).verdict() ==
          Verdict::Wrong);
}

TEST_CASE("the rounding of a number moves all elements alike, and that is no fault") {
    GraphBuilder b("Epsilon");
    const auto x = b.input("x", {{128}});
    b.output(b.call("aten.add.Tensor", {x, 1e-5}, {{128}}));
    Tensor tiny = noise({128}, 1);
    Tensor sum = Tensor::empty({128}, DType::Float32);
    for (std::int64_t i = 0; i < 128; ++i) {
        tiny.data<float>()[i] *= 1e-9F;
        sum.data<float>()[i] = tiny.data<float>()[i] + 1e-5F;
    }
    CHECK(locate_in(b, {{"x", tiny}}, {{"add", sum}}).verdict() == Verdict::Explained);
}

TEST_CASE("equal terms are rounded alike, so that a sum of them may be far off") {
    GraphBuilder b("Sum");
    const auto x = b.input("x", {{1, 1000}});
    b.output(b.call("aten.sum.dim_IntList", {x, ArgumentList{1}}, {{1}}));
    const Inputs tensors{{"x", Tensor::full({1, 1000}, 0.1, DType::Float32)}};
    float sum = 0;
    for (int i = 0; i < 1000; ++i) sum += 0.1F;
    CHECK(locate_in(b, tensors, {{"sum", floats({1}, {sum})}}).verdict() == Verdict::Explained);
    CHECK(locate_in(b, tensors, {{"sum", floats({1}, {100.01F})}}).verdict() != Verdict::Explained);
}

TEST_CASE("what the sum of all rounds in a transform may be in the results that its stages have in common with it") {
    constexpr std::int64_t n = 32;
    GraphBuilder b("Spectrum");
    b.output(b.call("aten.fft_fft2.default", {b.input("x", {{n, n}})}, {{n, n}, DType::Complex64}));
    const Tensor x =
        Tensor::empty({n, n}, DType::Float32);  // between 0 and 1: the sum of all is 500, others are near 10
    const Tensor random = noise({n, n}, 6);
    for (std::int64_t i = 0; i < n * n; ++i) x.data<float>()[i] = std::fabs(random.data<float>()[i]);
    const auto with_error = [&](std::int64_t row, std::int64_t column, float error) {
        NamedTensors candidate = dump(b, {{"x", x}});
        Tensor& y = candidate.begin()->second;
        y = y.contiguous().clone();
        y.data<std::complex<float>>()[row * n + column] += error;
        return locate_in(b, {{"x", x}}, candidate).verdict();
    };
    CHECK(with_error(0, 0, 0) == Verdict::Explained);
    const float rounding = 16 * 0x1p-24F * 16;  // of the sum of a row, in a column of them
    CHECK(with_error(n / 2, 0, 4 * rounding) == Verdict::Explained);
    CHECK(with_error(0, n / 2, 4 * rounding) == Verdict::Explained);
    CHECK(with_error(n / 2 + 1, n / 2 + 1, 40 * rounding) != Verdict::Explained);
    CHECK(with_error(n / 2, 0, 1e-2F) != Verdict::Explained);
}

TEST_CASE("a batch's statistics in half precision are rounded before they are applied") {
    GraphBuilder b("Norm");
    const auto x = b.input("x", {{1, 1, 8}, DType::BFloat16});
    b.output(b.call("aten.batch_norm.default", {x, None{}, None{}, None{}, None{}, true, 0.1, 1e-5, false},
                    {{1, 1, 8}, DType::BFloat16}));
    const Tensor values = floats({1, 1, 8}, {300, 302, 304, 306, 308, 310, 312, 318});  // mean 307.5, variance 29.75
    const auto normalised = [&](float mean, float scale) {
        Tensor y = Tensor::empty({1, 1, 8}, DType::Float32);
        for (std::int64_t i = 0; i < 8; ++i) y.data<float>()[i] = (values.data<float>()[i] - mean) * scale;
        return NamedTensors{{"batch_norm", y.to(DType::BFloat16)}};
    };
    const Inputs tensors{{"x", values.to(DType::BFloat16)}};
    CHECK(locate_in(b, tensors, normalised(308, 0.18359375F)).verdict() == Verdict::Explained);  // in bfloat16
    CHECK(locate_in(b, tensors, normalised(307.5F, 0.18333970F)).verdict() == Verdict::Explained);
    CHECK(locate_in(b, tensors, normalised(311, 0.18359375F)).verdict() == Verdict::Wrong);
}
