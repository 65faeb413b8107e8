// SPDX-License-Identifier: MIT
#include "recorder.hpp"

#include <torch/library.h>

#include <algorithm>
#include <array>
#include <sstream>

#include "convert.hpp"
#include "graph_passes.hpp"
#include "meta_device.hpp"
#include "shapes.hpp"

namespace torch_ir::extractor {
namespace {

// A key that lies above autograd and for which LibTorch registers nothing.
constexpr c10::DispatchKey record_key = c10::DispatchKey::DeferredInit;
/// Constants of more elements are not computed.
constexpr std::int64_t max_known = 1 << 16;

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

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
    return std::ranges::find(names, name) != names.end();
}

torch::jit::Stack pop_arguments(const OpInfo& op, torch::jit::Stack& stack) {
    const auto first = stack.end() - static_cast<std::ptrdiff_t>(op.schema().arguments().size());
    torch::jit::Stack arguments(std::make_move_iterator(first), std::make_move_iterator(stack.end()));
    stack.erase(first, stack.end());
    return arguments;
}

void set_device(torch::jit::Stack& arguments, const OpInfo& op, c10::DeviceType type) {
    if (op.device) arguments[*op.device] = c10::Device(type);
}

std::int64_t elements(const torch::jit::Stack& results) {
    std::int64_t total = 0;
    for (c10::IValue result : results) for_each_tensor(result, [&](at::Tensor& tensor) { total += tensor.numel(); });
    return total;
}

/// In LibTorch's words, without its own source locations.
std::string message_of(const std::exception& error) {
    if (const auto* torch_error = dynamic_cast<const c10::Error*>(&error)) return torch_error->what_without_backtrace();
    return error.what();
}

std::string text_of(const Provenance& from) {
    std::string text;
    if (!from.module_path.empty()) text += " in " + from.module_path;
    if (!from.source.empty()) text += " (" + from.source + ")";
    return text;
}

}  // namespace

/// One call while it is recorded.
struct Recorder::Call {
    const OpInfo& op;
    torch::jit::Stack arguments;      // as the program gave them
    std::vector<at::Tensor> tensors;  // those in the arguments
    bool known = true;                // all of them have their values
    torch::jit::Stack executed;       // the arguments that it ran with
    torch::jit::Stack results;
    bool ran_on_values = false;  // the results have values
};

/// The dtype that the functional twin of an in-place call returns, where it is not that of the tensor written to.
std::optional<DType> Recorder::functional_dtype(const Call& call) {
    std::string_view name = call.op.aten_name();
    if (call.op.out_variant || !name.ends_with('_')) return std::nullopt;
    name.remove_suffix(1);
    c10::ScalarType computed = call.tensors[0].scalar_type();
    if (is_one_of(name, {"eq", "ne", "lt", "le", "gt", "ge", "less", "less_equal", "greater", "greater_equal",
                         "not_equal", "logical_and", "logical_or", "logical_xor", "logical_not"}))
        computed = c10::kBool;
    else if (call.tensors.size() > 1 &&
             is_one_of(name, {"add", "sub", "subtract", "mul", "multiply", "div", "divide", "true_divide", "remainder",
                              "fmod", "pow", "atan2", "arctan2", "addcmul", "addcdiv", "floor_divide"}))
        computed = at::result_type(call.tensors[0], call.tensors[1]);
    if (computed == call.tensors[0].scalar_type()) return std::nullopt;
    return dtype_of(computed);
}

Recorder::Recorder(bool specialise) : specialise_(specialise), tracker_(model_.graph, model_.constants) { install(); }

Recorder::~Recorder() {
    const at::NoGradGuard no_grad;
    for (auto& [tensor, values] : restored_) tensor.copy_(values);
}

void Recorder::add_weight(const at::Tensor& tensor, InputKind kind, const std::string& key, bool persistent) {
    if (!tensor.defined()) return;
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
    held_.push_back(tensor);
    if (specialise_ && kind == InputKind::Buffer && tensor.is_cpu()) restored_.emplace_back(tensor, tensor.clone());
    weights_.push_back({&tracked, *tracked.ref, {kind, key, persistent}});
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
    const OpInfo& op = op_info(handle);
    if (creating_on_meta && op.device) {
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
    handle.callBoxed(stack);
}

void Recorder::record(const OpInfo& op, torch::jit::Stack& stack) {
    Call call{.op = op, .arguments = pop_arguments(op, stack)};
    for (c10::IValue& argument : call.arguments)
        for_each_tensor(argument, [&](at::Tensor& tensor) { call.tensors.push_back(tensor); });
    for (const at::Tensor& tensor : call.tensors) call.known = call.known && is_known(tensor);
    const std::string_view name = op.aten_name();
    if (!answer(call) && !is_one_of(name, {"detach_", "requires_grad_"}) && !change_geometry(call)) {
        check_shapes_known(call);
        std::vector<std::string> keys;
        for (const at::Tensor& tensor : call.tensors)
            if (const auto key = keys_.find(tensor.unsafeGetTensorImpl()); key != keys_.end())
                keys.push_back(key->second);
        tracker_.provenance = provenance ? provenance(keys) : Provenance{};
        if (!op.written.empty())
            record_write(call);
        else if (name == "batch_norm" && call.arguments[5].toBool() && call.arguments[3].isTensor() &&
                 call.arguments[3].toTensor().defined())
            record_batch_norm(call);
        else
            record_results(call);
    }
    if (is_one_of(name, {"detach_", "requires_grad_"})) call.results = {call.arguments[0]};
    stack.insert(stack.end(), std::make_move_iterator(call.results.begin()),
                 std::make_move_iterator(call.results.end()));
}

bool Recorder::is_known(const at::Tensor& tensor) {
    if (const Store* store = tracker_.find_store(tensor)) return store->known;
    return tensor.is_cpu();
}

std::string Recorder::depends_of(const Call& call) {
    std::string depends;
    for (const at::Tensor& tensor : call.tensors) {
        const Store* store = tracker_.find_store(tensor);
        if (!store || store->depends.empty()) continue;
        if (store->depends.starts_with("input")) return store->depends;
        depends = store->depends;
    }
    if (depends.empty() && call.op.random) return "random numbers";
    return depends;
}

std::string Recorder::place() const { return text_of(provenance ? provenance({}) : tracker_.provenance); }

void Recorder::refuse(const Call& call, const std::string& needs) {
    const std::string depends = depends_of(call);
    throw UnsupportedError(
        "cannot extract: " + call.op.name + place() + " " + needs + " of a tensor that depends on " +
        (depends.empty() ? "values unknown here" : depends) +
        "; the graph would hold for this input only. Rewrite it with torch::where, masks or sizes, or "
        "extract with specialise (--specialise) to burn in what the example inputs give");
}

/// Calls that return no tensor are not recorded. Those that return something of a tensor's values need them.
bool Recorder::answer(Call& call) {
    if (call.op.returns_tensor || !call.op.written.empty()) return false;
    call.results = call.arguments;
    const std::string_view name = call.op.aten_name();
    if (name.starts_with("_assert_async") || name.starts_with("_assert_scalar")) {
        call.results.clear();
        return true;
    }
    const bool reads = is_one_of(name, {"item", "_local_scalar_dense", "is_nonzero", "allclose", "equal"});
    if (reads && !call.known) {
        if (name == "equal") {
            const Tracked* a = tracker_.find(call.tensors[0]);
            const bool same = a && a == tracker_.find(call.tensors[1]);
            if (!same)
                notes.push_back("aten::equal" + place() + " was answered with false: its tensors are not the same one");
            call.results = {same};
            return true;
        }
        refuse(call, "needs the value");
    }
    call.op.handle.callBoxed(&call.results);
    if (reads && specialise_ && !depends_of(call).empty()) {
        std::ostringstream text;
        text << call.op.name << place() << " gave " << call.results[0] << ", which depends on " << depends_of(call)
             << " and is burned in";
        notes.push_back(text.str());
    }
    return true;
}

void Recorder::check_shapes_known(const Call& call) {
    if (specialise_ || call.known) return;
    const std::string_view name = call.op.aten_name();
    if (name == "linalg_lstsq" || (name == "one_hot" && call.arguments[1].toInt() >= 0)) return;
    bool masked = false;
    if (name == "index" && call.arguments[1].isList())
        for (const c10::IValue& index : call.arguments[1].toListRef())
            masked = masked ||
                     (index.isTensor() && index.toTensor().defined() &&
                      (index.toTensor().scalar_type() == c10::kBool || index.toTensor().scalar_type() == c10::kByte));
    if ((call.op.dynamic_shape && name != "index") || masked)
        refuse(call, "returns a tensor whose size depends on the values");
}

/// Runs the call, on values where all are known and on meta tensors otherwise.
void Recorder::execute(Call& call) {
    const std::string_view name = call.op.aten_name();
    call.ran_on_values = specialise_ || (call.known && !call.op.random);
    if (call.tensors.empty() && !specialise_) return execute_factory(call);
    call.executed = call.arguments;
    if (!call.ran_on_values) {
        for (c10::IValue& argument : call.executed) {
            for_each_tensor(argument,
                            [&](at::Tensor& tensor) { tensor = tracker_.on_meta(tracker_.track(tensor), tensor); });
            if (argument.isDevice()) argument = c10::Device(c10::kMeta);
        }
        if (name == "scaled_dot_product_attention") {
            call.results = {attention_shape(call.executed)};
            return;
        }
        // With a mask among the indices the Meta kernel would have to count it.
        if (name == "index_put_") {
            call.results = {call.executed[0]};
            return;
        }
    } else if (!specialise_) {
        set_device(call.executed, call.op, c10::kCPU);
        if (call.op.device && !call.arguments[*call.op.device].isDevice()) call.executed[*call.op.device] = {};
    }
    call.results = call.executed;
    try {
        call.op.handle.callBoxed(&call.results);
    } catch (const NeedsValues&) {
        refuse(call, "needs the values");
    } catch (const c10::Error& error) {
        throw ArgumentError("cannot extract: " + call.op.name + place() + ": " + message_of(error));
    }
    if (call.ran_on_values && !specialise_ && call.op.written.empty() && elements(call.results) > 16 * max_known) {
        // Too large to be kept: only its shape.
        for (c10::IValue& result : call.results)
            for_each_tensor(result, [&](at::Tensor& tensor) {
                if (!tracker_.find_store(tensor))
                    tensor = at::empty_strided(tensor.sizes(), tensor.strides(), tensor.options().device(c10::kMeta));
            });
        call.ran_on_values = false;
    }
}

/// Calls without tensors make one. Small constants get their values, all else is meta; empty() on the CPU stays there,
/// since its memory may be filled without a call.
void Recorder::execute_factory(Call& call) {
    const auto run_on = [&](c10::DeviceType device) {
        call.executed = call.arguments;
        set_device(call.executed, call.op, device);
        call.results = call.executed;
        call.op.handle.callBoxed(&call.results);
    };
    run_on(c10::kMeta);
    const bool is_empty = call.op.aten_name().starts_with("empty");
    const bool asked_for_cpu = call.op.device && !(call.arguments[*call.op.device].isDevice() &&
                                                   call.arguments[*call.op.device].toDevice().is_meta());
    call.ran_on_values = !call.op.random && (elements(call.results) <= max_known || (is_empty && asked_for_cpu));
    if (!call.ran_on_values) return;
    run_on(c10::kCPU);
    if (is_empty && elements(call.results) <= max_known) call.results[0].toTensor().zero_();  // the same file each time
}

Argument Recorder::argument_for(const at::Tensor& tensor) {
    // A number that LibTorch made a tensor of.
    if (tensor.unsafeGetTensorImpl()->is_wrapped_number() && tensor.is_cpu() && is_known(tensor)) {
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
    // What the arguments are before the call, since it may be about to be given to a literal.
    const auto is_literal = [&](const at::Tensor& tensor) {
        const Store* store = tracker_.find_store(tensor);
        return store && store->literal;
    };
    const bool literal = !specialise_ && !call.op.random &&
                         (call.tensors.empty() ? call.op.aten_name().starts_with("empty")
                                               : std::ranges::all_of(call.tensors, is_literal));
    std::vector<Tracked*> tracked;
    if (!literal)
        for (const at::Tensor& tensor : call.tensors) {
            const bool number = tensor.unsafeGetTensorImpl()->is_wrapped_number() && tensor.is_cpu();
            tracked.push_back(number ? nullptr : &tracker_.track(tensor));
        }
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
            std::size_t position = 0;
            bool is_argument = false;
            for (c10::IValue argument : call.executed)
                for_each_tensor(argument, [&](at::Tensor& executed) {
                    is_argument = is_argument || executed.is_same(tensor);
                    ++position;
                });
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
    tracker_.provenance = provenance ? provenance({}) : Provenance{};
    Node step = node_of(call, call.op.functional->schema(), &before);
    Node node = node_of(call, call.op.functional->schema());
    call.results = call.arguments;
    call.op.handle.callBoxed(&call.results);
    const ValueRef ref = tracker_.emit(std::move(node), {meta_of(call.tensors[0])})[0];
    tracker_.rebind(call.tensors[0], std::move(step), ref);
    return true;
}

/// A call that writes to arguments becomes its functional twin; the arguments then have the new values.
void Recorder::record_write(Call& call) {
    const bool all_literal =
        !specialise_ && !call.op.random && std::ranges::all_of(call.tensors, [&](const at::Tensor& tensor) {
            const Store* store = tracker_.find_store(tensor);
            return store ? store->literal : tensor.unsafeGetTensorImpl()->is_wrapped_number();
        });
    if (all_literal) {
        call.results = call.arguments;
        call.op.handle.callBoxed(&call.results);
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
    std::vector<TensorMeta> metas;
    for (const std::size_t position : call.op.written) {
        TensorMeta meta = meta_of(call.arguments[position].toTensor());
        meta.strides.reset();
        metas.push_back(std::move(meta));
    }
    // Returns of the functional twin that are not the written arguments come first (`_native_batch_norm_legit`): none
    // of the ops that a program calls has any.
    if (call.op.functional->schema().returns().size() != metas.size())
        throw UnsupportedError("cannot extract: " + call.op.name + place() +
                               " returns more than what it writes; use the form that writes nothing");
    const DType wanted = metas[0].dtype;
    const std::optional<DType> computed = functional_dtype(call);
    if (computed) metas[0].dtype = *computed;
    const auto index = static_cast<std::uint32_t>(model_.graph.nodes.size());
    std::vector<ValueRef> refs = tracker_.emit(std::move(node), metas);
    in_place_.insert(index);
    if (call.op.random) random_.insert(index);
    if (computed) {
        metas[0].dtype = wanted;
        Node cast{.op_type = "aten._to_copy.default",
                  .args = {{"self", refs[0]}, {"dtype", wanted}},
                  .provenance = tracker_.provenance};
        refs[0] = tracker_.emit(std::move(cast), {metas[0]})[0];
    }
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

/// Training: the running statistics are written without a mark in the schema.
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
    for (Weight& weight : weights_)
        if (weight.spec.target == key) weight.tracked = &tracker_.track(tensor);
}

Model Recorder::finish() {
    Graph& graph = model_.graph;
    const auto add_input = [&](Argument value, InputSpec spec) {
        graph.inputs.push_back(std::move(value));
        model_.inputs.push_back(std::move(spec));
    };
    const auto add_mutation = [&](Weight& source, OutputKind kind, const std::string& target) {
        const ValueRef now = tracker_.current(*source.tracked);
        if (now == source.ref) return;
        graph.outputs.emplace_back(now);
        model_.outputs.push_back({kind, target});
    };
    tracker_.provenance = {};
    for (Weight& weight : weights_)
        add_mutation(weight,
                     weight.spec.kind == InputKind::Buffer ? OutputKind::BufferMutation : OutputKind::ParameterMutation,
                     weight.spec.target);
    for (Weight& input : inputs_)
        if (input.tracked) add_mutation(input, OutputKind::UserInputMutation, graph.value(input.ref).name);
    for (Argument& output : user_outputs_) {
        graph.outputs.push_back(output);
        model_.outputs.emplace_back();
    }
    for (const Weight& weight : weights_) add_input(weight.ref, weight.spec);
    for (const Tracker::Lifted& constant : tracker_.lifted()) {
        add_input(constant.ref, {InputKind::TensorConstant, constant.target});
        if (constant.tracked->store->root == constant.tracked && constant.tracked->store->version > 0 &&
            !constant.tracked->store->literal && Tracker::is_alive(*constant.tracked->store))
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
