// SPDX-License-Identifier: MIT
#include "recorder.hpp"

#include <torch/library.h>

#include <algorithm>
#include <array>
#include <sstream>

#include "call.hpp"
#include "convert.hpp"
#include "graph_passes.hpp"
#include "meta_device.hpp"
#include "shapes.hpp"

namespace torch_ir::extractor {
namespace {

// A key that lies above autograd and for which LibTorch registers nothing.
constexpr c10::DispatchKey record_key = c10::DispatchKey::DeferredInit;

thread_local Recorder* active = nullptr;
thread_local bool creating_on_meta = false;

void install() {
    static auto& library = *[] {
        auto* lib = new torch::Library(torch::Library::IMPL, "_", record_key, __FILE__, __LINE__);
        lib->fallback(torch::CppFunction::makeFromBoxedFunction<&Recorder::fallback>());
        return lib;
    }();
    (void)library;
    install_shapes();
}

torch::jit::Stack pop_arguments(const OpInfo& op, torch::jit::Stack& stack) {
    const auto first = stack.end() - static_cast<std::ptrdiff_t>(op.schema().arguments().size());
    torch::jit::Stack arguments(std::make_move_iterator(first), std::make_move_iterator(stack.end()));
    stack.erase(first, stack.end());
    return arguments;
}

}  // namespace

Recorder::Recorder(bool specialise) : specialise_(specialise), tracker_(model_.graph, model_.constants) { install(); }

Recorder::~Recorder() {
    const at::NoGradGuard no_grad;
    for (auto& [tensor, values] : restored_) tensor.copy_(values);
}

void Recorder::add_weight(const at::Tensor& tensor, InputKind kind, const std::string& key) {
    if (!tensor.defined()) return;
    weights.emplace_back(key, tensor);
    const auto [entry, is_new] = keys_.emplace(tensor.unsafeGetTensorImpl(), key);
    if (!is_new) {
        notes.push_back("'" + key + "' is the same tensor as '" + entry->second + "', which stands for both");
        return;
    }
    std::string name = (kind == InputKind::Parameter ? "p_" : "b_") + key;
    std::ranges::replace(name, '.', '_');
    Tracked& tracked = with_context("weight '" + key + "'", [&]() -> Tracked& {
        return tracker_.add_source(tensor, name, "weight '" + key + "'");
    });
    tracked.store->known = specialise_;
    if (specialise_ && kind == InputKind::Buffer && tensor.is_cpu()) restored_.emplace_back(tensor, tensor.clone());
    weights_.push_back({&tracked, *tracked.ref, {kind, key}});
}

at::Tensor Recorder::add_input(const at::Tensor& example, const std::string& name) {
    return with_context("input '" + name + "'", [&] {
        const at::Tensor tensor =
            specialise_ ? example.detach().clone()
                        : at::empty_strided(example.sizes(), example.strides(), example.options().device(c10::kMeta));
        Tracked& tracked = tracker_.add_source(tensor, name, "input '" + name + "'");
        tracked.store->known = specialise_;
        held_.push_back(tensor);
        inputs_.push_back({&tracked, *tracked.ref, {}});
        constant_inputs_.emplace_back();
        return tensor;
    });
}

void Recorder::add_constant_input(Argument value, const std::string& name) {
    inputs_.push_back({nullptr, {}, {InputKind::UserInput, name}});
    constant_inputs_.push_back(std::move(value));
}

c10::IValue Recorder::run(const std::function<c10::IValue()>& program) {
    Recorder* const before = std::exchange(active, this);
    const auto fail = [&](const std::exception& error) {
        active = before;
        if (refusal_) std::rethrow_exception(refusal_);
        std::string message = message_of(error);
        const std::array<const char*, 3> raw_access{"data pointer", "copy out of meta", "data is not allocated"};
        if (std::ranges::any_of(raw_access,
                                [&](const char* words) { return message.find(words) != std::string::npos; }))
            message =
                "the program reads the elements of a tensor that depends on the inputs, through a pointer or "
                "accessor; use tensor operations instead";
        throw UnsupportedError("cannot extract" + text_of(tracker_.provenance) + ": " + message);
    };
    try {
        const at::NoGradGuard no_grad;
        const c10::impl::IncludeDispatchKeyGuard on(record_key);
        c10::IValue result = program();
        active = before;
        return result;
    } catch (const std::exception& error) {
        fail(error);
        throw;
    } catch (...) {
        fail(std::runtime_error("the program threw something that is no std::exception"));
        throw;
    }
}

void Recorder::fallback(const c10::OperatorHandle& handle, c10::DispatchKeySet, torch::jit::Stack* stack) {
    const c10::impl::ExcludeDispatchKeyGuard off(record_key);  // what an op does inside is its own affair
    if (active) {
        try {
            active->record(op_info(handle), *stack);
        } catch (const Error&) {
            active->refusal_ = std::current_exception();
            throw;
        }
        return;
    }
    if (!creating_on_meta)
        throw UnsupportedError("cannot extract: the program calls " + handle.schema().name() +
                               " in a thread of its own (fork): only calls of the thread that extracts are recorded");
    const OpInfo& op = op_info(handle);
    if (op.device) {
        const torch::jit::Stack arguments = pop_arguments(op, *stack);
        torch::jit::Stack on_meta = arguments;
        set_device(on_meta, op, c10::kMeta);
        handle.callBoxed(&on_meta);
        // Small ones may be tables that the constructor fills; they cost nothing.
        if (elements(on_meta) <= 4096 &&
            !(arguments[*op.device].isDevice() && arguments[*op.device].toDevice().is_meta())) {
            on_meta = arguments;
            handle.callBoxed(&on_meta);
        }
        stack->insert(stack->end(), on_meta.begin(), on_meta.end());
        return;
    }
    const auto needs_values = [&] {
        throw UnsupportedError("the module cannot be made without memory for its weights: it calls " + op.name +
                               ", which needs values; make it without on_meta (torch-ir-extract: with --weights-out or "
                               "--specialise)");
    };
    try {
        handle.callBoxed(stack);
    } catch (const NeedsValues&) {
        needs_values();
    } catch (const c10::NotImplementedError&) {  // a copy out of the meta device, …
        needs_values();
    }
}

void Recorder::record(const OpInfo& op, torch::jit::Stack& stack) {
    Call call{.op = op, .arguments = pop_arguments(op, stack)};
    for (c10::IValue& argument : call.arguments)
        for_each_tensor(argument, [&](at::Tensor& tensor) { call.tensors.push_back(tensor); });
    std::vector<std::string> keys;
    for (const at::Tensor& tensor : call.tensors) {
        call.known = call.known && is_known(tensor);
        if (const auto key = keys_.find(tensor.unsafeGetTensorImpl()); key != keys_.end()) keys.push_back(key->second);
    }
    tracker_.provenance = provenance ? provenance(keys) : Provenance{};
    const std::string_view name = op.aten_name();
    if (!answer(call) && !is_one_of(name, {"detach_", "requires_grad_"}) && !change_geometry(call)) {
        const bool dynamic_size = has_dynamic_size(call);
        if (name == "_pack_padded_sequence" && !specialise_ && !call.known)
            throw UnsupportedError(
                "cannot extract: " + op.name + place() +
                " packs sequences by the values of their lengths; the graph would hold for these lengths only. Run the "
                "recurrent module on the padded sequences and mask what lies beyond the lengths, or extract with "
                "specialise (--specialise) to burn in the lengths of the example inputs");
        if (dynamic_size && !specialise_ && !call.known)
            refuse(call, "returns a tensor whose size depends on the values");
        // Running statistics are written without a mark in the schemas.
        const bool writes_statistics = is_one_of(name, {"batch_norm", "instance_norm", "native_batch_norm"}) &&
                                       call.arguments[5].toBool() && call.arguments[3].isTensor() &&
                                       call.arguments[3].toTensor().defined();
        if (writes_statistics && name != "batch_norm")
            throw UnsupportedError("cannot extract: " + op.name + place() +
                                   " updates running statistics; only batch_norm may, or call eval() on the module");
        if (!op.written.empty())
            record_write(call);
        else if (writes_statistics)
            record_batch_norm(call);
        else
            record_results(call);
        if (dynamic_size && specialise_) {
            std::ostringstream sizes;
            for (c10::IValue result : call.results)
                for_each_tensor(result, [&](at::Tensor& tensor) { sizes << ' ' << tensor.sizes(); });
            note_burned_in(call, "a tensor of size" + sizes.str());
        }
    }
    if (is_one_of(name, {"detach_", "requires_grad_"})) call.results = {call.arguments[0]};
    stack.insert(stack.end(), std::make_move_iterator(call.results.begin()),
                 std::make_move_iterator(call.results.end()));
}

Argument Recorder::argument_for(const at::Tensor& tensor) {
    if (is_number(tensor)) {
        const c10::Scalar number = tensor.item();
        if (number.isBoolean()) return number.toBool();
        if (number.isIntegral(false)) return number.toLong();
        if (number.isFloatingPoint()) return number.toDouble();
    }
    return tracker_.current(tracker_.track(tensor));
}

/// What Python's bindings and torch.nn pass where C++ leaves it open.
Argument Recorder::as_python_writes(const Call& call, const std::string& parameter, Argument value) {
    if (parameter == "pin_memory" && value.is_none() && !is_one_of(call.op.aten_name(), {"to", "_to_copy"}))
        return false;
    if (parameter == "device" && value.is_none() && call.tensors.empty()) return Device{"cpu", std::nullopt};
    if (parameter == "cudnn_enabled" || parameter == "cudnn_enable") return at::globalContext().hasCuDNN();
    return value;
}

/// The call by the names of a schema; `parent` is where parent_ref stands.
Node Recorder::node_of(const Call& call, const c10::FunctionSchema& schema, const Tracked* parent) {
    Node node{.op_type = op_type_of(schema.operator_name()), .provenance = tracker_.provenance};
    bool parent_seen = false;
    for (std::size_t i = 0; i < call.arguments.size(); ++i) {
        const c10::Argument& parameter = call.op.schema().arguments()[i];
        if (parameter.is_out() || call.arguments[i].isGenerator()) continue;
        if (call.arguments[i].isNone() && parameter.type()->str().find("Generator") != std::string::npos) continue;
        Argument value = with_context(call.op.name + place() + ": argument '" + parameter.name() + "'", [&] {
            return argument_of(call.arguments[i], *parameter.real_type(), [&](const at::Tensor& tensor) -> Argument {
                if (parent && !parent_seen && tracker_.find(tensor) == parent) {
                    parent_seen = true;
                    return parent_ref;
                }
                return argument_for(tensor);
            });
        });
        value = as_python_writes(call, parameter.name(), std::move(value));
        if (call.op.defaults[i] && *call.op.defaults[i] == value) continue;
        node.args.push_back({parameter.name(), std::move(value)});
    }
    return normalised(std::move(node));
}

void Recorder::record_results(Call& call) {
    const auto is_literal = [&](const at::Tensor& tensor) {
        const Store* store = tracker_.find_store(tensor);
        return store && store->literal;
    };
    const bool literal = !specialise_ && !call.op.random &&
                         (call.tensors.empty() ? call.op.aten_name().starts_with("empty")
                                               : std::ranges::all_of(call.tensors, is_literal));
    Node node;
    if (!literal) node = node_of(call, call.op.schema());
    execute(call);
    const bool keep_literal = literal && call.ran_on_values;
    if (literal && !keep_literal) node = node_of(call, call.op.schema());

    // The tensors of the results; one that is an argument itself gets a handle of its own, as a view of it.
    struct Result {
        at::Tensor tensor;
        Tracked* parent = nullptr;
    };
    std::vector<Result> found;
    bool list = false;
    for (c10::IValue& result : call.results) {
        list = list || result.isTensorList();
        for_each_tensor(result, [&](at::Tensor& tensor) {
            bool is_argument = false;
            for (c10::IValue argument : call.executed)
                for_each_tensor(argument,
                                [&](at::Tensor& executed) { is_argument = is_argument || executed.is_same(tensor); });
            Result entry;
            if (const Store* store = tracker_.find_store(tensor))
                for (const at::Tensor& argument : call.tensors)
                    if (Tracked* candidate = tracker_.find(argument); candidate && candidate->store == store) {
                        entry.parent = candidate;
                        break;
                    }
            if (is_argument && !keep_literal) tensor = at::alias(tensor);
            entry.tensor = tensor;
            found.push_back(entry);
        });
    }
    if (keep_literal) {
        for (const Result& result : found) {
            if (tracker_.find(result.tensor)) continue;
            if (result.parent) {
                tracker_.add_view(result.tensor, *result.parent, std::nullopt,
                                  node_of(call, call.op.schema(), result.parent),
                                  static_cast<std::uint32_t>(&result - found.data()));
                continue;
            }
            Tracked& root = tracker_.add_root(result.tensor, std::nullopt);
            root.version = -1;
            root.store->literal = root.store->known = true;
        }
        return;
    }
    std::vector<TensorMeta> metas;
    for (const Result& result : found) metas.push_back(meta_of(result.tensor));
    const auto index = static_cast<std::uint32_t>(model_.graph.nodes.size());
    const std::vector<ValueRef> refs = tracker_.emit(std::move(node), metas, list);
    if (call.op.random) random_.insert(index);
    if (!list && found.size() != call.results.size()) {
        // Results that are no tensors, or that a mask switched off.
        std::vector<Argument>& outputs = model_.graph.nodes.back().outputs;
        for (std::size_t i = 0; i < call.results.size(); ++i)
            if (!call.results[i].isTensor() || !call.results[i].toTensor().defined())
                outputs.insert(outputs.begin() + static_cast<std::ptrdiff_t>(i), None{});
    }
    const std::string depends = depends_of(call);
    for (std::uint32_t i = 0; i < found.size(); ++i) {
        if (found[i].parent) {
            Node step = node_of(call, call.op.schema(), found[i].parent);
            if (list) step.outputs.assign(refs.begin(), refs.end());
            tracker_.add_view(found[i].tensor, *found[i].parent, refs[i], std::move(step), i);
        } else {
            Tracked& root = tracker_.add_root(found[i].tensor, refs[i]);
            root.store->known = call.ran_on_values;
            root.store->depends = depends;
        }
    }
}

/// `t_` and the like: the tensor becomes another view of its memory.
bool Recorder::change_geometry(Call& call) {
    const std::string_view name = call.op.aten_name();
    if (is_one_of(name, {"set_", "set_data"}))
        throw UnsupportedError("cannot extract: " + call.op.name + place() + " exchanges the memory of a tensor");
    if (name == "resize_" && call.tensors[0].sizes() != call.arguments[1].toIntVector())
        throw UnsupportedError("cannot extract: " + call.op.name + place() + " changes the size of a tensor's memory");
    if (name == "resize_") {
        call.results = {call.arguments[0]};
        return true;
    }
    if (!is_one_of(name, {"t_", "transpose_", "swapaxes_", "swapdims_", "squeeze_", "unsqueeze_"})) return false;
    Tracked& before = tracker_.track(call.tensors[0]);
    tracker_.make_recorded(*before.store);
    Node step = node_of(call, call.op.functional->schema(), &before);
    Node node = node_of(call, call.op.functional->schema());
    call.results = call.arguments;
    run_op(call, call.op.handle, call.results);
    const ValueRef ref = tracker_.emit(std::move(node), {meta_of(call.tensors[0])})[0];
    tracker_.rebind(call.tensors[0], std::move(step), ref);
    return true;
}

/// A call that writes to arguments becomes its functional twin; the arguments then have the new values.
void Recorder::record_write(Call& call) {
    const bool all_literal =
        !specialise_ && !call.op.random && std::ranges::all_of(call.tensors, [&](const at::Tensor& tensor) {
            const Store* store = tracker_.find_store(tensor);
            return store ? store->literal : is_number(tensor);
        });
    if (all_literal) {
        call.results = call.arguments;
        run_op(call, call.op.handle, call.results);
        for (const std::size_t position : call.op.written)
            ++tracker_.find_store(call.arguments[position].toTensor())->version;
        return;
    }
    if (!call.op.functional)
        throw UnsupportedError("cannot extract: " + call.op.name + place() +
                               " writes to its argument and has no form that returns the result instead");
    std::vector<Tracked*> targets;
    for (const std::size_t position : call.op.written) {
        if (!call.arguments[position].isTensor())
            throw UnsupportedError("cannot extract: " + call.op.name + place() + " writes to a list of tensors");
        targets.push_back(&tracker_.track(call.arguments[position].toTensor()));
        tracker_.make_recorded(*targets.back()->store);
    }
    call.known = std::ranges::all_of(call.tensors, [&](const at::Tensor& tensor) { return is_known(tensor); });
    Node node = node_of(call, call.op.functional->schema());
    execute(call);
    // Returns of the functional twin that are not the written arguments come first (`_native_batch_norm_legit`): none
    // of the ops that a program calls has any.
    const std::vector<at::Tensor> computed = functional_results(call);
    if (computed.size() != targets.size())
        throw UnsupportedError("cannot extract: " + call.op.name + place() +
                               " returns more than what it writes; use the form that writes nothing");
    std::vector<TensorMeta> metas;
    for (const at::Tensor& result : computed) metas.push_back(meta_of(result));
    const auto index = static_cast<std::uint32_t>(model_.graph.nodes.size());
    std::vector<ValueRef> refs = tracker_.emit(std::move(node), metas);
    in_place_.insert(index);
    if (call.op.random) random_.insert(index);
    for (std::size_t i = 0; i < targets.size(); ++i) refs[i] = tracker_.as_written(*targets[i], refs[i], computed[i]);
    const std::string depends = depends_of(call);
    for (std::size_t i = 0; i < targets.size(); ++i) {
        tracker_.write(*targets[i], refs[i]);
        targets[i]->store->known = call.ran_on_values;
        if (targets[i]->store->depends.empty()) targets[i]->store->depends = depends;
    }
    call.results.clear();
    for (const std::size_t position : call.op.written) call.results.push_back(call.arguments[position]);
    if (call.op.schema().returns().empty()) call.results.clear();
}

/// Training: the running statistics have new values.
void Recorder::record_batch_norm(Call& call) {
    Node node{.op_type = "aten._native_batch_norm_legit_functional.default", .provenance = tracker_.provenance};
    const auto add = [&](const char* name, std::size_t i) {
        const c10::IValue& value = call.arguments[i];
        node.args.push_back({name, argument_of(value, *call.op.schema().arguments()[i].real_type(),
                                               [&](const at::Tensor& tensor) { return argument_for(tensor); })});
    };
    const std::array<const char*, 8> names{"input",       "weight",   "bias",     "running_mean",
                                           "running_var", "training", "momentum", "eps"};
    for (std::size_t i = 0; i < names.size(); ++i) add(names[i], i);
    execute(call);
    Tracked& mean = tracker_.track(call.arguments[3].toTensor());
    Tracked& variance = tracker_.track(call.arguments[4].toTensor());
    const TensorMeta output = meta_of(call.results[0].toTensor());
    const TensorMeta statistics = meta_of(call.arguments[3].toTensor());
    const auto refs = tracker_.emit(std::move(node), {output, statistics, statistics, statistics, statistics});
    tracker_.write(mean, refs[3]);
    tracker_.write(variance, refs[4]);
    Tracked& root = tracker_.add_root(call.results[0].toTensor(), refs[0]);
    root.store->known = call.ran_on_values;
    root.store->depends = depends_of(call);
}

Argument Recorder::value_of(const at::Tensor& tensor) {
    if (!tensor.defined()) return None{};
    return tracker_.current(tracker_.track(tensor));
}

void Recorder::replace_weight(const std::string& key, const at::Tensor& tensor) {
    for (Source& weight : weights_)
        if (weight.spec.target == key) weight.tracked = &tracker_.track(tensor);
}

Model Recorder::finish() {
    Graph& graph = model_.graph;
    const auto add_input = [&](Argument value, InputSpec spec) {
        graph.inputs.push_back(std::move(value));
        model_.inputs.push_back(std::move(spec));
    };
    const auto add_mutation = [&](const Source& source, OutputKind kind, const std::string& target) {
        const ValueRef now = tracker_.current(*source.tracked);
        if (now == source.ref) return;
        graph.outputs.emplace_back(now);
        model_.outputs.push_back({kind, target});
    };
    tracker_.provenance = {};
    for (const Source& weight : weights_)
        add_mutation(weight,
                     weight.spec.kind == InputKind::Buffer ? OutputKind::BufferMutation : OutputKind::ParameterMutation,
                     weight.spec.target);
    for (const Source& input : inputs_)
        if (input.tracked) add_mutation(input, OutputKind::UserInputMutation, graph.value(input.ref).name);
    for (Argument& output : user_outputs_) {
        graph.outputs.push_back(output);
        model_.outputs.emplace_back();
    }
    for (const Source& weight : weights_) add_input(weight.ref, weight.spec);
    for (const Tracker::Lifted& constant : tracker_.lifted()) {
        add_input(constant.ref, {InputKind::TensorConstant, constant.target});
        if (!model_.constants.contains(constant.target))
            notes.push_back(
                "'" + constant.target +
                "' is a tensor on the meta device that is neither a parameter nor a buffer: its values are unknown");
        if (constant.tracked->store->root == constant.tracked && constant.tracked->store->version > 0 &&
            !constant.literal && Tracker::is_alive(*constant.tracked->store))
            notes.push_back(
                "'" + constant.target +
                "' is a tensor that is neither a parameter nor a buffer, and the program writes to it: the new "
                "value is not kept (register it with register_buffer)");
    }
    for (std::size_t i = 0; i < inputs_.size(); ++i)
        add_input(inputs_[i].tracked ? Argument(inputs_[i].ref) : constant_inputs_[i], inputs_[i].spec);
    fuse_linear(graph, in_place_);
    tidy(model_, random_);
    return std::move(model_);
}

}  // namespace torch_ir::extractor

namespace torch_ir {

MetaDevice::MetaDevice()
    : before_(std::exchange(extractor::creating_on_meta, true)), on_((extractor::install(), extractor::record_key)) {}

MetaDevice::~MetaDevice() { extractor::creating_on_meta = before_; }

}  // namespace torch_ir
