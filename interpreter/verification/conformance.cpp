// SPDX-License-Identifier: MIT
#include "verification/conformance.hpp"

#include <algorithm>
#include <regex>
#include <set>

#include "registry.hpp"
#include "torch_ir/safetensors.hpp"
#include "verification/backend.hpp"

namespace torch_ir {

namespace fs = std::filesystem;

namespace {

Shape to_shape(const Ints& ints) { return {ints.begin(), ints.end()}; }

TensorMeta meta_of(const Tensor& tensor) {
    TensorMeta meta{tensor.dtype(), to_shape(tensor.shape()), {}};
    if (!tensor.is_contiguous()) meta.strides = to_shape(tensor.strides());
    return meta;
}

void check_storable(const Tensor& tensor) {
    if (!safetensors_has(tensor.dtype()))
        throw UnsupportedError("safetensors cannot hold " + std::string(name(tensor.dtype())));
}

Argument scalar_argument(const Scalar& value) {
    switch (value.kind()) {
        case Scalar::Kind::Bool:
            return value.to<bool>();
        case Scalar::Kind::Int:
            return value.to<std::int64_t>();
        case Scalar::Kind::Float:
            return value.to<double>();
        case Scalar::Kind::Complex:
            break;
    }
    return value.to<std::complex<double>>();
}

template <class List>
ArgumentList argument_list(const List& list) {
    ArgumentList arguments;
    for (const auto& element : list) {
        if constexpr (std::is_same_v<std::decay_t<decltype(element)>, Scalar>)
            arguments.push_back(scalar_argument(element));
        else if constexpr (std::is_same_v<List, Bools>)
            arguments.emplace_back(bool{element});
        else
            arguments.emplace_back(element);
    }
    return arguments;
}

bool depends_on_strides(std::string_view op_type) {
    return op_type.starts_with("aten.is_contiguous.") || op_type.starts_with("aten.as_strided");
}

/// Builds the one-node model of a call.
class CallBuilder {
  public:
    explicit CallBuilder(const OpCase& op_case) : op_case_(op_case) {
        Model& model = result_.files.model;
        model.name = op_case.name;
        node_.op_type = op_case.op_type;
        node_.name = base_name(op_case.op_type);
    }

    OpCaseFiles build() {
        const Op* op = builtin_registry().find(op_case_.op_type);
        const Schema* schema = op ? &op->schema : find_schema(op_case_.op_type);
        if (!schema) throw UnsupportedError("op " + op_case_.op_type + " has no schema");
        std::vector<std::string> names;
        for (const SchemaParameter& parameter : schema->parameters)
            if (op_case_.args.contains(parameter.name)) names.push_back(parameter.name);
        for (const std::string& name : names) node_.args.push_back({name, argument(name, op_case_.args.at(name))});
        for (std::size_t i = 0; i < op_case_.outputs.size(); ++i)
            node_.outputs.push_back(result(op_case_.outputs[i], i, schema->returns_list()));
        Model& model = result_.files.model;
        model.graph.nodes.push_back(std::move(node_));
        for (const Argument& output : model.graph.nodes[0].outputs) add_outputs(output);
        for (const auto& [name, expected] : op_case_.mutated) add_mutated(name, expected);
        if (model.graph.outputs.empty()) throw UnsupportedError("the call returns nothing that could be compared");
        result_.files.name = op_case_.name;
        result_.files.categories = {op_case_.op_type};
        return std::move(result_);
    }

  private:
    Graph& graph() { return result_.files.model.graph; }

    ValueRef add_value(std::string name, ValueKind kind, TensorMeta meta) {
        Value value;
        value.name = std::move(name);
        value.kind = kind;
        value.meta = std::move(meta);
        graph().values.push_back(std::move(value));
        return {static_cast<std::uint32_t>(graph().values.size() - 1)};
    }

    ValueRef tensor_input(const std::string& name, const Tensor& tensor) {
        check_storable(tensor);
        if (!tensor.is_contiguous() && depends_on_strides(node_.op_type))
            throw UnsupportedError("the result depends on strides, which safetensors does not keep");
        const ValueRef ref = add_value(name, ValueKind::Tensor, meta_of(tensor));
        graph().inputs.emplace_back(ref);
        result_.files.model.inputs.push_back({});
        result_.files.inputs.emplace_back(name, tensor);
        return ref;
    }

    Argument argument(const std::string& name, const IValue& value) {
        const std::string input = name == node_.name ? name + "_arg" : name;
        return std::visit(
            [&]<class T>(const T& held) -> Argument {
                if constexpr (std::is_same_v<T, Tensor>) {
                    if (!held.defined()) return None{};
                    return inputs_[name] = tensor_input(input, held);
                } else if constexpr (std::is_same_v<T, TensorList>) {
                    ArgumentList list;
                    for (std::size_t i = 0; i < held.size(); ++i)
                        list.push_back(held[i].defined()
                                           ? Argument(tensor_input(input + "_" + std::to_string(i), held[i]))
                                           : Argument(None{}));
                    return list;
                } else if constexpr (std::is_same_v<T, Ints> || std::is_same_v<T, Doubles> ||
                                     std::is_same_v<T, Bools> || std::is_same_v<T, ScalarList>) {
                    return argument_list(held);
                } else if constexpr (std::is_same_v<T, std::shared_ptr<const Plan>>) {
                    throw UnsupportedError("a graph as argument '" + name + "'");
                } else {
                    return Argument(held);
                }
            },
            value);
    }

    void expect(const Tensor& tensor, bool only_meta) {
        check_storable(tensor);
        expected_.emplace_back(tensor);
        only_meta_.push_back(only_meta);
    }

    ValueRef new_result(const Tensor& tensor, ValueKind kind, bool only_meta, std::size_t position, bool only_one) {
        const ValueRef ref = add_value(only_one ? node_.name + "_out" : node_.name + "_out_" + std::to_string(position),
                                       kind, kind == ValueKind::Tensor ? meta_of(tensor) : TensorMeta{});
        graph().value(ref).producer = 0;
        graph().value(ref).producer_output_idx = next_output_++;
        expect(tensor, only_meta);
        return ref;
    }

    Argument result(const ExpectedValue& expected, std::size_t position, bool is_list) {
        if (std::holds_alternative<None>(expected.value)) return None{};
        const bool only_one = op_case_.outputs.size() == 1;
        if (const auto* list = std::get_if<TensorList>(&expected.value); list && is_list) {
            ArgumentList refs;
            for (std::size_t i = 0; i < list->size(); ++i)
                refs.emplace_back(
                    new_result((*list)[i], ValueKind::Tensor, expected.only_meta, i, only_one && list->size() == 1));
            return refs;
        }
        if (const auto* tensor = std::get_if<Tensor>(&expected.value))
            return tensor->defined()
                       ? Argument(new_result(*tensor, ValueKind::Tensor, expected.only_meta, position, only_one))
                       : Argument(None{});
        const Tensor number = value_tensor(expected.value);
        if (!number.defined()) throw UnsupportedError("a result that is neither tensor nor number");
        const ValueKind kind = number.dtype() == DType::Bool      ? ValueKind::SymBool
                               : number.dtype() == DType::Float64 ? ValueKind::SymFloat
                                                                  : ValueKind::SymInt;
        return new_result(number, kind, expected.only_meta, position, only_one);
    }

    void add_output(ValueRef ref) {
        graph().outputs.emplace_back(ref);
        result_.files.model.outputs.push_back({});
        if (!expected_[used_].defined()) throw UnsupportedError("an undefined tensor in a list");
        result_.files.expected.emplace_back("output_" + std::to_string(used_), expected_[used_]);
        result_.only_meta.push_back(only_meta_[used_++]);
    }

    void add_outputs(const Argument& output) {
        for_each_value(output, [&](ValueRef ref) { add_output(ref); });
    }

    void add_mutated(const std::string& name, const ExpectedValue& expected) {
        const auto input = inputs_.find(name);
        const auto* tensor = std::get_if<Tensor>(&expected.value);
        if (input == inputs_.end() || !tensor || !tensor->defined())
            throw UnsupportedError("argument '" + name + "' is changed and is no single tensor");
        expect(*tensor, expected.only_meta);
        add_output(input->second);
    }

    const OpCase& op_case_;
    OpCaseFiles result_;
    Node node_;
    std::map<std::string, ValueRef> inputs_;
    std::vector<Tensor> expected_;  // in order of the outputs
    std::vector<bool> only_meta_;
    std::uint32_t next_output_ = 0;
    std::size_t used_ = 0;
};

std::string first_dtype(const OpCase& op_case) {
    const auto of = [](const IValue& value) -> std::string {
        if (const auto* tensor = std::get_if<Tensor>(&value); tensor && tensor->defined())
            return std::string(name(tensor->dtype()));
        if (const auto* list = std::get_if<TensorList>(&value))
            for (const Tensor& tensor : *list)
                if (tensor.defined()) return std::string(name(tensor.dtype()));
        return "";
    };
    if (const Schema* schema = find_schema(op_case.op_type))
        for (const SchemaParameter& parameter : schema->parameters)
            if (const auto found = op_case.args.find(parameter.name); found != op_case.args.end())
                if (std::string dtype = of(found->second); !dtype.empty()) return dtype;
    for (const ExpectedValue& output : op_case.outputs)
        if (std::string dtype = of(output.value); !dtype.empty()) return dtype;
    return "none";
}

}  // namespace

OpCaseFiles op_case_files(const OpCase& op_case) { return CallBuilder(op_case).build(); }

void run_backend_op_case(const Backend& backend, const OpCase& op_case, CaseResult& result) {
    OpCaseFiles built = op_case_files(op_case);
    const TemporaryDirectory directory;
    const fs::path place = directory.path() / "case";
    fs::create_directory(place);
    write_case_files(place, built.files);
    const BackendRun run = run_backend(backend, place);
    if (run.status != BackendStatus::Ok) {
        result.status = run.status == BackendStatus::Unsupported ? Status::Unsupported : Status::Error;
        result.message = std::string(name(run.status)) + ": " + run.message;
        return;
    }
    std::vector<std::string> missing;
    const RunResult outputs = backend_result(built.files.model, run.outputs, missing);
    result.status = missing.empty() ? Status::Passed : Status::Error;
    if (!missing.empty()) {
        result.message = "no output: " + missing_text(missing[0], run.outputs);
        return;
    }
    for (std::size_t i = 0; i < built.files.expected.size() && result.status == Status::Passed; ++i) {
        const auto& [key, expected] = built.files.expected[i];
        const Tensor actual = value_tensor(outputs.outputs[i].value);
        if (built.only_meta[i]) {
            if (actual.shape() == expected.shape() && actual.dtype() == expected.dtype()) continue;
            result.message = key + ": expected " + describe(expected) + ", found " + describe(actual);
        } else {
            const std::string message = compare(actual, expected, op_case.tolerance).message;
            if (message.empty()) continue;
            result.message = key + ": " + message;
        }
        result.status = Status::Failed;
    }
}

std::vector<ConformanceCase> run_conformance(const fs::path& directory, const ConformanceOptions& options) {
    if (!fs::is_directory(directory)) throw IoError(directory.string() + ": expected a directory of op cases");
    std::regex pattern;
    try {
        pattern = std::regex(options.ops, std::regex::ECMAScript);
    } catch (const std::regex_error& error) {
        throw ArgumentError("--ops '" + options.ops + "' is no regular expression: " + error.what());
    }
    std::vector<fs::path> files;
    if (fs::exists(directory / "cases.json")) files.push_back(directory);
    for (const auto& entry : fs::recursive_directory_iterator(directory))
        if (entry.is_directory() && fs::exists(entry.path() / "cases.json")) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    std::vector<OpCase> cases;
    for (const fs::path& file : files)
        for (OpCase& op_case : read_op_cases(file))
            if (std::regex_search(op_case.op_type, pattern)) cases.push_back(std::move(op_case));
    if (cases.empty()) throw IoError(directory.string() + ": no op case below this directory fits");

    std::vector<Case> runs;
    for (const OpCase& op_case : cases)
        runs.push_back(
            {op_case.name, [&](CaseResult& result) { run_backend_op_case(options.backend, op_case, result); }});
    std::vector<CaseResult> results = run_cases(runs, options.jobs, options.progress);
    std::vector<ConformanceCase> table;
    for (std::size_t i = 0; i < cases.size(); ++i)
        table.push_back({cases[i].op_type, first_dtype(cases[i]), std::move(results[i])});
    return table;
}

}  // namespace torch_ir
