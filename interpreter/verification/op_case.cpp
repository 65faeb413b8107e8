// SPDX-License-Identifier: MIT
#include "verification/op_case.hpp"

#include <nlohmann/json.hpp>

#include "registry.hpp"
#include "torch_ir/file.hpp"

namespace torch_ir {
namespace {

using nlohmann::json;

/// A number, or one of the strings for what JSON has no numbers for.
double read_float(const json& value) {
    if (value.is_string()) {
        const std::string text = value.get<std::string>();
        if (text == "nan") return std::numeric_limits<double>::quiet_NaN();
        if (text == "inf") return std::numeric_limits<double>::infinity();
        if (text == "-inf") return -std::numeric_limits<double>::infinity();
    }
    if (!value.is_number()) throw ParseError("expected a float, found " + value.dump());
    return value.get<double>();
}

Ints read_ints(const json& value) { return value.get<Ints>(); }

/// Reads the VALUE objects of one directory.
class ValueReader {
  public:
    explicit ValueReader(const NamedTensors& tensors) : tensors_(tensors) {}

    IValue read(const json& value) const {
        if (value.contains("tensor")) return tensor(value);
        if (value.contains("tensors")) return list(value["tensors"]);
        if (value.contains("optional_tensors")) return list(value["optional_tensors"]);
        if (value.contains("int")) return value["int"].get<std::int64_t>();
        if (value.contains("float")) return read_float(value["float"]);
        if (value.contains("bool")) return value["bool"].get<bool>();
        if (value.contains("complex"))
            return std::complex<double>(read_float(value["complex"][0]), read_float(value["complex"][1]));
        if (value.contains("string")) return value["string"].get<std::string>();
        if (value.contains("none")) return None{};
        if (value.contains("ints")) return read_ints(value["ints"]);
        if (value.contains("floats")) {
            Doubles floats;
            for (const json& element : value["floats"]) floats.push_back(read_float(element));
            return floats;
        }
        if (value.contains("bools")) return value["bools"].get<Bools>();
        if (value.contains("scalar")) return read(value["scalar"]);
        if (value.contains("scalars")) {
            ScalarList scalars;
            for (const json& element : value["scalars"]) scalars.push_back(to_scalar(read(element)));
            return scalars;
        }
        if (value.contains("dtype")) return *parse_dtype(value["dtype"].get<std::string>());
        if (value.contains("device")) return Device{value["device"].get<std::string>(), std::nullopt};
        if (value.contains("layout")) return parse_layout(value["layout"].get<std::string>()).value_or(Layout::Strided);
        if (value.contains("memory_format"))
            return parse_memory_format(value["memory_format"].get<std::string>()).value_or(MemoryFormat::Contiguous);
        throw ParseError("expected a value, found " + value.dump());
    }

  private:
    const Tensor& find(const std::string& key) const {
        const auto found = tensors_.find(key);
        if (found == tensors_.end()) throw ParseError("tensors.safetensors has no tensor '" + key + "'");
        return found->second;
    }

    /// The stored tensor under the described dtype and strides, in memory of its own: the op may write to it.
    Tensor tensor(const json& value) const {
        Tensor stored = find(value["tensor"].get<std::string>()).clone();
        const auto dtype = parse_dtype(value.value("dtype", std::string(name(stored.dtype()))));
        if (!dtype) throw ParseError("unknown dtype " + value["dtype"].dump());
        if (value.contains("stored") && value["stored"] == "view_as_real")
            stored = Tensor(stored.storage(), *dtype, {stored.numel() / 2}, {1}, 0);
        else if (stored.dtype() != *dtype && item_size(stored.dtype()) == item_size(*dtype))
            stored = stored.reinterpret(*dtype);
        const Ints shape = read_ints(value["shape"]);
        if (!value.contains("strides")) return stored.reshape(shape);
        return Tensor(stored.storage(), *dtype, shape, read_ints(value["strides"]),
                      value.value("storage_offset", std::int64_t{0}));
    }

    IValue list(const json& keys) const {
        TensorList tensors;
        for (const json& key : keys) {
            if (key.is_null())
                tensors.emplace_back();
            else
                tensors.push_back(key.is_object() ? std::get<Tensor>(read(key)) : find(key.get<std::string>()).clone());
        }
        return tensors;
    }

    const NamedTensors& tensors_;
};

ExpectedValue read_expected(const ValueReader& reader, const json& value, bool only_meta) {
    return {reader.read(value), only_meta || value.value("check", std::string("values")) == "meta"};
}

std::string compare_tensor(const Tensor& actual, const Tensor& expected, bool only_meta, const Tolerance& tolerance) {
    if (!actual.defined() || !expected.defined())
        return actual.defined() == expected.defined() ? "" : "one side is None";
    if (only_meta) {
        if (actual.shape() == expected.shape() && actual.dtype() == expected.dtype()) return "";
        return "expected " + describe(expected) + ", found " + describe(actual);
    }
    return compare(actual, expected, tolerance).message;
}

std::string compare_value(const IValue& actual, const ExpectedValue& expected, const Tolerance& tolerance) {
    if (const auto* list = std::get_if<TensorList>(&expected.value)) {
        const auto* found = std::get_if<TensorList>(&actual);
        if (!found || found->size() != list->size())
            return "expected a list of " + std::to_string(list->size()) + " tensors, found " +
                   std::string(kind(actual));
        for (std::size_t i = 0; i < list->size(); ++i)
            if (std::string message = compare_tensor((*found)[i], (*list)[i], expected.only_meta, tolerance);
                !message.empty())
                return "[" + std::to_string(i) + "]: " + message;
        return "";
    }
    return compare_tensor(value_tensor(actual), value_tensor(expected.value), expected.only_meta, tolerance);
}

}  // namespace

std::vector<OpCase> read_op_cases(const std::filesystem::path& directory) {
    const std::filesystem::path path = directory / "cases.json";
    return with_context(path.string(), [&] {
        const auto mapped = map_file(path);
        const auto* text = reinterpret_cast<const char*>(mapped->bytes().data());
        const json document = json::parse(text, text + mapped->bytes().size(), nullptr, false);
        if (!document.is_array()) throw ParseError("expected a JSON list of cases");
        const std::filesystem::path tensor_file = directory / "tensors.safetensors";
        const NamedTensors tensors = std::filesystem::exists(tensor_file) ? load_tensors(tensor_file) : NamedTensors{};
        const ValueReader reader(tensors);
        std::vector<OpCase> cases;
        for (const json& item : document) {
            OpCase op_case;
            try {
                op_case.op_type = item.at("op_type").get<std::string>();
                const std::string id = item.at("id").get<std::string>();
                op_case.name = id.starts_with(op_case.op_type) ? id : op_case.op_type + "/" + id;
                const bool only_meta = item.value("check", std::string("values")) == "meta";
                op_case.tolerance = {item.value("rtol", 0.0), item.value("atol", 0.0)};
                for (const auto& [key, value] : item.at("args").items()) op_case.args.emplace(key, reader.read(value));
                for (const json& value : item.at("outputs"))
                    op_case.outputs.push_back(read_expected(reader, value, only_meta));
                if (item.contains("mutated"))
                    for (const auto& [key, value] : item["mutated"].items())
                        op_case.mutated.emplace(key, read_expected(reader, value, only_meta));
            } catch (const json::exception& error) {
                throw ParseError("case '" + op_case.name + "': " + error.what());
            }
            cases.push_back(std::move(op_case));
        }
        return cases;
    });
}

std::string run_op_case(const OpCase& op_case) {
    const Op* op = builtin_registry().find(op_case.op_type);
    if (!op) throw UnsupportedError("op " + op_case.op_type + " is not supported");
    std::vector<IValue> values;
    values.reserve(op->schema.parameters.size());
    for (const SchemaParameter& parameter : op->schema.parameters)
        with_context(
            [&] { return "argument '" + parameter.name + "'"; },
            [&] {
                const auto given = op_case.args.find(parameter.name);
                IValue value = None{};
                if (given != op_case.args.end())
                    value = given->second;
                else if (parameter.default_value)
                    value = to_ivalue(*parameter.default_value);
                values.push_back(parameter.type.kind == SchemaKind::Generator ? value : coerce(value, parameter.type));
            });
    std::vector<const IValue*> pointers;
    for (const IValue& value : values) pointers.push_back(&value);
    Context context;
    std::vector<IValue> results;
    op->kernel(context, pointers, results);
    if (results.size() != op_case.outputs.size() && !(op_case.outputs.empty() || results.empty()))
        return "expected " + std::to_string(op_case.outputs.size()) + " results, found " +
               std::to_string(results.size());
    for (std::size_t i = 0; i < results.size() && i < op_case.outputs.size(); ++i)
        if (std::string message = compare_value(results[i], op_case.outputs[i], op_case.tolerance); !message.empty())
            return "output " + std::to_string(i) + ": " + message;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const auto mutated = op_case.mutated.find(op->schema.parameters[i].name);
        if (mutated == op_case.mutated.end()) continue;
        if (std::string message = compare_value(values[i], mutated->second, op_case.tolerance); !message.empty())
            return "argument '" + mutated->first + "' after the call: " + message;
    }
    return "";
}

}  // namespace torch_ir
