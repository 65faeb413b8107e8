// SPDX-License-Identifier: MIT
#include "backend/conv.hpp"
#include "backend/conv_loop.hpp"
#include "backend/deterministic.hpp"
#include "backend/gemm.hpp"
#include "backend/onednn.hpp"
#include "memory.hpp"
#include "parallel.hpp"
#include "torch_ir/error.hpp"

namespace torch_ir::backend {
namespace {

using dnnl::memory;

struct Key {
    ConvGeometry geometry;
    bool has_scale;
    bool has_bias;
    bool add_to_output;
    float low;
    float high;
    int threads;
    bool operator==(const Key&) const = default;
};

struct Prepared {
    Key key;
    dnnl::convolution_forward::primitive_desc description;
    dnnl::convolution_forward primitive;
    dnnl::reorder reorder;
    memory packed;  // empty until the weights are kept
    std::unordered_map<int, memory> args;
};

constexpr memory::format_tag channels_last[] = {memory::format_tag::nwc, memory::format_tag::nhwc,
                                                memory::format_tag::ndhwc};
constexpr memory::format_tag plain_weights[] = {memory::format_tag::oiw, memory::format_tag::oihw,
                                                memory::format_tag::oidhw};
constexpr memory::format_tag plain_grouped_weights[] = {memory::format_tag::goiw, memory::format_tag::goihw,
                                                        memory::format_tag::goidhw};

memory::dims dims_of(std::int64_t n, std::int64_t c, const std::vector<std::int64_t>& spatial) {
    memory::dims dims{n, c};
    dims.insert(dims.end(), spatial.begin(), spatial.end());
    return dims;
}

memory::desc plain_weights_desc(const ConvGeometry& g) {
    const std::size_t rank = g.kernel.size() - 1;
    if (g.groups == 1)
        return {dims_of(g.out_channels, g.in_channels, g.kernel), memory::data_type::f32, plain_weights[rank]};
    memory::dims dims = dims_of(g.out_channels / g.groups, g.in_channels / g.groups, g.kernel);
    dims.insert(dims.begin(), g.groups);
    return {dims, memory::data_type::f32, plain_grouped_weights[rank]};
}

std::shared_ptr<Prepared> prepare(const Key& key, const float* scale) {
    const ConvGeometry& g = key.geometry;
    const std::size_t rank = g.kernel.size() - 1;
    constexpr auto f32 = memory::data_type::f32;
    const memory::desc src(dims_of(g.batch, g.in_channels, g.input), f32, channels_last[rank]);
    const memory::desc dst(dims_of(g.batch, g.out_channels, g.output), f32, channels_last[rank]);
    const memory::desc weights(plain_weights_desc(g).dims(), f32, memory::format_tag::any);
    const memory::desc bias =
        key.has_bias ? memory::desc({g.out_channels}, f32, memory::format_tag::x) : memory::desc();

    const detail::Window window(g);
    memory::dims dilation;
    memory::dims padding_after;
    for (std::size_t i = 0; i <= rank; ++i) {
        dilation.push_back(g.dilation[i] - 1);
        padding_after.push_back(window.reach(2 - rank + i) - g.input[i] - g.padding[i]);
    }
    dnnl::primitive_attr attributes;
    dnnl::post_ops post;
    if (key.add_to_output) post.append_sum(1.0F);
    if (key.low == 0 && key.high == std::numeric_limits<float>::infinity())
        post.append_eltwise(1.0F, dnnl::algorithm::eltwise_relu, 0.0F, 0.0F);
    else if (key.low > -std::numeric_limits<float>::infinity() || key.high < std::numeric_limits<float>::infinity())
        post.append_eltwise(1.0F, dnnl::algorithm::eltwise_clip,
                            std::max(key.low, std::numeric_limits<float>::lowest()),
                            std::min(key.high, std::numeric_limits<float>::max()));
    attributes.set_post_ops(post);

    auto prepared = std::make_shared<Prepared>();
    prepared->key = key;
    const auto descriptor =
        dnnl::convolution_forward::desc(dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct, src,
                                        weights, bias, dst, g.stride, dilation, g.padding, padding_after);
    prepared->description = dnnl::convolution_forward::primitive_desc(descriptor, attributes, engine());
    prepared->primitive = dnnl::convolution_forward(prepared->description);
    prepared->args = {{DNNL_ARG_SRC, memory(src, engine(), nullptr)},
                      {DNNL_ARG_WEIGHTS, {}},
                      {DNNL_ARG_DST, memory(dst, engine(), nullptr)}};
    if (key.has_bias) prepared->args.emplace(DNNL_ARG_BIAS, memory(bias, engine(), nullptr));
    dnnl::primitive_attr fold;
    if (scale) fold.set_output_scales(g.groups > 1 ? 3 : 1, std::vector<float>(scale, scale + g.out_channels));
    prepared->reorder = dnnl::reorder(dnnl::reorder::primitive_desc(engine(), plain_weights_desc(g), engine(),
                                                                    prepared->description.weights_desc(), fold));
    return prepared;
}

/// Our own loop packs weights faster than oneDNN and needs no code generated: it is faster where they are not kept.
/// Without AVX-512, it is where they are, too, for windows of more than a pixel and a few channels.
bool loop_is_faster(const ConvGeometry& g, bool keep) {
    const bool large = g.in_channels >= 16 && detail::Window(g).taps() > 1;
    return g.groups == 1 && (!keep || (without_avx512 && large));
}

/// Only the direct kernels add up in an order that the number of threads has no part in. Those by matrix products
/// (`gemm…`, `brgconv…`) choose their blocks by it.
bool depends_on_threads(const Prepared& prepared) {
    return !std::string_view(prepared.description.impl_info_str()).starts_with("jit");
}

/// One packed copy of weights at a time, in memory that is used again.
memory scratch_weights(const memory::desc& desc) {
    thread_local std::vector<float> scratch;
    const std::size_t floats = desc.get_size() / sizeof(float) + 16;
    if (scratch.size() < floats) scratch.resize(floats);
    const auto address = reinterpret_cast<std::uintptr_t>(scratch.data());
    return {desc, engine(), scratch.data() + (64 - address % 64) % 64 / sizeof(float)};
}

}  // namespace

std::string conv_name() { return gemm_name(); }

void conv(const ConvGeometry& g, const float* src, const float* weight, const ConvEpilogue& epilogue, float* dst,
          ConvCache* cache) {
    const bool keep = cache && cache->keep_weights && cache->called;
    if (cache) cache->called = true;
    // Of windows in nothing but padding, kernels of oneDNN 2.6 for AVX-512 read from anywhere.
    const bool must_loop = !g.is_depthwise() && detail::Window(g).has_empty();
    if (must_loop || (!deterministic && loop_is_faster(g, keep)))
        return conv_by_loop(g, src, weight, epilogue, dst, keep ? &cache->packed : nullptr);
    const Key key{g,
                  epilogue.scale != nullptr,
                  epilogue.bias != nullptr,
                  epilogue.add_to_output,
                  epilogue.low,
                  epilogue.high,
                  get_threads()};
    try {
        auto prepared = cache ? std::static_pointer_cast<Prepared>(cache->prepared) : nullptr;
        bool first = false;  // with this key
        if (!prepared || !(prepared->key == key) || (epilogue.scale && !cache->keep_weights)) {
            first = true;
            prepared = prepare(key, epilogue.scale);
            if (cache) cache->prepared = prepared;
        }
        const OneThread alone(deterministic && depends_on_threads(*prepared));
        if (deterministic && depends_on_threads(*prepared) && first) {
            prepared = prepare(key, epilogue.scale);
            if (cache) cache->prepared = prepared;
        }
        memory packed = prepared->packed;
        if (!packed.get(true)) {
            const memory plain(plain_weights_desc(g), engine(), const_cast<float*>(weight));
            const memory::desc& desc = prepared->description.weights_desc();
            packed = keep ? memory(desc, engine()) : scratch_weights(desc);
            prepared->reorder.execute(stream(), {{DNNL_ARG_FROM, plain}, {DNNL_ARG_TO, packed}});
            if (keep) {
                prepared->packed = packed;
                release_mapped_pages(weight, plain_weights_desc(g).get_size());
            }
        }
        prepared->args.at(DNNL_ARG_SRC).set_data_handle(const_cast<float*>(src));
        prepared->args.at(DNNL_ARG_DST).set_data_handle(dst);
        if (epilogue.bias) prepared->args.at(DNNL_ARG_BIAS).set_data_handle(const_cast<float*>(epilogue.bias));
        prepared->args.at(DNNL_ARG_WEIGHTS) = packed;
        prepared->primitive.execute(stream(), prepared->args);
        stream().wait();
    } catch (const dnnl::error& error) {
        throw Error("oneDNN refused a convolution: " + std::string(error.what()));
    }
}

}  // namespace torch_ir::backend
