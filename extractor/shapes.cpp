// SPDX-License-Identifier: MIT
#include "shapes.hpp"

#include <ATen/core/dispatch/Dispatcher.h>
#include <sys/mman.h>
#include <torch/library.h>

#include <map>
#include <mutex>
#include <sstream>

#include "convert.hpp"

namespace torch_ir::extractor {
namespace {

/// Bytes from the first element to the end of the last.
std::size_t extent(const at::Tensor& tensor) {
    std::int64_t last = 0;
    for (std::int64_t i = 0; i < tensor.dim(); ++i) {
        if (tensor.size(i) == 0) return 0;
        last += (tensor.size(i) - 1) * tensor.stride(i);
    }
    return static_cast<std::size_t>(last + 1) * tensor.element_size();
}

/// A CPU tensor of the same geometry; pages that are only read cost no memory.
at::Tensor on_cpu(const at::Tensor& tensor, bool ones) {
    // A result that the kernel will make as large as it needs.
    if (tensor.numel() == 0)
        return at::empty_strided(tensor.sizes(), tensor.strides(), at::TensorOptions(tensor.scalar_type()));
    const std::size_t bytes = extent(tensor);
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    at::Tensor result = at::from_blob(
        memory, tensor.sizes(), tensor.strides(), [bytes](void* p) { munmap(p, bytes); },
        at::TensorOptions(tensor.scalar_type()));
    if (ones) result.fill_(1);
    return result;
}

/// What a kernel returned last time for arguments of the same sizes.
struct Remembered {
    std::vector<std::int64_t> sizes, strides;
    c10::ScalarType dtype = c10::kFloat;
    bool defined = false;
};

class ShapeMemory {
  public:
    std::optional<std::vector<Remembered>> find(const std::string& call) {
        const std::scoped_lock lock(mutex_);
        const auto found = results_.find(call);
        return found == results_.end() ? std::nullopt : std::optional(found->second);
    }
    void insert(std::string call, std::vector<Remembered> results) {
        const std::scoped_lock lock(mutex_);
        if (results_.size() > 100000) results_.clear();
        results_.emplace(std::move(call), std::move(results));
    }

  private:
    std::mutex mutex_;
    std::map<std::string, std::vector<Remembered>> results_;
};

ShapeMemory& shape_memory() {
    static auto& memory = *new ShapeMemory;
    return memory;
}

/// A number that stands where a tensor is asked for: it does not take part in the choice of a dtype.
bool is_wrapped(const at::Tensor& tensor) { return tensor.unsafeGetTensorImpl()->is_wrapped_number(); }

/// The call up to the values of its tensors.
std::string text_of(const c10::OperatorHandle& op, const torch::jit::Stack& arguments) {
    std::ostringstream text;
    text << op.schema().name() << '.' << op.schema().overload_name();
    for (c10::IValue argument : arguments) {
        bool has_tensor = false;
        for_each_tensor(argument, [&](at::Tensor& tensor) {
            has_tensor = true;
            text << (is_wrapped(tensor) ? " number " : " ") << c10::toString(tensor.scalar_type()) << tensor.sizes()
                 << tensor.strides();
        });
        if (!has_tensor) text << ' ' << argument;
        text << ';';
    }
    return text.str();
}

at::Tensor meta_like(const at::Tensor& tensor) {
    return at::empty_strided(tensor.sizes(), tensor.strides(),
                             at::TensorOptions(tensor.scalar_type()).device(c10::kMeta));
}

/// Keeps PyTorch's default generator as it is: what is drawn meanwhile is none of the program's numbers.
class GeneratorGuard {
  public:
    GeneratorGuard() : generator_(at::globalContext().defaultGenerator(c10::kCPU)) {
        const std::scoped_lock lock(generator_.mutex());
        state_ = generator_.get_state();
    }
    GeneratorGuard(const GeneratorGuard&) = delete;
    GeneratorGuard& operator=(const GeneratorGuard&) = delete;
    ~GeneratorGuard() {
        const std::scoped_lock lock(generator_.mutex());
        generator_.set_state(state_);
    }

  private:
    at::Generator generator_;
    at::Tensor state_;
};

/// Runs the CPU kernel; `stack` gets its results, `pairs` which CPU tensor stands for which of the arguments.
void run_on_cpu(const c10::OperatorHandle& op, const torch::jit::Stack& arguments, bool ones, torch::jit::Stack& stack,
                std::vector<std::pair<at::Tensor, at::Tensor>>& pairs) {
    std::optional<GeneratorGuard> guard;
    if (op.hasTag(at::Tag::nondeterministic_seeded)) guard.emplace();
    stack.clear();
    pairs.clear();
    for (c10::IValue argument : arguments) {
        for_each_tensor(argument, [&](at::Tensor& tensor) {
            if (!tensor.is_meta()) return;
            at::Tensor twin = on_cpu(tensor, ones);
            if (is_wrapped(tensor)) twin.unsafeGetTensorImpl()->set_wrapped_number(true);
            pairs.emplace_back(twin, tensor);
            tensor = twin;
        });
        if (argument.isDevice()) argument = c10::Device(c10::kCPU);
        if (argument.isGenerator()) argument = {};
        stack.push_back(std::move(argument));
    }
    op.callBoxed(&stack);
}

void shape_by_cpu(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
    const c10::FunctionSchema& schema = op.schema();
    const std::string& name = schema.name();
    const torch::jit::Stack arguments(stack->end() - static_cast<std::ptrdiff_t>(schema.arguments().size()),
                                      stack->end());
    stack->erase(stack->end() - static_cast<std::ptrdiff_t>(schema.arguments().size()), stack->end());
    // With their usual arguments the first two have one shape, as has what ctc_loss returns of the third.
    const bool fixed_shape = name == "aten::linalg_lstsq" || name == "aten::one_hot" || name == "aten::_ctc_loss";
    if ((op.hasTag(at::Tag::dynamic_output_shape) && !fixed_shape) || op.hasTag(at::Tag::data_dependent_output))
        throw NeedsValues(name);
    const bool pure = !schema.is_mutable();
    const std::string call = pure ? text_of(op, arguments) : std::string();
    if (pure) {
        if (const auto known = shape_memory().find(call)) {
            for (const Remembered& result : *known)
                stack->emplace_back(result.defined
                                        ? at::empty_strided(result.sizes, result.strides,
                                                            at::TensorOptions(result.dtype).device(c10::kMeta))
                                        : at::Tensor());
            return;
        }
    }
    torch::jit::Stack results;
    std::vector<std::pair<at::Tensor, at::Tensor>> pairs;
    try {
        run_on_cpu(op, arguments, false, results, pairs);
    } catch (const c10::Error&) {
        // Some kernels look at the values: probabilities of zero, lengths of zero.
        std::size_t bytes = 0;
        for (const auto& [twin, meta] : pairs) bytes += twin.nbytes();
        if (bytes > (std::size_t{64} << 20)) throw;
        run_on_cpu(op, arguments, true, results, pairs);
    }
    std::vector<Remembered> remembered;
    for (c10::IValue& result : results) {
        for_each_tensor(result, [&](at::Tensor& tensor) {
            if (tensor.layout() != c10::kStrided)
                throw UnsupportedError("cannot extract: " + name + " returns a tensor that is not strided");
        });
        if (pure && result.isTensor()) {
            const at::Tensor tensor = result.toTensor();
            remembered.push_back(
                tensor.defined() ? Remembered{tensor.sizes().vec(), tensor.strides().vec(), tensor.scalar_type(), true}
                                 : Remembered{});
        }
        for_each_tensor(result, [&](at::Tensor& tensor) {
            for (const auto& [twin, meta] : pairs) {
                if (!tensor.is_same(twin)) continue;
                if (meta.sizes() != twin.sizes()) {
                    meta.resize_(twin.sizes());
                    meta.unsafeGetTensorImpl()->set_sizes_and_strides(twin.sizes(), twin.strides());
                }
                tensor = meta;
                return;
            }
            if (!tensor.is_meta()) tensor = meta_like(tensor);
        });
        stack->push_back(std::move(result));
    }
    if (pure && remembered.size() == results.size()) shape_memory().insert(call, std::move(remembered));
}

/// convolution_overrideable: the usual formula; the CPU's would compute.
void convolution_shape(const c10::OperatorHandle&, torch::jit::Stack* stack) {
    const torch::jit::Stack a(stack->end() - 9, stack->end());
    stack->erase(stack->end() - 9, stack->end());
    const at::Tensor& input = a[0].toTensor();
    const at::Tensor& weight = a[1].toTensor();
    const auto stride = a[3].toIntVector(), padding = a[4].toIntVector(), dilation = a[5].toIntVector(),
               output_padding = a[7].toIntVector();
    const bool transposed = a[6].toBool();
    const std::int64_t groups = a[8].toInt();
    std::vector<std::int64_t> sizes{input.size(0), transposed ? weight.size(1) * groups : weight.size(0)};
    for (std::int64_t i = 0; i + 2 < input.dim(); ++i) {
        const auto at = [&](const std::vector<std::int64_t>& values) {
            return values[values.size() == 1 ? 0 : static_cast<std::size_t>(i)];
        };
        const std::int64_t kernel = at(dilation) * (weight.size(i + 2) - 1) + 1;
        sizes.push_back(transposed
                            ? (input.size(i + 2) - 1) * at(stride) - 2 * at(padding) + kernel + at(output_padding)
                            : (input.size(i + 2) + 2 * at(padding) - kernel) / at(stride) + 1);
    }
    c10::MemoryFormat format = input.suggest_memory_format();
    if (format == c10::MemoryFormat::Contiguous) format = weight.suggest_memory_format();
    stack->emplace_back(at::empty(sizes, input.options().memory_format(format)));
}

void where_shape(const c10::OperatorHandle&, torch::jit::Stack* stack) {
    const torch::jit::Stack a(stack->end() - 3, stack->end());
    stack->erase(stack->end() - 3, stack->end());
    // add has the broadcasting, the promotion and the strides of where, and a Meta kernel.
    const at::Tensor x = a[1].toTensor(), y = a[2].toTensor();
    const c10::ScalarType dtype = at::result_type(x, y);
    stack->emplace_back(at::add(at::add(x.to(dtype), y.to(dtype)), a[0].toTensor().to(dtype)));
}

bool lacks_meta(const c10::OperatorHandle& op) {
    using Key = c10::DispatchKey;
    return op.hasKernelForDispatchKey(Key::CPU) && !op.hasKernelForDispatchKey(Key::Meta) &&
           !op.hasKernelForDispatchKey(Key::CompositeImplicitAutograd) &&
           !op.hasKernelForDispatchKey(Key::CompositeExplicitAutograd) &&
           !op.hasKernelForDispatchKey(Key::CompositeExplicitAutogradNonFunctional);
}

}  // namespace

void install_shapes() {
    static auto& library = *[] {
        auto* lib = new torch::Library(torch::Library::IMPL, "aten", c10::DispatchKey::Meta, __FILE__, __LINE__);
        c10::Dispatcher& dispatcher = c10::Dispatcher::singleton();
        for (const c10::OperatorName& name : dispatcher.getAllOpNames()) {
            const auto op = dispatcher.findSchema(name);
            if (!op || !name.name.starts_with("aten::") || !lacks_meta(*op)) continue;
            const std::string local =
                name.name.substr(6) + (name.overload_name.empty() ? "" : "." + name.overload_name);
            if (local == "where.self")
                lib->impl(local.c_str(), torch::CppFunction::makeFromBoxedFunction<&where_shape>());
            else
                lib->impl(local.c_str(), torch::CppFunction::makeFromBoxedFunction<&shape_by_cpu>());
        }
        lib->impl("convolution_overrideable", torch::CppFunction::makeFromBoxedFunction<&convolution_shape>());
        return lib;
    }();
    (void)library;
}

std::string dtype_error(const c10::OperatorHandle& op, const torch::jit::Stack& arguments) {
    static std::mutex mutex;
    static auto& known = *new std::map<std::string, std::string>;
    const std::string call = text_of(op, arguments);
    const std::scoped_lock lock(mutex);
    const auto [entry, is_new] = known.try_emplace(call);
    if (!is_new) return entry->second;
    try {
        torch::jit::Stack results;
        std::vector<std::pair<at::Tensor, at::Tensor>> pairs;
        run_on_cpu(op, arguments, false, results, pairs);
    } catch (const c10::NotImplementedError&) {
        // Another device may have it.
    } catch (const c10::Error& error) {
        // Complaints about anything else may be due to the values, which are zeros here.
        const std::string words = error.what_without_backtrace();
        if (words.find("type") != std::string::npos) entry->second = words;
    } catch (const std::bad_alloc&) {
        // More than this machine can hold.
    }
    return entry->second;
}

at::Tensor attention_shape(const torch::jit::Stack& arguments) {
    const at::Tensor& query = arguments[0].toTensor();
    const at::Tensor& key = arguments[1].toTensor();
    const at::Tensor& value = arguments[2].toTensor();
    // The fused kernel's result lies in memory as the query does.
    const bool fused = query.dim() == 4 && query.size(-1) == key.size(-1) && query.size(-1) == value.size(-1) &&
                       query.stride(-1) == 1 && key.stride(-1) == 1 && value.stride(-1) == 1 &&
                       arguments[4].toDouble() == 0 && query.numel() > 0 && key.size(2) > 0;
    if (fused) return at::empty_like(query);
    std::vector<std::int64_t> sizes = query.sizes().vec();
    sizes.back() = value.size(-1);
    return at::empty(sizes, query.options());
}

}  // namespace torch_ir::extractor
