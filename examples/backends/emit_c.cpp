// SPDX-License-Identifier: MIT
// A small backend: turns the graph of a case directory into C, compiles that with the system's compiler and runs it.
// It knows float32, sizes that are numbers and the ops in `rules`; exit status 77 says that a case needs more.
#include <dlfcn.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "torch_ir/torch_ir.hpp"

namespace {

namespace fs = std::filesystem;
using torch_ir::Argument;
using torch_ir::Graph;
using torch_ir::Model;
using torch_ir::Node;
using torch_ir::ValueRef;
using Sizes = std::vector<std::int64_t>;
using Index = std::vector<std::string>;  // C expressions, one per dimension

struct Unsupported : std::runtime_error {
    using std::runtime_error::runtime_error;
};

std::string text(std::int64_t number) { return std::to_string(number); }
/// The float nearest to a number, as C text.
std::string text(double number) {
    char buffer[40];
    std::snprintf(buffer, sizeof buffer, "(float)(%.17g)", number);
    return buffer;
}

Sizes sizes_of(const torch_ir::Value& value) {
    Sizes sizes;
    for (const torch_ir::Dim& dim : value.meta.shape) sizes.push_back(dim.value());
    return sizes;
}

std::int64_t count(const Sizes& sizes) {
    std::int64_t product = 1;
    for (const std::int64_t size : sizes) product *= size;
    return product;
}

/// `i0`, `i1`, … for the dimensions of a shape.
Index names(const std::string& prefix, const Sizes& sizes) {
    Index index;
    for (std::size_t d = 0; d < sizes.size(); ++d) index.push_back(prefix + std::to_string(d));
    return index;
}

/// A statement in loops over a shape.
std::string loops(const Sizes& sizes, const Index& index, const std::string& statement) {
    std::string code;
    for (std::size_t d = 0; d < sizes.size(); ++d)
        code += "for (long " + index[d] + " = 0; " + index[d] + " < " + text(sizes[d]) + "; ++" + index[d] + ") ";
    return code + "{ " + statement + " }";
}

Index joined(Index a, const Index& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

/// An argument for height and width; one number stands for both.
Sizes pair(const Argument& argument) {
    Sizes sizes = argument.to_ints();
    if (sizes.size() == 1) sizes.push_back(sizes[0]);
    return sizes;
}

/// A position below 0 counts from the end.
std::size_t position(std::int64_t dim, const Sizes& sizes) {
    return static_cast<std::size_t>(dim < 0 ? dim + static_cast<std::int64_t>(sizes.size()) : dim);
}

/// A node as C. Every value is a dense array `v[id]`.
class Emitter {
  public:
    Emitter(const Graph& graph, const Node& node, std::string fault)
        : graph_(graph), node_(node), fault_(std::move(fault)), out_(node.outputs.at(0).get<ValueRef>()) {
        shape_ = sizes(out_);
        index_ = names("i", shape_);
    }

    std::string unary(const std::string& formula) {  // of x
        return loops(shape_, index_, "float x = " + at(in("self"), index_) + "; " + y() + " = " + formula + ";");
    }

    std::string gelu() {
        // A fault that can be planted: the approximation, whatever the node asks for.
        if (fault_ == "gelu_tanh" || node_.arg("approximate") == Argument(std::string("tanh")))
            return unary("0.5f * x * (1 + tanhf(0.7978845608f * (x + 0.044715f * x * x * x)))");
        return unary("0.5f * x * (1 + erff(x * 0.7071067812f))");
    }

    std::string binary(const std::string& op) {
        std::string other = operand("other");
        if (const Argument* alpha = node_.find("alpha")) other += " * " + text(alpha->to_double());
        return loops(shape_, index_, y() + " = " + operand("self") + " " + op + " " + other + ";");
    }

    /// Same elements in the same order.
    std::string copy() {
        return "for (long i = 0; i < " + text(count(shape_)) + "; ++i) v[" + std::to_string(out_.id) + "][i] = v[" +
               std::to_string(in("self").id) + "][i];";
    }

    std::string permute(const Sizes& dims) {
        Index from(index_.size());
        for (std::size_t d = 0; d < dims.size(); ++d) from[position(dims[d], shape_)] = index_[d];
        return loops(shape_, index_, y() + " = " + at(in("self"), from) + ";");
    }

    std::string transpose() {
        Sizes dims;
        for (std::size_t d = 0; d < shape_.size(); ++d) dims.push_back(static_cast<std::int64_t>(d));
        if (!dims.empty())
            std::swap(dims[position(node_.arg("dim0").to_int(), shape_)],
                      dims[position(node_.arg("dim1").to_int(), shape_)]);
        return permute(dims);
    }

    std::string linear() {
        const Sizes weight = sizes(in("weight"));
        Index row = index_;
        row.back() = "k";
        return loops(shape_, index_,
                     "float sum = " + optional("bias", {index_.back()}, "0") + "; for (long k = 0; k < " +
                         text(weight.at(1)) + "; ++k) sum += " + at(in("input"), row) + " * " +
                         at(in("weight"), {index_.back(), "k"}) + "; " + y() + " = sum;");
    }

    std::string matmul() {
        const Sizes a = sizes(in("self"));
        if (a.size() < 2 || sizes(in("other")).size() < 2) throw Unsupported("matmul of a vector");
        Index row = index_, column = index_;
        row.back() = column[column.size() - 2] = "k";
        return loops(shape_, index_,
                     "float sum = 0; for (long k = 0; k < " + text(a.back()) + "; ++k) sum += " + at(in("self"), row) +
                         " * " + at(in("other"), column) + "; " + y() + " = sum;");
    }

    std::string conv2d() {
        const Sizes x = sizes(in("input")), w = sizes(in("weight"));
        if (x.size() != 4) throw Unsupported("conv2d without a batch dimension");
        return loops(
            shape_, index_,
            "float sum = " + optional("bias", {"i1"}, "0") + ";" +
                loops({w[1], w[2], w[3]}, {"c", "p", "q"},
                      window(x, "p", "q") + "sum += " +
                          at(in("input"),
                             {"i0", "i1 / " + text(w[0] / node_.arg("groups").to_int()) + " * " + text(w[1]) + " + c",
                              "h", "w"}) +
                          " * " + at(in("weight"), {"i1", "c", "p", "q"}) + ";") +
                y() + " = sum;");
    }

    std::string max_pool2d() {
        const Sizes x = sizes(in("self"));
        if (x.size() != 4) throw Unsupported("max_pool2d without a batch dimension");
        return loops(shape_, index_,
                     "float most = -INFINITY;" +
                         loops(pair(node_.arg("kernel_size")), {"p", "q"},
                               window(x, "p", "q") + "float x = " + at(in("self"), {"i0", "i1", "h", "w"}) +
                                   "; if (x > most || isnan(x)) most = x;") +
                         y() + " = most;");
    }

    std::string batch_norm() {
        if (node_.arg("training") == Argument(true)) throw Unsupported("batch_norm with statistics of the batch");
        return loops(shape_, index_,
                     y() + " = (" + at(in("input"), index_) + " - " + at(in("running_mean"), {"i1"}) + ") / sqrtf(" +
                         at(in("running_var"), {"i1"}) + " + " + eps() + ") * " + optional("weight", {"i1"}, "1") +
                         " + " + optional("bias", {"i1"}, "0") + ";");
    }

    std::string layer_norm() {
        const auto last = static_cast<std::ptrdiff_t>(node_.arg("normalized_shape").to_ints().size());
        const Sizes rows(shape_.begin(), shape_.end() - last), inside(shape_.end() - last, shape_.end());
        const Index row = names("i", rows), k = names("k", inside);
        const std::string x = at(in("input"), joined(row, k)), n = text(count(inside));
        return loops(rows, row,
                     "float mean = 0, var = 0;" + loops(inside, k, "mean += " + x + ";") + " mean /= " + n + ";" +
                         loops(inside, k, "var += (" + x + " - mean) * (" + x + " - mean);") + " var /= " + n + ";" +
                         loops(inside, k,
                               at(out_, joined(row, k)) + " = (" + x + " - mean) / sqrtf(var + " + eps() + ") * " +
                                   optional("weight", k, "1") + " + " + optional("bias", k, "0") + ";"));
    }

    std::string softmax(bool log) {
        if (node_.arg("dtype").kind() != "None") throw Unsupported("softmax with another dtype");
        if (shape_.empty()) throw Unsupported("softmax of a single number");
        const std::size_t dim = position(node_.arg("dim").to_int(), shape_);
        Sizes rows = shape_;
        rows.at(dim) = 1;
        Index index = index_;
        index[dim] = "k";
        const std::string x = at(in("self"), index), result = at(out_, index);
        const std::string along = "for (long k = 0; k < " + text(shape_[dim]) + "; ++k) ";
        return loops(rows, index_,
                     "float most = -INFINITY, sum = 0; " + along + "most = fmaxf(most, " + x + "); " + along +
                         "sum += expf(" + x + " - most); " + along + result + " = " +
                         (log ? x + " - most - logf(sum);" : "expf(" + x + " - most) / sum;"));
    }

    Sizes dims() const { return node_.arg("dims").to_ints(); }

  private:
    Sizes sizes(ValueRef ref) const { return sizes_of(graph_.value(ref)); }

    ValueRef in(const char* argument) const { return node_.arg(argument).get<ValueRef>(); }

    /// An element of a value. A dimension of size 1 is repeated, and an index may have more dimensions in front.
    std::string at(ValueRef ref, const Index& index) const {
        const Sizes shape = sizes(ref);
        std::string offset = "0";
        for (std::size_t d = 0; d < shape.size(); ++d)
            if (shape[d] != 1)
                offset = "(" + offset + ") * " + text(shape[d]) + " + " + index[index.size() - shape.size() + d];
        return "v[" + std::to_string(ref.id) + "][" + offset + "]";
    }

    std::string y() const { return at(out_, index_); }

    /// An element of a tensor that may be None.
    std::string optional(const char* argument, const Index& index, const char* otherwise) const {
        const Argument value = node_.arg(argument);
        const auto* ref = value.get_if<ValueRef>();
        return ref ? at(*ref, index) : otherwise;
    }

    /// A tensor or a number.
    std::string operand(const char* argument) const {
        const Argument value = node_.arg(argument);
        const auto* ref = value.get_if<ValueRef>();
        return ref ? at(*ref, index_) : text(value.to_double());
    }

    /// A fault that can be planted: always the same eps.
    std::string eps() const { return text(fault_ == "eps" ? 1e-3 : node_.arg("eps").to_double()); }

    /// Declares `h` and `w`, the element of the image under an element of the window, and skips what is outside.
    std::string window(const Sizes& image, const std::string& p, const std::string& q) const {
        const Argument strides = node_.arg("stride");  // an empty list: that of the window
        const Sizes stride = pair(strides.to_ints().empty() ? node_.arg("kernel_size") : strides);
        const Sizes padding = pair(node_.arg("padding")), dilation = pair(node_.arg("dilation"));
        const auto along = [&](const char* name, const char* i, const std::string& k, std::size_t d) {
            return std::string("long ") + name + " = " + i + " * " + text(stride[d]) + " + " + k + " * " +
                   text(dilation[d]) + " - " + text(padding[d]) + "; if (" + name + " < 0 || " + name +
                   " >= " + text(image[2 + d]) + ") continue; ";
        };
        return along("h", "i2", p, 0) + along("w", "i3", q, 1);
    }

    const Graph& graph_;
    const Node& node_;
    std::string fault_;
    ValueRef out_;
    Sizes shape_;
    Index index_;
};

using Rule = std::function<std::string(Emitter&)>;
const std::map<std::string, Rule> rules{
    {"aten.relu.default", [](Emitter& e) { return e.unary("x < 0 ? 0 : x"); }},
    {"aten.tanh.default", [](Emitter& e) { return e.unary("tanhf(x)"); }},
    {"aten.gelu.default", [](Emitter& e) { return e.gelu(); }},
    {"aten.add.Tensor", [](Emitter& e) { return e.binary("+"); }},
    {"aten.mul.Tensor", [](Emitter& e) { return e.binary("*"); }},
    {"aten.div.Tensor", [](Emitter& e) { return e.binary("/"); }},
    {"aten.view.default", [](Emitter& e) { return e.copy(); }},
    {"aten.reshape.default", [](Emitter& e) { return e.copy(); }},
    {"aten.flatten.using_ints", [](Emitter& e) { return e.copy(); }},
    {"aten.contiguous.default", [](Emitter& e) { return e.copy(); }},
    {"aten.transpose.int", [](Emitter& e) { return e.transpose(); }},
    {"aten.permute.default", [](Emitter& e) { return e.permute(e.dims()); }},
    {"aten.linear.default", [](Emitter& e) { return e.linear(); }},
    {"aten.matmul.default", [](Emitter& e) { return e.matmul(); }},
    {"aten.conv2d.default", [](Emitter& e) { return e.conv2d(); }},
    {"aten.max_pool2d.default", [](Emitter& e) { return e.max_pool2d(); }},
    {"aten.batch_norm.default", [](Emitter& e) { return e.batch_norm(); }},
    {"aten.layer_norm.default", [](Emitter& e) { return e.layer_norm(); }},
    {"aten.softmax.int", [](Emitter& e) { return e.softmax(false); }},
    {"aten.log_softmax.int", [](Emitter& e) { return e.softmax(true); }},
};

/// Which values nodes read or compute, and the outputs: a model may have others, such as a batch norm's counter.
std::vector<bool> used_values(const Model& model) {
    std::vector<bool> used(model.graph.values.size());
    for (const Node& node : model.graph.nodes)
        for (const auto& refs : {node.input_values(), node.output_values()})
            for (const ValueRef ref : refs) used[ref.id] = true;
    for (const Argument& output : model.graph.outputs)
        if (const auto* ref = output.get_if<ValueRef>()) used[ref->id] = true;
    return used;
}

void check_supported(const Model& model, const std::vector<bool>& used) {
    for (std::size_t i = 0; i < used.size(); ++i) {
        const torch_ir::Value& value = model.graph.values[i];
        if (!used[i]) continue;
        if (value.kind != torch_ir::ValueKind::Tensor || value.meta.dtype != torch_ir::DType::Float32)
            throw Unsupported("'" + value.name + "' is not a float32 tensor");
        for (const torch_ir::Dim& dim : value.meta.shape)
            if (!dim.is_static()) throw Unsupported("'" + value.name + "' has the size " + torch_ir::to_string(dim));
    }
    for (const Node& node : model.graph.nodes)
        if (!rules.contains(node.op_type)) throw Unsupported("no rule for " + node.op_type);
    for (const torch_ir::OutputSpec& output : model.outputs)
        if (!torch_ir::is_user_output(output.kind)) throw Unsupported("it changes '" + output.target + "'");
}

std::string emit(const Model& model, const std::string& fault) {
    std::string code = "#include <math.h>\nvoid run(float** v) {\n";
    for (const Node& node : model.graph.nodes) {
        Emitter emitter(model.graph, node, fault);
        code += "    " + rules.at(node.op_type)(emitter) + "\n";
    }
    return code + "}\n";
}

/// Compiles C to a shared library in a directory and calls its function `run`.
void compile_and_run(const std::string& code, const fs::path& directory, std::vector<float*>& values) {
    torch_ir::write_file(directory / "model.c", code);
    setenv("EMIT_C_DIR", directory.c_str(), 1);
    if (std::system("${CC:-cc} -O1 -shared -fPIC -o \"$EMIT_C_DIR/model.so\" \"$EMIT_C_DIR/model.c\" -lm") != 0)
        throw std::runtime_error("the C compiler failed");
    void* library = dlopen((directory / "model.so").c_str(), RTLD_NOW);
    if (!library) throw std::runtime_error(dlerror());
    reinterpret_cast<void (*)(float**)>(dlsym(library, "run"))(values.data());
    dlclose(library);
}

using Buffer = std::vector<std::byte>;

/// The weights and inputs of a case; what nodes compute gets room, and values that are not used get none.
std::vector<Buffer> load_values(const fs::path& directory, const fs::path& model_file, const Model& model,
                                const std::vector<bool>& used) {
    torch_ir::Weights weights, inputs;
    if (fs::exists(directory / "weights.safetensors"))
        weights = torch_ir::open_weights(directory / "weights.safetensors");
    else if (model_file.extension() == ".pt2")
        weights = torch_ir::open_weights(model_file);
    if (fs::exists(directory / "inputs.safetensors")) inputs = torch_ir::open_weights(directory / "inputs.safetensors");
    std::vector<Buffer> values(used.size());
    for (std::size_t i = 0; i < used.size(); ++i)
        if (used[i]) values[i].resize(static_cast<std::size_t>(count(sizes_of(model.graph.values[i]))) * sizeof(float));
    int user_inputs = 0;
    for (std::size_t i = 0; i < model.inputs.size(); ++i) {
        const auto* ref = model.graph.inputs[i].get_if<ValueRef>();
        const bool is_weight = torch_ir::is_weight(model.inputs[i].kind);
        const std::string by_position = "input_" + std::to_string(is_weight ? 0 : user_inputs++);
        if (!ref || !used[ref->id]) continue;
        const std::string name = is_weight ? model.inputs[i].target : model.graph.value(*ref).name;
        if (const auto constant = model.constants.find(name); is_weight && constant != model.constants.end()) {
            values[ref->id] = constant->second.data;
            continue;
        }
        const torch_ir::TensorView* view = is_weight ? weights.find(name) : inputs.find(name);
        if (!view && !is_weight) view = inputs.find(by_position);
        if (!view) throw std::runtime_error("no values for '" + name + "'");
        Buffer bytes = view->to_bytes();
        if (view->dtype != torch_ir::DType::Float32 || bytes.size() != values[ref->id].size())
            throw std::runtime_error("'" + name + "' is not what the graph says");
        values[ref->id] = std::move(bytes);
    }
    return values;
}

/// Values of the graph by name, and the outputs as output_0, output_1, ….
void save(const fs::path& file, const Model& model, const std::vector<Buffer>& values, bool intermediates) {
    torch_ir::NamedSafetensors tensors;
    const auto add = [&](const std::string& name, ValueRef ref) {
        tensors.push_back({name, {torch_ir::DType::Float32, sizes_of(model.graph.value(ref)), values[ref.id]}});
    };
    if (intermediates) {
        for (const Node& node : model.graph.nodes) add(node.name, node.outputs[0].get<ValueRef>());
    } else {
        for (std::size_t i = 0; i < model.graph.outputs.size(); ++i)
            if (const auto* ref = model.graph.outputs[i].get_if<ValueRef>()) add("output_" + std::to_string(i), *ref);
    }
    torch_ir::write_safetensors(file, std::move(tensors));
}

void run_case(const fs::path& directory, const fs::path& out, const std::string& fault, const fs::path& dump) {
    const fs::path file = directory / (fs::exists(directory / "model.pt2") ? "model.pt2" : "ir.json");
    const Model model = file.extension() == ".pt2" ? torch_ir::read_pt2(file) : torch_ir::read_json(file);
    const std::vector<bool> used = used_values(model);
    check_supported(model, used);
    const std::string code = emit(model, fault);
    std::vector<Buffer> values = load_values(directory, file, model, used);
    std::vector<float*> pointers;
    for (Buffer& value : values) pointers.push_back(reinterpret_cast<float*>(value.data()));
    std::string scratch = (fs::temp_directory_path() / "emit_c.XXXXXX").string();
    if (!mkdtemp(scratch.data())) throw std::runtime_error(scratch + ": cannot be made");
    try {
        compile_and_run(code, scratch, pointers);
    } catch (...) {
        fs::remove_all(scratch);
        throw;
    }
    fs::remove_all(scratch);
    save(out, model, values, false);
    if (!dump.empty()) save(dump, model, values, true);
}

}  // namespace

int main(int argc, char** argv) try {
    std::string fault, dump;
    for (int i = 3; i + 1 < argc; i += 2) {
        const std::string option = argv[i];
        if (option == "--dump") dump = argv[i + 1];
        if (option == "--fault") fault = argv[i + 1];
    }
    if (argc < 3 || argc % 2 == 0) return std::puts("usage: emit_c CASE OUT [--dump FILE] [--fault gelu_tanh|eps]"), 2;
    run_case(argv[1], argv[2], fault, dump);
    return 0;
} catch (const Unsupported& reason) {
    std::fprintf(stderr, "not supported: %s\n", reason.what());
    return 77;
} catch (const std::exception& error) {
    std::fprintf(stderr, "emit_c: %s\n", error.what());
    return 1;
}
