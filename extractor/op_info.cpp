// SPDX-License-Identifier: MIT
#include "op_info.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <tuple>

#include "convert.hpp"

namespace torch_ir::extractor {
namespace {

/// In-place ops whose functional twin is not called like them.
constexpr std::array<std::array<const char*, 4>, 9> renamed{
    {{"aten::pow_", "Tensor", "aten::pow", "Tensor_Tensor"},
     {"aten::pow_", "Scalar", "aten::pow", "Tensor_Scalar"},
     {"aten::float_power_", "Tensor", "aten::float_power", "Tensor_Tensor"},
     {"aten::float_power_", "Scalar", "aten::float_power", "Tensor_Scalar"},
     {"aten::floor_divide_", "Tensor", "aten::floor_divide", ""},
     {"aten::ldexp_", "", "aten::ldexp", "Tensor"},
     {"aten::transpose_", "", "aten::transpose", "int"},
     {"aten::normal_", "", "aten::normal_functional", ""},
     {"aten::bernoulli_", "float", "aten::bernoulli", "p"}}};

std::optional<c10::OperatorHandle> in_place_twin(const c10::FunctionSchema& schema) {
    c10::Dispatcher& dispatcher = c10::Dispatcher::singleton();
    for (const auto& [name, overload, twin, twin_overload] : renamed)
        if (schema.name() == name && schema.overload_name() == overload)
            return dispatcher.findSchema({twin, twin_overload});
    const std::string& name = schema.name();
    return dispatcher.findSchema({name.substr(0, name.size() - 1), schema.overload_name()});
}

/// The overload with the same parameters but for the out ones.
std::optional<c10::OperatorHandle> out_twin(const c10::FunctionSchema& schema) {
    std::vector<std::string> wanted;
    for (const c10::Argument& argument : schema.arguments())
        if (!argument.is_out()) wanted.push_back(argument.name() + ":" + argument.type()->str());
    c10::Dispatcher& dispatcher = c10::Dispatcher::singleton();
    for (const c10::OperatorName& name : dispatcher.getAllOpNames()) {
        if (name.name != schema.name()) continue;
        const auto candidate = dispatcher.findSchema(name);
        if (!candidate) continue;
        std::vector<std::string> found;
        for (const c10::Argument& argument : candidate->schema().arguments())
            found.push_back((argument.alias_info() && argument.alias_info()->isWrite() ? "!" : "") + argument.name() +
                            ":" + argument.type()->str());
        if (found == wanted) return candidate;
    }
    return std::nullopt;
}

bool has_tensor(const c10::Type& type) {
    if (type.kind() == c10::TypeKind::TensorType) return true;
    return std::ranges::any_of(type.containedTypes(), [](const c10::TypePtr& inner) { return has_tensor(*inner); });
}

OpInfo make_info(const c10::OperatorHandle& handle) {
    OpInfo info{.handle = handle, .name = handle.schema().name()};
    const c10::FunctionSchema& schema = handle.schema();
    for (std::size_t i = 0; i < schema.arguments().size(); ++i) {
        const c10::Argument& argument = schema.arguments()[i];
        std::optional<Argument> value;
        if (argument.default_value())
            value = argument_of(*argument.default_value(), *argument.real_type(),
                                [](const at::Tensor&) { return Argument(); });
        info.defaults.push_back(std::move(value));
        if (argument.alias_info() && argument.alias_info()->isWrite()) {
            info.written.push_back(i);
            info.out_variant = info.out_variant || argument.is_out();
        }
        const c10::Type& type = *argument.real_type();
        const auto* optional = type.castRaw<c10::OptionalType>();
        if ((optional ? *optional->getElementType() : type).kind() == c10::TypeKind::DeviceObjType) info.device = i;
    }
    for (const c10::Argument& result : schema.returns())
        info.returns_tensor = info.returns_tensor || has_tensor(*result.type());
    if (!info.written.empty()) info.functional = info.out_variant ? out_twin(schema) : in_place_twin(schema);
    info.random = handle.hasTag(at::Tag::nondeterministic_seeded);
    info.pointwise = handle.hasTag(at::Tag::pointwise);
    info.dynamic_shape = handle.hasTag(at::Tag::dynamic_output_shape);
    return info;
}

}  // namespace

std::string_view OpInfo::aten_name() const {
    std::string_view text = name;
    if (!text.starts_with("aten::")) return {};
    return text.substr(6);
}

const OpInfo& op_info(const c10::OperatorHandle& handle) {
    static std::mutex mutex;
    static auto& infos =
        *new std::map<c10::OperatorName, OpInfo, bool (*)(const c10::OperatorName&, const c10::OperatorName&)>(
            [](const c10::OperatorName& a, const c10::OperatorName& b) {
                return std::tie(a.name, a.overload_name) < std::tie(b.name, b.overload_name);
            });
    const std::scoped_lock lock(mutex);
    const auto found = infos.find(handle.operator_name());
    if (found != infos.end()) return found->second;
    return infos.emplace(handle.operator_name(), make_info(handle)).first->second;
}

}  // namespace torch_ir::extractor
