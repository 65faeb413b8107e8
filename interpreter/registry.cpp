// SPDX-License-Identifier: MIT
#include "registry.hpp"

#include <algorithm>
#include <array>

#include "generator.hpp"
#include "kernels/kernels.hpp"
#include "kernels/view.hpp"
#include "overlap.hpp"
#include "promote.hpp"
#include "torch_ir/error.hpp"

namespace torch_ir {
namespace {

/// The kernel of an op with a generator: where one is given, as a tensor of its state, numbers are drawn from that, and
/// the tensor holds the state behind them.
KernelFn with_generator(const Schema& schema, KernelFn kernel) {
    const SchemaParameter* parameter = schema.find("generator");
    if (!parameter) return kernel;
    return [kernel = std::move(kernel), at = static_cast<std::size_t>(parameter - schema.parameters.data())](
               Context& context, std::span<const IValue* const> args, std::vector<IValue>& results) {
        const auto* state = std::get_if<Tensor>(args[at]);
        if (!state) return kernel(context, args, results);
        if (state->dtype() != DType::UInt8 || !state->is_contiguous())
            throw ArgumentError("expected 'generator' to be a state of " + std::to_string(Generator::state_size) +
                                " bytes, found " + describe(*state));
        const std::span bytes(state->raw(), static_cast<std::size_t>(state->numel()));
        Generator generator;
        generator.set_state(bytes);
        Context own = context;
        own.generator = &generator;
        kernel(own, args, results);
        generator.get_state(bytes);
    };
}

}  // namespace

void Registry::add_kernel(std::string_view schema_line, const detail::KernelSignature& signature, KernelFn kernel) {
    const std::vector<detail::KernelParameter>& parameters = signature.parameters;
    Schema schema = parse_schema(schema_line);
    if (schema.parameters.size() != parameters.size())
        throw SchemaError("the kernel of '" + schema.op_type() + "' takes " + std::to_string(parameters.size()) +
                          " parameters, its schema has " + std::to_string(schema.parameters.size()));
    if (schema.returns.size() != signature.returns)
        throw SchemaError("the kernel of '" + schema.op_type() + "' returns " + std::to_string(signature.returns) +
                          " values, its schema says " + std::to_string(schema.returns.size()));
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        SchemaType& type = schema.parameters[i].type;
        if (!parameters[i].accepts(type))
            throw SchemaError("the kernel of '" + schema.op_type() + "' does not take its parameter '" +
                              schema.parameters[i].name + "' as " + type.text);
        if (parameters[i].is_tensor) type.kind = SchemaKind::Tensor;
    }
    add_boxed(std::move(schema), std::move(kernel));
}

void Registry::add_boxed(Schema schema, KernelFn kernel) {
    std::string op_type = schema.op_type();
    kernel = with_generator(schema, std::move(kernel));
    if (!ops_.emplace(op_type, Op{std::move(schema), std::move(kernel)}).second)
        throw SchemaError("op '" + op_type + "' is registered twice");
}

void Registry::add_function(std::string name, FunctionFn f) {
    if (!functions_.emplace(name, std::move(f)).second)
        throw SchemaError("function '" + name + "' is registered twice");
}

const FunctionFn* Registry::find_function(std::string_view name) const {
    const auto found = functions_.find(name);
    return found == functions_.end() ? nullptr : &found->second;
}

const Op* Registry::find(std::string_view op_type) const {
    if (const auto found = ops_.find(op_type); found != ops_.end()) return &found->second;
    const std::scoped_lock lock(derived_mutex_);
    auto found = derived_.find(op_type);
    if (found == derived_.end()) found = derived_.emplace(std::string(op_type), derive(op_type)).first;
    return found->second ? &*found->second : nullptr;
}

std::vector<std::string> Registry::names() const {
    std::vector<std::string> names;
    for (const auto& [op_type, op] : ops_) names.push_back(op_type);
    for (const auto& [name, f] : functions_) names.push_back(name);
    std::sort(names.begin(), names.end());
    return names;
}

namespace {

/// In-place ops whose functional twin has another overload name.
constexpr std::array<std::pair<std::string_view, std::string_view>, 18> renamed_twins{{
    {"aten.__iand__.Scalar", "aten.__and__.Scalar"},
    {"aten.__iand__.Tensor", "aten.__and__.Tensor"},
    {"aten.__ior__.Scalar", "aten.__or__.Scalar"},
    {"aten.__ior__.Tensor", "aten.__or__.Tensor"},
    {"aten.__ixor__.Scalar", "aten.__xor__.Scalar"},
    {"aten.__ixor__.Tensor", "aten.__xor__.Tensor"},
    {"aten.__ilshift__.Scalar", "aten.__lshift__.Scalar"},
    {"aten.__ilshift__.Tensor", "aten.__lshift__.Tensor"},
    {"aten.__irshift__.Scalar", "aten.__rshift__.Scalar"},
    {"aten.__irshift__.Tensor", "aten.__rshift__.Tensor"},
    {"aten.pow_.Tensor", "aten.pow.Tensor_Tensor"},
    {"aten.pow_.Scalar", "aten.pow.Tensor_Scalar"},
    {"aten.float_power_.Tensor", "aten.float_power.Tensor_Tensor"},
    {"aten.float_power_.Scalar", "aten.float_power.Tensor_Scalar"},
    {"aten.floor_divide_.Tensor", "aten.floor_divide.default"},
    {"aten.bernoulli_.float", "aten.bernoulli.p"},
    {"aten.ldexp_.default", "aten.ldexp.Tensor"},
    {"aten.transpose_.default", "aten.transpose.int"},
}};

/// For every parameter of `twin` the one among the first `count` of `schema` that it takes, or `count` for those that
/// only a new tensor needs (dtype, layout, device, pin_memory); nothing when they do not correspond. A generator may be
/// left over: kernels draw from that of their Context.
std::optional<std::vector<std::size_t>> correspond(const Schema& twin, const Schema& schema, std::size_t count) {
    constexpr std::array<std::string_view, 4> of_new_tensors{"dtype", "layout", "device", "pin_memory"};
    std::vector<std::size_t> sources;
    std::size_t next = 0;
    const auto skip_generator = [&](const std::string& wanted) {
        if (next < count && schema.parameters[next].type.text == "Generator?" && wanted != "Generator?") ++next;
    };
    for (const SchemaParameter& parameter : twin.parameters) {
        skip_generator(parameter.type.text);
        if (next < count && parameter.type.text == schema.parameters[next].type.text)
            sources.push_back(next++);
        else if (std::ranges::find(of_new_tensors, parameter.name) != of_new_tensors.end())
            sources.push_back(count);
        else
            return std::nullopt;
    }
    skip_generator("");
    if (next != count) return std::nullopt;
    return sources;
}

/// Ops with written parameters that, in PyTorch too, give any dtype.
constexpr std::array<std::string_view, 7> converting{"_fft_c2c", "_fft_c2r", "_fft_r2c", "bernoulli",
                                                     "cumprod_", "cumsum_",  "im2col"};

/// Ops that compute in the dtype of their out tensor when none is asked for.
constexpr std::array<std::string_view, 6> in_dtype_of_out{"cumprod", "cumsum", "mean", "nansum", "prod", "sum"};

/// Ops whose out tensor may have any shape of as many elements.
constexpr std::array<std::string_view, 4> sequences{"arange", "linspace", "logspace", "range"};

}  // namespace

std::optional<Op> Registry::derive(std::string_view op_type) const {
    const Schema* schema = find_schema(op_type);
    if (!schema) return std::nullopt;
    // The written parameters: `self` of an in-place op, the trailing out tensors of an out variant.
    std::vector<std::size_t> written;
    for (std::size_t i = 0; i < schema->parameters.size(); ++i)
        if (schema->parameters[i].is_write) written.push_back(i);
    const bool writes = !written.empty();
    if (writes ? schema->returns.size() > written.size() : !schema->find("generator")) return std::nullopt;
    const bool in_place = schema->name.ends_with("_") && written == std::vector<std::size_t>{0};
    const std::size_t count = in_place || !writes ? schema->parameters.size() : written.front();
    if (writes && !in_place && written.back() + 1 != schema->parameters.size()) return std::nullopt;

    const std::string name = in_place ? schema->name.substr(0, schema->name.size() - 1) : schema->name;
    std::vector<std::string> candidates;
    for (const auto& [from, to] : renamed_twins)
        if (from == op_type) candidates.emplace_back(to);
    const std::string prefix = schema->name_space + "." + name + ".";
    candidates.push_back(prefix + (schema->overload.empty() ? "default" : schema->overload));
    if (!in_place)
        for (auto it = ops_.lower_bound(prefix); it != ops_.end() && it->first.starts_with(prefix); ++it)
            candidates.push_back(it->first);
    for (const std::string& candidate : candidates) {
        const auto twin = ops_.find(candidate);
        if (twin == ops_.end()) continue;
        const auto sources = correspond(twin->second.schema, *schema, count);
        if (!sources) continue;
        if (twin->second.schema.returns.size() != (writes ? written.size() : schema->returns.size())) continue;
        const KernelFn& kernel = twin->second.kernel;
        const bool returns_self = !schema->returns.empty();
        const bool converts = std::ranges::find(converting, schema->name) != converting.end();
        const bool sequence = std::ranges::find(sequences, schema->name) != sequences.end();
        const SchemaParameter* dtype = writes ? schema->find("dtype") : nullptr;
        const auto dtype_at = dtype ? static_cast<std::size_t>(dtype - schema->parameters.data()) : count;
        const bool follows_out = !in_place && std::ranges::find(in_dtype_of_out, name) != in_dtype_of_out.end();
        const bool wide = name == "float_power";
        // These cut numbers off before they ask whether they are zero.
        const bool cuts = !in_place && (name == "any" || name == "all");
        const bool overlaps = may_overlap_itself(schema->name);
        // An op that can run in place computes each element of its result from the same element of its operands.
        const Schema& base = twin->second.schema;
        const bool by_element = in_place || find_schema(base.name_space + "." + name + "_." +
                                                        (base.overload.empty() ? "default" : base.overload));
        const Sharing sharing = allowed_sharing(name, by_element ? Sharing::Same : Sharing::Any);
        Schema derived = *schema;
        std::vector<bool> takes_dtype;
        for (std::size_t i = 0; i < sources->size(); ++i) {
            const SchemaParameter& parameter = twin->second.schema.parameters[i];
            if ((*sources)[i] < count) derived.parameters[(*sources)[i]].type = parameter.type;
            takes_dtype.push_back(parameter.name == "dtype");
        }
        KernelFn run = [kernel, sources = *sources, takes_dtype, written, count, in_place, returns_self, converts,
                        sequence, dtype_at, follows_out, wide, cuts, overlaps,
                        sharing](Context& context, std::span<const IValue* const> args, std::vector<IValue>& results) {
            const IValue none = None{};
            const IValue dtype_of_out =
                written.empty() ? none : IValue(std::get<Tensor>(*args[written.front()]).dtype());
            std::vector<const IValue*> given;
            for (const std::size_t source : sources) {
                const bool asks = source < count &&
                                  !(follows_out && source == dtype_at && std::holds_alternative<None>(*args[source]));
                given.push_back(asks ? args[source] : takes_dtype[given.size()] ? &dtype_of_out : &none);
            }
            if (written.empty()) return kernel(context, given, results);
            IValue bytes;
            if (cuts && std::get<DType>(dtype_of_out) == DType::UInt8) {
                bytes = std::get<Tensor>(*given[0]).to(DType::UInt8);
                given[0] = &bytes;
            }
            std::vector<IValue> values;
            kernel(context, given, values);
            for (std::size_t i = 0; i < written.size(); ++i) {
                const auto& target = std::get<Tensor>(*args[written[i]]);
                Tensor value = std::get<Tensor>(values[i]);
                if (sequence && value.numel() == target.numel()) value = value.reshape(target.shape());
                if (!in_place && value.shape() != target.shape())
                    kernels::become(target, kernels::resized(target, value.is_dense() ? value : value.clone()));
                if (!overlaps && !is_same_view(value, target)) check_overlap(target);
                for (std::size_t k = in_place ? 1 : 0; k < given.size(); ++k)
                    if (const auto* read = std::get_if<Tensor>(given[k])) check_overlap(target, *read, sharing);
                check_written(in_place, converts, value, target);
                // A result in place whose dtype is asked for must have that of the tensor.
                const bool exact =
                    in_place && (wide || (dtype_at < count && std::holds_alternative<DType>(*args[dtype_at])));
                if (exact && value.dtype() != target.dtype())
                    throw ArgumentError("the result is " + describe(value) + ", expected the dtype of " +
                                        describe(target) + " for the op in place");
                target.copy_from(value);
                if (returns_self) results.emplace_back(target);
            }
        };
        if (!base.find("generator")) run = with_generator(derived, std::move(run));
        return Op{std::move(derived), std::move(run)};
    }
    return std::nullopt;
}

const Registry& builtin_registry() {
    static const Registry& registry =
        [] {
            auto& made = *new Registry;  // never destroyed: plans in static storage may outlive it otherwise
            register_kernels(made);
            return std::ref(made);
        }()
            .get();
    return registry;
}

}  // namespace torch_ir
