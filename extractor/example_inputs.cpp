// SPDX-License-Identifier: MIT
#include "example_inputs.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

#include "convert.hpp"
#include "torch_ir/safetensors.hpp"

namespace torch_ir {
namespace {

c10::ScalarType scalar_type_of(DType dtype) {
    for (int i = 0; i < static_cast<int>(c10::ScalarType::NumOptions); ++i) {
        const auto type = static_cast<c10::ScalarType>(i);
        try {
            if (extractor::dtype_of(type) == dtype) return type;
        } catch (const UnsupportedError&) {
            continue;
        }
    }
    throw UnsupportedError("LibTorch has no dtype " + std::string(name(dtype)));
}

template <class Number>
std::optional<Number> number_of(std::string_view text) {
    Number number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return number;
}

c10::IValue constant_of(const std::string& text) {
    if (text == "true") return true;
    if (text == "false") return false;
    if (text == "none") return {};
    if (const auto integer = number_of<std::int64_t>(text)) return *integer;
    if (const auto number = number_of<double>(text)) return *number;
    throw ArgumentError("expected a number, true, false or none, found '" + text + "'");
}

c10::IValue zeros_of(std::string sizes) {
    c10::ScalarType type = c10::kFloat;
    if (const std::size_t colon = sizes.find(':'); colon != std::string::npos) {
        const auto dtype = parse_dtype(sizes.substr(colon + 1));
        if (!dtype) throw ArgumentError("'" + sizes.substr(colon + 1) + "' is no dtype");
        type = scalar_type_of(*dtype);
        sizes.resize(colon);
    }
    std::vector<std::int64_t> shape;
    for (std::size_t begin = 0; begin < sizes.size();) {
        const std::size_t end = std::min(sizes.find(',', begin), sizes.size());
        const auto size = number_of<std::int64_t>(std::string_view(sizes).substr(begin, end - begin));
        if (!size || *size < 0) throw ArgumentError("expected sizes like 1,3,224,224, found '" + sizes + "'");
        shape.push_back(*size);
        begin = end + 1;
    }
    return at::zeros(shape, type);
}

}  // namespace

std::vector<NamedInput> read_inputs(const std::filesystem::path& path) {
    std::vector<std::pair<std::size_t, NamedInput>> ordered;
    const Safetensors file = read_safetensors(path);
    for (const auto& [name, view] : file.tensors.tensors()) {
        const std::vector<std::byte> bytes = view.to_bytes();
        at::Tensor tensor = at::empty(view.shape, scalar_type_of(view.dtype));
        if (!bytes.empty()) std::memcpy(tensor.data_ptr(), bytes.data(), bytes.size());
        // `input_10` comes after `input_9`.
        const auto position =
            name.starts_with("input_") ? number_of<std::size_t>(std::string_view(name).substr(6)) : std::nullopt;
        ordered.emplace_back(position.value_or(SIZE_MAX), NamedInput{name, std::move(tensor)});
    }
    std::ranges::stable_sort(ordered, {}, [](const auto& entry) { return entry.first; });
    std::vector<NamedInput> inputs;
    for (auto& entry : ordered) inputs.push_back(std::move(entry.second));
    return inputs;
}

NamedInput parse_input(const std::string& text) {
    return with_context("--shapes '" + text + "'", [&]() -> NamedInput {
        const std::size_t equals = text.find('='), colon = text.find(':');
        if (equals == 0) throw ArgumentError("expected a name in front of '='");
        if (equals != std::string::npos) return {text.substr(0, equals), zeros_of(text.substr(equals + 1))};
        const bool is_constant = colon != std::string::npos && (colon == 0 || text.find(',') == std::string::npos) &&
                                 !number_of<std::int64_t>(text.substr(0, colon));
        if (is_constant) return {text.substr(0, colon), constant_of(text.substr(colon + 1))};
        return {"", zeros_of(text)};
    });
}

}  // namespace torch_ir
