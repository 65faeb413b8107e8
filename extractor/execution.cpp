// SPDX-License-Identifier: MIT
// The part of the recorder that runs calls: on values or on meta tensors; and that answers what a program asks, or
// refuses to.
#include <set>
#include <sstream>

#include "call.hpp"
#include "recorder.hpp"
#include "shapes.hpp"

namespace torch_ir::extractor {
namespace {

at::Tensor number_on_meta(const at::Tensor& number) {
    at::Tensor meta = at::empty({}, number.options().device(c10::kMeta));
    meta.unsafeGetTensorImpl()->set_wrapped_number(true);
    return meta;
}

}  // namespace

std::string message_of(const std::exception& error) {
    std::string text = error.what();
    if (const auto* torch_error = dynamic_cast<const c10::Error*>(&error)) text = torch_error->what_without_backtrace();
    // TorchScript puts its stack in front; the place is told by our own words.
    if (text.find("failed in the TorchScript interpreter") != std::string::npos) {
        text.erase(text.find_last_not_of(" \n") + 1);
        text.erase(0, text.rfind('\n') + 1);
        for (const std::string prefix : {"RuntimeError: ", "cannot extract: "})
            if (text.starts_with(prefix)) text.erase(0, prefix.size());
    }
    return text;
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

std::string Recorder::place() const { return text_of(tracker_.provenance); }

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
        const std::optional<bool> equal = name == "equal" ? equal_without_values(call) : std::nullopt;
        if (!equal) refuse(call, "needs the value");
        call.results = {*equal};
        return true;
    }
    run_op(call, call.op.handle, call.results);
    if (reads && specialise_) {
        std::ostringstream text;
        text << call.results[0];
        note_burned_in(call, text.str());
    }
    return true;
}

std::optional<bool> Recorder::equal_without_values(const Call& call) {
    const at::Tensor &a = call.tensors[0], &b = call.tensors[1];
    if (a.sizes() != b.sizes()) return false;
    if (const Tracked* tracked = tracker_.find(a); tracked && tracked == tracker_.find(b)) return true;
    // It asks whether one product may stand for three; they give the same.
    if (tracker_.provenance.module_type == "torch::nn::MultiheadAttentionImpl") return false;
    return std::nullopt;
}

bool Recorder::has_dynamic_size(const Call& call) {
    const std::string_view name = call.op.aten_name();
    if (is_one_of(name, {"_pack_padded_sequence", "_pad_packed_sequence"})) return true;
    if (name == "linalg_lstsq" || (name == "one_hot" && call.arguments[1].toInt() >= 0)) return false;
    bool masked = false;
    if (name == "index" && call.arguments[1].isList())
        for (const c10::IValue& index : call.arguments[1].toListRef())
            masked = masked ||
                     (index.isTensor() && index.toTensor().defined() &&
                      (index.toTensor().scalar_type() == c10::kBool || index.toTensor().scalar_type() == c10::kByte));
    return (call.op.dynamic_shape && name != "index") || masked;
}

void Recorder::note_burned_in(const Call& call, const std::string& found) {
    if (const std::string depends = depends_of(call); !depends.empty())
        notes.push_back(call.op.name + place() + " gave " + found + ", which depends on " + depends +
                        " and is burned in");
}

/// Runs the call, on values where all are known and on meta tensors otherwise.
void Recorder::execute(Call& call) {
    const std::string_view name = call.op.aten_name();
    call.ran_on_values = specialise_ || (call.known && !call.op.random);
    if (call.tensors.empty() && !specialise_) return execute_factory(call);
    call.executed = call.arguments;
    if (!call.ran_on_values) {
        for (c10::IValue& argument : call.executed) {
            for_each_tensor(argument, [&](at::Tensor& tensor) {
                tensor = is_number(tensor) ? number_on_meta(tensor) : tracker_.on_meta(tracker_.track(tensor), tensor);
            });
            if (argument.isDevice()) argument = c10::Device(c10::kMeta);
        }
    } else if (!specialise_) {
        set_device(call.executed, call.op, c10::kCPU);
        if (call.op.device && !call.arguments[*call.op.device].isDevice()) call.executed[*call.op.device] = {};
    }
    if (!call.ran_on_values && name == "scaled_dot_product_attention") {
        call.results = {attention_shape(call.executed)};
    } else if (!call.ran_on_values && name == "index_put_") {
        // With a mask among the indices the Meta kernel would have to count it.
        call.results = {call.executed[0]};
    } else {
        call.results = call.executed;
        run_op(call, call.op.handle, call.results);
    }
    if (!call.ran_on_values) check_dtypes(call);
    if (call.ran_on_values && !specialise_ && call.op.written.empty() && elements(call.results) > 16 * max_constant) {
        // Too large to be kept: only its shape.
        for (c10::IValue& result : call.results)
            for_each_tensor(result, [&](at::Tensor& tensor) {
                if (!tracker_.find_store(tensor))
                    tensor = at::empty_strided(tensor.sizes(), tensor.strides(), tensor.options().device(c10::kMeta));
            });
        call.ran_on_values = false;
    }
}

void Recorder::run_op(const Call& call, const c10::OperatorHandle& op, torch::jit::Stack& stack) {
    try {
        op.callBoxed(&stack);
    } catch (const NeedsValues&) {
        refuse(call, "needs the values");
    } catch (const c10::Error& error) {
        throw ArgumentError("cannot extract: " + call.op.name + place() + ": " + message_of(error));
    }
}

/// Elementwise ops promote on the meta device as everywhere. Of the others the CPU's kernel is asked, which computes
/// what it takes: masks go with anything, and are not worth that; neither are very large results.
void Recorder::check_dtypes(const Call& call) const {
    constexpr std::int64_t max_results = 1 << 26;
    std::set<std::string_view> dtypes;
    for (const at::Tensor& tensor : call.tensors)
        if (tensor.scalar_type() != c10::kBool && !is_number(tensor))
            dtypes.insert(name(dtype_of(tensor.scalar_type())));
    if (dtypes.size() < 2 || call.op.pointwise || call.op.aten_name().empty() || elements(call.results) > max_results)
        return;
    const std::string error = dtype_error(call.op.handle, call.executed);
    if (error.empty()) return;
    std::string found;
    for (const std::string_view dtype : dtypes) found += (found.empty() ? "" : " and ") + std::string(dtype);
    throw ArgumentError("cannot extract: " + call.op.name + place() + " is given tensors of " + found +
                        ", and PyTorch refuses that: " + error + "; convert them to one dtype with to()");
}

/// What the functional twin of a call that writes returns, on the meta device: its dtypes and strides may differ from
/// those of the tensors written to.
std::vector<at::Tensor> Recorder::functional_results(const Call& call) {
    // With a mask among the indices the Meta kernel would have to count it.
    if (call.op.aten_name() == "index_put_") return {at::empty_like(call.tensors[0], c10::kMeta)};
    torch::jit::Stack stack;
    for (std::size_t i = 0; i < call.arguments.size(); ++i) {
        if (call.op.schema().arguments()[i].is_out()) continue;
        c10::IValue argument = call.arguments[i];
        for_each_tensor(argument, [](at::Tensor& tensor) {
            tensor = is_number(tensor)
                         ? number_on_meta(tensor)
                         : at::empty_strided(tensor.sizes(), tensor.strides(), tensor.options().device(c10::kMeta));
        });
        if (argument.isDevice()) argument = c10::Device(c10::kMeta);
        stack.push_back(std::move(argument));
    }
    run_op(call, *call.op.functional, stack);
    std::vector<at::Tensor> results;
    for (c10::IValue& result : stack) for_each_tensor(result, [&](at::Tensor& tensor) { results.push_back(tensor); });
    return results;
}

/// Calls without tensors make one. Small constants get their values, all else is meta; empty() on the CPU stays there,
/// since its memory may be filled without a call.
void Recorder::execute_factory(Call& call) {
    const auto run_on = [&](c10::DeviceType device) {
        call.executed = call.arguments;
        set_device(call.executed, call.op, device);
        call.results = call.executed;
        run_op(call, call.op.handle, call.results);
    };
    run_on(c10::kMeta);
    const bool is_empty = call.op.aten_name().starts_with("empty");
    const bool asked_for_cpu = call.op.device && !(call.arguments[*call.op.device].isDevice() &&
                                                   call.arguments[*call.op.device].toDevice().is_meta());
    call.ran_on_values = !call.op.random && (elements(call.results) <= max_constant || (is_empty && asked_for_cpu));
    if (!call.ran_on_values) return;
    run_on(c10::kCPU);
    if (is_empty && elements(call.results) <= max_constant)
        call.results[0].toTensor().zero_();  // the same file each time
}

}  // namespace torch_ir::extractor
