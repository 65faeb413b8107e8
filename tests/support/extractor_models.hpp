// SPDX-License-Identifier: MIT
// Modules as LibTorch's users write them. tools/extractor_models.py has their Python twins.
#pragma once

#include <torch/torch.h>

namespace torch_ir::test {

namespace nn = torch::nn;
namespace F = torch::nn::functional;
using torch::Tensor;

struct MlpImpl : nn::Module {
    nn::Linear fc1{8, 16}, fc2{16, 4};
    nn::Dropout dropout{0.5};
    MlpImpl() {
        register_module("fc1", fc1);
        register_module("fc2", fc2);
        register_module("dropout", dropout);
    }
    Tensor forward(const Tensor& x) {
        return torch::softmax(fc2->forward(dropout->forward(torch::relu(fc1->forward(x)))), -1);
    }
};
TORCH_MODULE(Mlp);

struct ResNetBlockImpl : nn::Module {
    nn::Conv2d conv1{nn::Conv2dOptions(4, 8, 3).stride(2).padding(1).bias(false)};
    nn::BatchNorm2d bn1{8};
    nn::Conv2d conv2{nn::Conv2dOptions(8, 8, 3).padding(1).bias(false)};
    nn::BatchNorm2d bn2{8};
    nn::Conv2d shortcut{nn::Conv2dOptions(4, 8, 1).stride(2)};
    ResNetBlockImpl() {
        register_module("conv1", conv1);
        register_module("bn1", bn1);
        register_module("conv2", conv2);
        register_module("bn2", bn2);
        register_module("shortcut", shortcut);
    }
    Tensor forward(const Tensor& x) {
        Tensor y = torch::relu(bn1->forward(conv1->forward(x)));
        y = bn2->forward(conv2->forward(y));
        const Tensor s = shortcut->forward(x);
        return torch::relu(y + s);
    }
};
TORCH_MODULE(ResNetBlock);

struct RecurrentImpl : nn::Module {
    nn::LSTM lstm{nn::LSTMOptions(6, 5).num_layers(2).bidirectional(true).batch_first(true)};
    nn::GRU gru{nn::GRUOptions(10, 7).batch_first(true)};
    RecurrentImpl() {
        register_module("lstm", lstm);
        register_module("gru", gru);
    }
    std::tuple<Tensor, std::tuple<Tensor, Tensor>, Tensor> forward(const Tensor& x) {
        auto [y, state] = lstm->forward(x);
        auto [z, h] = gru->forward(y);
        return {z, state, h};
    }
};
TORCH_MODULE(Recurrent);

struct EncoderLayerImpl : nn::Module {
    nn::LayerNorm norm1{nn::LayerNormOptions({16})}, norm2{nn::LayerNormOptions({16})};
    nn::Linear qkv{16, 48}, out{16, 16}, up{16, 32}, down{32, 16};
    nn::Dropout dropout{0.1};
    EncoderLayerImpl() {
        register_module("norm1", norm1);
        register_module("norm2", norm2);
        register_module("qkv", qkv);
        register_module("out", out);
        register_module("up", up);
        register_module("down", down);
        register_module("dropout", dropout);
    }
    Tensor attention(const Tensor& x, const std::optional<Tensor>& mask) {
        const auto b = x.size(0), t = x.size(1);
        const auto parts = qkv->forward(x).view({b, t, 3, 4, 4}).permute({2, 0, 3, 1, 4}).unbind(0);
        const Tensor y = torch::scaled_dot_product_attention(parts[0], parts[1], parts[2], mask);
        return out->forward(y.transpose(1, 2).reshape({b, t, 16}));
    }
    Tensor forward(const Tensor& x, const std::optional<Tensor>& mask) {
        const Tensor a = attention(norm1->forward(x), mask);
        const Tensor y = x + dropout->forward(a);
        const Tensor f = down->forward(torch::gelu(up->forward(norm2->forward(y))));
        return y + dropout->forward(f);
    }
};
TORCH_MODULE(EncoderLayer);

struct DecoderLayerImpl : nn::Module {
    nn::LayerNorm norm1{nn::LayerNormOptions({16})}, norm2{nn::LayerNormOptions({16})},
        norm3{nn::LayerNormOptions({16})};
    nn::Linear qkv{16, 48}, out{16, 16}, q{16, 16}, kv{16, 32}, cross{16, 16}, up{16, 32}, down{32, 16};
    DecoderLayerImpl() {
        register_module("norm1", norm1);
        register_module("norm2", norm2);
        register_module("norm3", norm3);
        register_module("qkv", qkv);
        register_module("out", out);
        register_module("q", q);
        register_module("kv", kv);
        register_module("cross", cross);
        register_module("up", up);
        register_module("down", down);
    }
    static Tensor heads(const Tensor& x) { return x.view({x.size(0), x.size(1), 4, 4}).transpose(1, 2); }
    static Tensor merged(const Tensor& x) { return x.transpose(1, 2).reshape({x.size(0), x.size(2), 16}); }
    Tensor forward(const Tensor& x, const Tensor& memory) {
        const auto self = qkv->forward(x).chunk(3, -1);
        const Tensor q1 = heads(self[0]), k1 = heads(self[1]), v1 = heads(self[2]);
        const Tensor a = torch::scaled_dot_product_attention(q1, k1, v1, std::nullopt, 0.0, true);
        const Tensor y = norm1->forward(x + out->forward(merged(a)));
        const Tensor q2 = heads(q->forward(y));
        const auto both = kv->forward(memory).chunk(2, -1);
        const Tensor k2 = heads(both[0]), v2 = heads(both[1]);
        const Tensor z = norm2->forward(y + cross->forward(merged(torch::scaled_dot_product_attention(q2, k2, v2))));
        return norm3->forward(z + down->forward(torch::relu(up->forward(z))));
    }
};
TORCH_MODULE(DecoderLayer);

struct BagImpl : nn::Module {
    nn::EmbeddingBag bag{nn::EmbeddingBagOptions(20, 6).mode(torch::kMean)};
    nn::Embedding words{nn::EmbeddingOptions(20, 6).padding_idx(0)};
    BagImpl() {
        register_module("bag", bag);
        register_module("words", words);
    }
    Tensor forward(const Tensor& ids, const Tensor& offsets) {
        const Tensor pooled = bag->forward(ids, offsets);
        return torch::cat({pooled, words->forward(ids)}, 0);
    }
};
TORCH_MODULE(Bag);

struct DoubleConvImpl : nn::Module {
    nn::Conv2d conv1{nullptr}, conv2{nullptr};
    nn::GroupNorm norm{nullptr};
    DoubleConvImpl(int in, int out) {
        conv1 = register_module("conv1", nn::Conv2d(nn::Conv2dOptions(in, out, 3).padding(1)));
        norm = register_module("norm", nn::GroupNorm(nn::GroupNormOptions(2, out)));
        conv2 = register_module("conv2", nn::Conv2d(nn::Conv2dOptions(out, out, 3).padding(1)));
    }
    Tensor forward(const Tensor& x) {
        return torch::silu(conv2->forward(torch::silu(norm->forward(conv1->forward(x)))));
    }
};
TORCH_MODULE(DoubleConv);

struct UNetImpl : nn::Module {
    DoubleConv down1{3, 4}, down2{4, 8}, middle{8, 8}, up2{16, 4}, up1{8, 4};
    nn::ConvTranspose2d transposed{nn::ConvTranspose2dOptions(8, 8, 2).stride(2)};
    nn::Conv2d head{nn::Conv2dOptions(4, 2, 1)};
    nn::MaxPool2d pool{nn::MaxPool2dOptions(2)};
    UNetImpl() {
        register_module("down1", down1);
        register_module("down2", down2);
        register_module("middle", middle);
        register_module("transposed", transposed);
        register_module("up2", up2);
        register_module("up1", up1);
        register_module("head", head);
        register_module("pool", pool);
    }
    Tensor forward(const Tensor& x) {
        const Tensor a = down1->forward(x);
        const Tensor b = down2->forward(pool->forward(a));
        const Tensor c = middle->forward(pool->forward(b));
        const Tensor d = up2->forward(torch::cat({transposed->forward(c), b}, 1));
        const Tensor larger = F::interpolate(
            d, F::InterpolateFuncOptions().scale_factor(std::vector<double>{2, 2}).mode(torch::kNearest));
        return head->forward(up1->forward(torch::cat({larger, a}, 1)));
    }
};
TORCH_MODULE(UNet);

struct RmsNormImpl : nn::Module {
    Tensor weight;
    explicit RmsNormImpl(std::int64_t size) { weight = register_parameter("weight", torch::ones({size})); }
    Tensor forward(const Tensor& x) {
        const Tensor scale = torch::rsqrt(x.pow(2).mean(-1, true) + 1e-6);
        return x * scale * weight;
    }
};
TORCH_MODULE(RmsNorm);

struct LlmOptions {
    std::int64_t size = 32, heads = 4, kv_heads = 2, hidden = 48, vocabulary = 50, length = 12, layers = 2;
};

/// A decoder block with grouped queries, rotary positions and a cache of keys and values in buffers.
struct LlmBlockImpl : nn::Module {
    LlmOptions o;
    std::int64_t head;
    RmsNorm norm1{nullptr}, norm2{nullptr};
    nn::Linear q{nullptr}, k{nullptr}, v{nullptr}, out{nullptr}, gate{nullptr}, up{nullptr}, down{nullptr};
    Tensor k_cache, v_cache;
    explicit LlmBlockImpl(const LlmOptions& options) : o(options), head(options.size / options.heads) {
        const auto linear = [&](const char* name, std::int64_t in, std::int64_t features) {
            return register_module(name, nn::Linear(nn::LinearOptions(in, features).bias(false)));
        };
        norm1 = register_module("norm1", RmsNorm(o.size));
        q = linear("q", o.size, o.size);
        k = linear("k", o.size, o.kv_heads * head);
        v = linear("v", o.size, o.kv_heads * head);
        out = linear("out", o.size, o.size);
        norm2 = register_module("norm2", RmsNorm(o.size));
        gate = linear("gate", o.size, o.hidden);
        up = linear("up", o.size, o.hidden);
        down = linear("down", o.hidden, o.size);
        k_cache = register_buffer("k_cache", torch::zeros({1, o.kv_heads, o.length, head}));
        v_cache = register_buffer("v_cache", torch::zeros({1, o.kv_heads, o.length, head}));
    }
    static Tensor rotated(const Tensor& x, const Tensor& cos, const Tensor& sin) {
        const auto halves = x.chunk(2, -1);
        const Tensor first = halves[0] * cos, second = halves[1] * sin;
        const Tensor third = halves[1] * cos, fourth = halves[0] * sin;
        const Tensor left = first - second, right = third + fourth;
        return torch::cat({left, right}, -1);
    }
    Tensor forward(const Tensor& x, const Tensor& position, const Tensor& cos, const Tensor& sin, const Tensor& mask) {
        const auto b = x.size(0), t = x.size(1);
        const Tensor h = norm1->forward(x);
        const Tensor queries = rotated(q->forward(h).view({b, t, o.heads, head}).transpose(1, 2), cos, sin);
        const Tensor keys = rotated(k->forward(h).view({b, t, o.kv_heads, head}).transpose(1, 2), cos, sin);
        const Tensor values = v->forward(h).view({b, t, o.kv_heads, head}).transpose(1, 2);
        k_cache.index_copy_(2, position, keys);
        v_cache.index_copy_(2, position, values);
        const Tensor a =
            torch::scaled_dot_product_attention(queries, k_cache, v_cache, mask, 0.0, false, std::nullopt, true);
        const Tensor y = x + out->forward(a.transpose(1, 2).reshape({b, t, o.size}));
        const Tensor n = norm2->forward(y);
        const Tensor g = torch::silu(gate->forward(n));
        return y + down->forward(g * up->forward(n));
    }
};
TORCH_MODULE(LlmBlock);

struct LlmImpl : nn::Module {
    LlmOptions o;
    nn::Embedding words{nullptr};
    nn::ModuleList layers;
    RmsNorm norm{nullptr};
    nn::Linear head{nullptr};
    Tensor frequencies;
    explicit LlmImpl(const LlmOptions& options) : o(options) {
        words = register_module("words", nn::Embedding(o.vocabulary, o.size));
        layers = register_module("layers", nn::ModuleList());
        for (std::int64_t i = 0; i < o.layers; ++i) layers->push_back(LlmBlock(o));
        norm = register_module("norm", RmsNorm(o.size));
        head = register_module("head", nn::Linear(nn::LinearOptions(o.size, o.vocabulary).bias(false)));
        const auto half = o.size / o.heads / 2;
        frequencies =
            register_buffer("frequencies", torch::pow(10000.0, torch::arange(half) / -static_cast<double>(half)));
    }
    Tensor forward(const Tensor& ids, const Tensor& position) {
        Tensor x = words->forward(ids);
        const Tensor angles = torch::outer(position.to(torch::kFloat), frequencies);
        const Tensor cos = angles.cos(), sin = angles.sin();
        const Tensor mask = torch::arange(o.length).unsqueeze(0) <= position.unsqueeze(1);
        for (const auto& layer : *layers) x = layer->as<LlmBlock>()->forward(x, position, cos, sin, mask);
        return head->forward(norm->forward(x));
    }
};
TORCH_MODULE(Llm);

}  // namespace torch_ir::test
