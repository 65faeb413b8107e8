// SPDX-License-Identifier: MIT
// Bodies of pt2.hpp: the ExportedProgram object of torch/_export/serde/schema.py, read as a stream.
#pragma once

#include <algorithm>
#include <utility>

#include "torch_ir/archive.hpp"
#include "torch_ir/file.hpp"
#include "torch_ir/impl/pt2_graph.hpp"
#include "torch_ir/impl/pt2_json.hpp"
#include "torch_ir/impl/pt2_subclass.hpp"
#include "torch_ir/pt2.hpp"
#include "torch_ir/weights.hpp"

namespace torch_ir {
namespace detail::pt2 {

/// Schema major versions: 7 is torch 2.5, 8 is torch 2.6 and later.
inline void check_schema_version(std::int64_t major, const std::string& version) {
    if (major != 7 && major != 8)
        throw UnsupportedError("schema version " + version + " of torch.export is unknown, expected 7 or 8");
}

inline void check_schema_version(const Json& json) {
    const std::int64_t major = to_int(member(json, "major"));
    check_schema_version(major, std::to_string(major) + "." + std::to_string(to_int(member(json, "minor"))));
}

/// The containers whose elements are read one by one.
inline const std::vector<std::string>& streamed_containers() {
    static const std::vector<std::string> paths = {"",
                                                   "graph_module",
                                                   "graph_module.graph",
                                                   "graph_module.graph.nodes",
                                                   "graph_module.graph.tensor_values",
                                                   "graph_module.graph.sym_int_values",
                                                   "graph_module.graph.sym_float_values",
                                                   "graph_module.graph.sym_bool_values",
                                                   "graph_module.module_call_graph"};
    return paths;
}

/// Assembles a Model from the pieces of an ExportedProgram.
class Pt2ModelReader {
  public:
    void read_piece(const JsonPlace& place, Json&& json) {
        if (place.is_root)
            to_object(json);
        else if (place.parent.starts_with(graph_path))
            read_graph_piece(place, std::move(json));
        else
            with_context([&] { return place.text(); }, [&] { read_model_piece(place, std::move(json)); });
    }

    Model finish() {
        for (const auto& [piece, seen] :
             {std::pair("graph_module.graph.inputs", have_inputs_), std::pair("graph_module.graph.nodes", have_nodes_),
              std::pair("graph_module.graph.outputs", !outputs_.is_null()),
              std::pair("graph_module.signature", !signature_.is_null()), std::pair("schema_version", have_version_)})
            if (!seen) throw ParseError("key '" + std::string(piece) + "' is missing");
        graph_.read_outputs(outputs_);
        model_.name = graph_.root_class();
        model_.graph = graph_.finish();
        with_context("graph_module.signature", [&] { read_signature(); });
        return std::move(model_);
    }

  private:
    static constexpr std::string_view graph_path = "graph_module.graph";

    void read_graph_piece(const JsonPlace& place, Json&& json) {
        if (place.parent == graph_path && place.key == "inputs") {
            graph_.read_inputs(json);
            have_inputs_ = true;
        } else if (place.parent == graph_path && place.key == "outputs") {
            outputs_ = std::move(json);
        } else if (place.parent == graph_path && place.key == "nodes") {
            with_context([&] { return place.text(); }, [&] { to_array(json); });
            have_nodes_ = true;
        } else if (place.parent == "graph_module.graph.nodes") {
            graph_.read_node(json);
        } else if (place.parent ==
                   graph_path) {  // a table that is handed over as a whole, or was streamed and is empty
            if (json.is_object())
                for (const auto& [name, value] : json.items()) graph_.read_value(place.key, name, value);
        } else {
            graph_.read_value(place.parent.substr(graph_path.size() + 1), std::string(place.key), json);
        }
    }

    void read_model_piece(const JsonPlace& place, Json&& json) {
        if (place.parent.empty() && place.key == "graph_module") {
            to_object(json);
        } else if (place.parent == "graph_module.module_call_graph") {
            read_module_call(json);
        } else if (place.parent == "graph_module") {
            if (place.key == "signature")
                signature_ = std::move(json);
            else if (place.key == "treespec_namedtuple_fields")
                with_context([&] { return place.text(); }, [&] { read_namedtuples(json); });
        } else if (place.key == "schema_version") {
            check_schema_version(json);
            have_version_ = true;
        } else if (place.key == "torch_version") {
            model_.pytorch_version = to_text(json);
        } else if (place.key == "range_constraints") {
            for (const auto& [name, range] : to_object(json).items())
                with_context(name, [&, &name = name, &range = range] {
                    model_.symbols.push_back({name, read_bound(range, "min_val"), read_bound(range, "max_val")});
                });
        } else if (place.key == "guards_code") {
            for_each_element(json, [&](const Json& guard, std::size_t) { model_.guards.push_back(to_text(guard)); });
        }
    }

    static std::optional<std::int64_t> read_bound(const Json& range, const char* key) {
        const Json* bound = find_member(range, key);
        if (!bound || bound->is_string()) return std::nullopt;  // torch 2.5 writes infinities
        return to_int(*bound);
    }

    /// The entry of the root module holds the pytree specs of the whole.
    void read_module_call(const Json& json) {
        if (to_text(member(json, "fqn")) != "") return;
        const Json* signature = find_member(json, "signature");
        if (!signature) return;
        if (const Json* spec = find_member(*signature, "in_spec")) model_.in_spec = to_text(*spec);
        if (const Json* spec = find_member(*signature, "out_spec")) model_.out_spec = to_text(*spec);
        if (const Json* names = find_member(*signature, "forward_arg_names"); names && names->is_array())
            for (const Json& name : *names) model_.forward_arg_names.push_back(to_text(name));
    }

    void read_namedtuples(const Json& json) {
        for (const auto& [type, definition] : to_object(json).items())
            if (const Json* fields = find_member(definition, "field_names"))
                for (const Json& field : to_array(*fields)) model_.namedtuple_fields[type].push_back(to_text(field));
    }

    void read_signature() {
        read_specs("input_specs", model_.graph.inputs, model_.inputs,
                   [&](const Json& spec) { return input_spec(spec); });
        read_specs("output_specs", model_.graph.outputs, model_.outputs,
                   [&](const Json& spec) { return output_spec(spec); });
    }

    /// Reads the list of specs that runs parallel to `arguments`.
    template <class Spec, class F>
    void read_specs(const char* key, const std::vector<Argument>& arguments, std::vector<Spec>& specs, F&& read) {
        const Json& json = member(signature_, key);
        with_context(key, [&] {
            if (to_array(json).size() != arguments.size())
                throw ParseError("expected " + std::to_string(arguments.size()) + " entries as in the graph, found " +
                                 std::to_string(json.size()));
            for_each_element(json, [&](const Json& spec, std::size_t i) {
                check_name(spec, arguments[i]);
                specs.push_back(read(spec));
            });
        });
    }

    /// The value that a spec names is the one the graph has at its position.
    void check_name(const Json& spec, const Argument& argument) const {
        const auto& [tag, content] = union_of(spec);
        const Json* arg = find_member(content, "arg");
        if (!arg) return;
        const Json* holder = arg->contains("name") ? arg : &union_of(*arg).second;
        if (!holder->is_object()) return;  // a constant
        const auto* ref = argument.get_if<ValueRef>();
        for (const char* key : {"name", "as_name"})
            if (const Json* name = find_member(*holder, key);
                name && (!ref || model_.graph.value(*ref).name != to_text(*name)))
                throw ParseError("'" + to_text(*name) + "' is not what the graph has at this position");
    }

    static InputSpec input_spec(const Json& json) {
        const auto& [tag, content] = union_of(json);
        if (tag == "user_input") return {};
        if (tag == "constant_input") return {InputKind::UserInput, to_text(member(content, "name"))};
        if (tag == "parameter") return {InputKind::Parameter, to_text(member(content, "parameter_name"))};
        if (tag == "buffer") {
            const Json* persistent = find_member(content, "persistent");
            return {InputKind::Buffer, to_text(member(content, "buffer_name")), !persistent || to_bool(*persistent)};
        }
        if (tag == "tensor_constant")
            return {InputKind::TensorConstant, to_text(member(content, "tensor_constant_name"))};
        if (tag == "custom_obj")
            return {is_generator(member(content, "arg")) ? InputKind::TensorConstant : InputKind::CustomObject,
                    to_text(member(content, "custom_obj_name"))};
        if (tag == "token") return {InputKind::Token, ""};
        throw ParseError("unknown kind of input '" + tag + "'");
    }

    static OutputSpec output_spec(const Json& json) {
        const auto& [tag, content] = union_of(json);
        if (tag == "user_output") return {};
        if (tag == "loss_output") return {OutputKind::LossOutput, ""};
        if (tag == "buffer_mutation") return {OutputKind::BufferMutation, to_text(member(content, "buffer_name"))};
        if (tag == "parameter_mutation")
            return {OutputKind::ParameterMutation, to_text(member(content, "parameter_name"))};
        if (tag == "user_input_mutation")
            return {OutputKind::UserInputMutation, to_text(member(content, "user_input_name"))};
        if (tag == "gradient_to_parameter")
            return {OutputKind::GradientToParameter, to_text(member(content, "parameter_name"))};
        if (tag == "gradient_to_user_input")
            return {OutputKind::GradientToUserInput, to_text(member(content, "user_input_name"))};
        if (tag == "token") return {OutputKind::Token, ""};
        throw ParseError("unknown kind of output '" + tag + "'");
    }

    ExprCache exprs_;
    Pt2GraphReader graph_{std::string(graph_path) + ".", exprs_};
    Model model_;
    Json outputs_;
    Json signature_;
    bool have_inputs_ = false;
    bool have_nodes_ = false;
    bool have_version_ = false;
};

/// A graph of a later schema may break the reader before its version is met at the end of the file.
inline void check_schema_version_of(std::string_view text) {
    stream_json(text, streamed_containers(), [](const JsonPlace& place, Json&& json) {
        if (place.parent.empty() && place.key == "schema_version") check_schema_version(json);
    });
}

inline Model read_exported_program(std::string_view text) {
    try {
        Pt2ModelReader reader;
        stream_json(text, streamed_containers(),
                    [&](const JsonPlace& place, Json&& json) { reader.read_piece(place, std::move(json)); });
        return reader.finish();
    } catch (const ParseError&) {
        try {
            check_schema_version_of(text);
        } catch (const ParseError&) {  // the first error tells more
        }
        throw;
    }
}

/// Opens an archive that holds graphs; says of the other kinds what to do instead.
inline Archive open_pt2(const std::filesystem::path& path) {
    const auto file = map_file(path);
    Archive archive = open_archive(file->bytes(), file);
    const bool script = archive.kind == Archive::Kind::TorchScript;
    if (script || archive.kind == Archive::Kind::Checkpoint)
        throw UnsupportedError((script ? "a TorchScript archive has no exported graph" : "a checkpoint has no graph") +
                               std::string("; export the model with torch.export.export and save it with "
                                           "torch.export.save"));
    return archive;
}

inline std::string graph_entry(const Archive& archive, const std::string& model_name) {
    return archive.kind == Archive::Kind::FlatPt2 ? "serialized_exported_program.json"
                                                  : "models/" + model_name + ".json";
}

/// The values of a constant as the graph describes it.
inline Constant constant_of(const TensorView& tensor, const TensorMeta& meta) {
    const Shape shape(tensor.shape.begin(), tensor.shape.end());
    if (tensor.dtype != meta.dtype || shape != meta.shape)
        throw ParseError("expected " + meta_text(meta) + " as in the graph, found " +
                         meta_text({tensor.dtype, shape, {}}));
    constexpr std::size_t max_expanded = std::size_t{1} << 28;  // a stride of 0 repeats a few bytes any number of times
    const std::size_t size = static_cast<std::size_t>(tensor.numel()) * item_size(tensor.dtype);
    if (size > std::max(tensor.storage.size(), max_expanded))
        throw UnsupportedError("an expanded constant of " + std::to_string(size) + " bytes");
    return {{tensor.dtype, shape, std::nullopt}, tensor.to_bytes()};
}

/// Copies the values of lifted tensor constants, where the file has them.
inline void read_constants(const Archive& archive, const std::string& model_name, Model& model) {
    const auto is_constant = [](const InputSpec& spec) { return spec.kind == InputKind::TensorConstant; };
    if (std::ranges::none_of(model.inputs, is_constant)) return;
    WeightsOptions options;
    options.model = model_name;
    options.skip_unsaved = true;
    const Weights weights = read_pt2_weights(archive, options);
    for (std::size_t i = 0; i < model.inputs.size(); ++i) {
        const std::string& name = model.inputs[i].target;
        const TensorView* tensor = is_constant(model.inputs[i]) ? weights.find(name) : nullptr;
        const auto* ref = model.graph.inputs[i].get_if<ValueRef>();
        if (tensor && ref)
            with_context([&] { return "constant '" + name + "'"; },
                         [&] { model.constants[name] = constant_of(*tensor, model.graph.value(*ref).meta); });
    }
}

}  // namespace detail::pt2

TORCH_IR_INLINE Model read_pt2(const std::filesystem::path& path, const Pt2Options& options) {
    return with_context(path.string(), [&] {
        const Archive archive = detail::pt2::open_pt2(path);
        const std::string model_name = select_model(archive, options.model_name);
        const ZipData graph = archive.read(detail::pt2::graph_entry(archive, model_name));
        // Up to torch 2.6 Python wrote bare `Infinity` and `NaN`.
        const bool bare = archive.kind == Archive::Kind::FlatPt2 && detail::mentions_non_finite(graph.text());
        const std::string quoted = bare ? detail::quote_non_finite(graph.text()) : "";
        Model model = detail::pt2::read_exported_program(bare ? quoted : graph.text());
        if (model_name != "model" || model.name.empty()) model.name = model_name;
        detail::pt2::SubclassUnwrapper(model).run();
        detail::pt2::read_constants(archive, model_name, model);
        return model;
    });
}

TORCH_IR_INLINE std::vector<std::string> pt2_model_names(const std::filesystem::path& path) {
    return with_context(path.string(), [&] { return detail::pt2::open_pt2(path).models; });
}

}  // namespace torch_ir
