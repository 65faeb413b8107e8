// SPDX-License-Identifier: MIT
// Bodies of json.hpp: JSON text to a Model, element by element.
#pragma once

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "torch_ir/file.hpp"
#include "torch_ir/impl/json_arguments.hpp"
#include "torch_ir/impl/json_constants.hpp"
#include "torch_ir/impl/json_fields.hpp"
#include "torch_ir/impl/shape_text.hpp"
#include "torch_ir/json.hpp"
#include "torch_ir/text.hpp"
#include "torch_ir/version.hpp"

namespace torch_ir {
namespace detail {

/// Builds one graph. Values exist from their first mention on; the definition completes them.
class GraphReader {
  public:
    explicit GraphReader(std::vector<Issue>* conflicts) : conflicts_(conflicts) {
        context_.value = [this](const std::string& name) { return refer_by_name(name); };
        context_.subgraph = [this](const Json& json) { return read_subgraph(json); };
        context_.name = [this](ValueRef ref) { return graph_.value(ref).name; };
    }
    GraphReader(const GraphReader&) = delete;
    GraphReader& operator=(const GraphReader&) = delete;

    void add_input(const Json& json) { graph_.inputs.emplace_back(define(as_value(json))); }
    void add_weight(Value value) { weights_.emplace_back(define(std::move(value))); }
    void add_output(const Json& json) { graph_.outputs.emplace_back(refer(as_value(json))); }

    void add_node(const Json& json, std::size_t index) {
        Node node;
        const auto place = [&] {
            return "nodes[" + std::to_string(index) + "]" + (node.name.empty() ? "" : " '" + node.name + "'");
        };
        place_ = place;
        with_context(place, [&] { read_node(json, node); });
        place_ = nullptr;
        graph_.nodes.push_back(std::move(node));
    }

    /// Puts the weights before the other inputs; returns how many inputs there are.
    std::size_t join_inputs() {
        graph_.inputs.insert(graph_.inputs.begin(), weights_.begin(), weights_.end());
        return graph_.inputs.size();
    }

    /// Replaces the roles that follow from the tensor lists by those that the file spells out.
    void read_signature(const Json& json, std::vector<InputSpec>& inputs, std::vector<OutputSpec>& outputs) {
        std::vector<Argument> arguments;
        for_each_element(member(json, "inputs"), "inputs", [&](const Json& entry, std::size_t) {
            inputs.push_back({.kind = read_kind<InputKind>(input_kind_names, entry),
                              .target = optional_string(entry, "target"),
                              .persistent = true});
            if (const Json* persistent = find_member(entry, "persistent"))
                inputs.back().persistent = to_bool(*persistent);
            arguments.push_back(read_spec_argument(entry));
        });
        graph_.inputs = std::exchange(arguments, {});
        for_each_element(member(json, "outputs"), "outputs", [&](const Json& entry, std::size_t) {
            outputs.push_back(
                {.kind = read_kind<OutputKind>(output_kind_names, entry), .target = optional_string(entry, "target")});
            arguments.push_back(read_spec_argument(entry));
        });
        graph_.outputs = std::move(arguments);
    }

    std::size_t output_count() const { return graph_.outputs.size(); }

    Graph finish() {
        if (!mentions_.empty() && !conflicts_) refuse_unknown(mentions_.begin()->first);
        return std::move(graph_);
    }

  private:
    /// A value that was used before its definition.
    struct Mention {
        std::string place;
        bool is_described;  // with a shape; else by name only
        bool by_node;
    };

    [[noreturn]] void refuse_unknown(std::uint32_t id) const {
        std::vector<std::string> names;
        for (const auto& [name, other] : ids_)
            if (!mentions_.contains(other)) names.push_back(name);
        std::ranges::sort(names);
        const std::string& name = graph_.values[id].name;
        const std::string similar = closest(name, names);
        throw ParseError(mentions_.at(id).place + ": '" + name +
                         "' is neither an input, a weight nor an output of a node" +
                         (similar.empty() ? "" : " (closest name: '" + similar + "')"));
    }

    void read_node(const Json& json, Node& node) {
        node.name = string_member(json, "name");
        node.op_type = string_member(json, "op_type");
        if (node.name.empty()) throw ParseError("a node has an empty name");
        if (!node_names_.insert(node.name).second) invalid("another node has the same name");
        std::vector<ValueRef> inputs;
        for_each_element(member(json, "inputs"), "inputs", [&](const Json& entry, std::size_t) {
            inputs.push_back(refer(as_value(entry)));
            check_producer(graph_.value(inputs.back()), entry);
        });
        node.args = ArgumentsReader(context_, json, node.op_type, std::move(inputs)).read();
        read_outputs(json, node);
        read_provenance(json, node.provenance);
    }

    void read_outputs(const Json& json, Node& node) {
        std::vector<ValueRef> refs;
        for_each_element(member(json, "outputs"), "outputs", [&](const Json& entry, std::size_t index) {
            Value value = as_value(entry);
            value.producer = static_cast<std::uint32_t>(graph_.nodes.size());
            value.producer_output_idx = static_cast<std::uint32_t>(index);
            refs.push_back(define(std::move(value)));
        });
        if (const Json* returns = find_member(json, "returns")) {
            std::size_t next = 0;
            for_each_element(*returns, "returns", [&](const Json& entry, std::size_t) {
                node.outputs.push_back(read_return(entry, refs, next));
            });
            if (next != refs.size()) throw ParseError("returns: does not mention every output once, in order");
            return;
        }
        const Schema* schema = find_schema(node.op_type);
        if (schema && schema->returns_list())
            node.outputs.emplace_back(ArgumentList(refs.begin(), refs.end()));
        else
            node.outputs.assign(refs.begin(), refs.end());
    }

    static Argument read_return(const Json& json, const std::vector<ValueRef>& refs, std::size_t& next) {
        if (json.is_null()) return None{};
        if (json.is_array()) {
            ArgumentList list;
            for (const Json& element : json) list.push_back(read_return(element, refs, next));
            return list;
        }
        const std::uint32_t index = as_index(json);
        if (index != next || next >= refs.size()) throw ParseError("does not mention every output once, in order");
        return refs[next++];
    }

    static void read_provenance(const Json& json, Provenance& provenance) {
        const Json* source = find_member(json, "source");
        if (!source) return;
        with_context("source", [&] {
            provenance.module_path = optional_string(*source, "module_path");
            provenance.module_type = optional_string(*source, "module_type");
            provenance.source = optional_string(*source, "location");
            provenance.original = optional_string(*source, "function");
        });
    }

    template <class Kind, class Names>
    static Kind read_kind(const Names& names, const Json& entry) {
        const std::string& text = string_member(entry, "kind");
        if (const auto kind = kind_of_name<Kind>(names, text)) return *kind;
        throw ParseError("unknown kind '" + text + "'");
    }

    Argument read_spec_argument(const Json& entry) {
        if (entry.contains("value")) return read_argument(context_, entry["value"], SchemaKind::Other);
        const std::string& name = string_member(entry, "name");
        if (const auto found = ids_.find(name); found != ids_.end()) return ValueRef{found->second};
        throw ParseError("there is no value '" + name + "'");
    }

    /// Enters a definition: a weight, an input or an output of a node.
    ValueRef define(Value value) {
        const auto next = static_cast<std::uint32_t>(graph_.values.size());
        const auto [found, is_new] = ids_.try_emplace(value.name, next);
        const auto mention = is_new ? mentions_.end() : mentions_.find(found->second);
        if (mention != mentions_.end()) {
            Value& mentioned = graph_.values[found->second];
            if (mention->second.by_node && value.producer != Value::no_producer)
                invalid("'" + value.name + "' is used before it is defined: in " + mention->second.place);
            if (mention->second.is_described) check_mention(value, mentioned);
            mentioned = std::move(value);
            mentions_.erase(mention);
            return {found->second};
        }
        if (!is_new) invalid("value '" + value.name + "' is defined twice");
        found->second = next;
        add_value(std::move(value));
        return {next};
    }

    /// A use of a value with its description.
    ValueRef refer(Value value) {
        const auto [found, is_new] = ids_.try_emplace(value.name, static_cast<std::uint32_t>(graph_.values.size()));
        const ValueRef ref{found->second};
        const auto mention = mentions_.find(ref.id);
        if (!is_new && (mention == mentions_.end() || mention->second.is_described))
            check_mention(graph_.value(ref), value);
        note_use(ref, is_new, true);
        if (is_new) add_value(std::move(value));
        return ref;
    }

    ValueRef refer_by_name(const std::string& name) {
        const auto [found, is_new] = ids_.try_emplace(name, static_cast<std::uint32_t>(graph_.values.size()));
        const ValueRef ref{found->second};
        note_use(ref, is_new, false);
        if (is_new) {
            Value value;
            value.name = name;
            add_value(std::move(value));
        }
        return ref;
    }

    void note_use(ValueRef ref, bool is_new, bool is_described) {
        if (is_new)
            mentions_[ref.id] = {place_ ? place_() : "graph_outputs", is_described, place_ != nullptr};
        else if (const auto mention = mentions_.find(ref.id);
                 place_ && mention != mentions_.end() && !mention->second.by_node)
            mention->second = {place_(), mention->second.is_described, true};
    }

    Subgraph read_subgraph(const Json& json) const;

    void add_value(Value value) {
        if (graph_.values.size() >= Value::no_producer) throw UnsupportedError("more than 4294967295 values");
        graph_.values.push_back(std::move(value));
    }

    void check_mention(const Value& definition, const Value& mention) {
        if (definition.kind != mention.kind)
            conflict("'" + mention.name + "' is a " + std::string(name(mention.kind)) + " here and a " +
                     std::string(name(definition.kind)) + " where it is defined");
        else if (definition.meta.shape != mention.meta.shape)
            conflict("'" + mention.name + "' has shape " + shape_text(mention.meta.shape) + " here and " +
                     shape_text(definition.meta.shape) + " where it is defined");
        else if (definition.meta.dtype != mention.meta.dtype)
            conflict("'" + mention.name + "' is " + std::string(name(mention.meta.dtype)) + " here and " +
                     std::string(name(definition.meta.dtype)) + " where it is defined");
    }

    void check_producer(const Value& value, const Json& entry) {
        const Json* producer = find_member(entry, "producer_node");
        if (!producer) return;
        const std::string& stated = with_context(
            "producer_node", [&]() -> auto& { return to_text(*producer); });
        const Json* index = find_member(entry, "producer_output_idx");
        const std::uint32_t stated_index = index ? as_index(*index) : 0;
        if (mentions_.contains(static_cast<std::uint32_t>(&value - graph_.values.data()))) return;
        const bool is_input = value.producer == Value::no_producer;
        const std::string& actual = is_input ? value.name : graph_.nodes[value.producer].name;
        if (stated != actual || stated_index != value.producer_output_idx)
            conflict("'" + value.name + "' is said to be output " + std::to_string(stated_index) + " of '" + stated +
                     "', but is " +
                     (is_input ? "an input"
                               : "output " + std::to_string(value.producer_output_idx) + " of '" + actual + "'"));
    }

    /// A contradiction that only the reader sees: the model has no room for it.
    void conflict(const std::string& message) {
        if (!conflicts_) throw ParseError(message);
        conflicts_->push_back({Severity::Error, place_ ? place_() : "", message});
    }

    /// Something that validate() finds as well.
    void invalid(const std::string& message) const {
        if (!conflicts_) throw ParseError(message);
    }

    Graph graph_;
    std::unordered_map<std::string, std::uint32_t> ids_;
    std::map<std::uint32_t, Mention> mentions_;  // of values that are not defined yet
    std::unordered_set<std::string> node_names_;
    std::vector<Argument> weights_;
    ArgumentContext context_;
    std::function<std::string()> place_;  // of the node that is being read
    std::vector<Issue>* conflicts_;
};

inline Subgraph GraphReader::read_subgraph(const Json& json) const {
    GraphReader reader(conflicts_);
    for_each_element(member(json, "graph_inputs"), "graph_inputs",
                     [&](const Json& entry, std::size_t) { reader.add_input(entry); });
    std::size_t index = 0;
    for (const Json& node : to_array(member(json, "nodes"))) reader.add_node(node, index++);
    for_each_element(member(json, "graph_outputs"), "graph_outputs",
                     [&](const Json& entry, std::size_t) { reader.add_output(entry); });
    std::vector<InputSpec> inputs;
    std::vector<OutputSpec> outputs;
    if (const Json* signature = find_member(json, "signature"))
        with_context("signature", [&] { reader.read_signature(*signature, inputs, outputs); });
    return {string_member(json, "name"), std::make_shared<Graph>(reader.finish())};
}

class ModelReader {
  public:
    explicit ModelReader(std::vector<Issue>* conflicts) : reader_(conflicts) {}

    Model read(std::string_view text) {
        const bool may_be_pythons = text.find("NaN") != text.npos || text.find("Infinity") != text.npos;
        const std::string quoted = may_be_pythons ? quote_non_finite(text) : std::string();
        stream_json(may_be_pythons ? quoted : text,
                    {"", "graph_inputs", "graph_outputs", "weights", "weight_name_mapping", "nodes", "constants"},
                    [&](const JsonPlace& place, Json&& json) { take(place, json); });
        return finish();
    }

  private:
    void take(const JsonPlace& place, Json& json) {
        if (place.is_root) {
            if (!json.is_object()) expected("an object", json);
        } else if (place.parent.empty()) {
            with_context(std::string(place.key), [&] { take_member(place.key, json); });
        } else if (place.parent == "nodes") {
            reader_.add_node(json, place.index);
        } else {
            with_context([&] { return place.text(); }, [&] { take_element(place, json); });
        }
    }

    void take_element(const JsonPlace& place, Json& json) {
        if (place.parent == "graph_inputs")
            reader_.add_input(json);
        else if (place.parent == "graph_outputs")
            reader_.add_output(json);
        else if (place.parent == "weights")
            weights_.push_back(as_value(json));
        else if (place.parent == "weight_name_mapping")
            placeholders_[to_text(json)].emplace_back(place.key);
        else if (place.parent == "constants")
            model_.constants.emplace(place.key, read_constant(json));
    }

    /// A member of the file; the streamed containers arrive empty, after their elements.
    void take_member(std::string_view key, Json& json) {
        keys_.emplace_back(key);
        if (key == "format_version")
            check_version(to_text(json));
        else if (key == "model_name")
            model_.name = to_text(json);
        else if (key == "pytorch_version")
            model_.pytorch_version = to_text(json);
        else if (key == "in_spec")
            model_.in_spec = to_text(json);
        else if (key == "out_spec")
            model_.out_spec = to_text(json);
        else if (key == "forward_arg_names")
            for (const Json& name : to_array(json)) model_.forward_arg_names.push_back(to_text(name));
        else if (key == "namedtuple_fields")
            for (const auto& [type, fields] : to_object(json).items())
                for (const Json& field : to_array(fields)) model_.namedtuple_fields[type].push_back(to_text(field));
        else if (key == "symbols")
            for (const Json& symbol : to_array(json)) take_symbol(symbol);
        else if (key == "guards")
            for (const Json& guard : to_array(json)) model_.guards.push_back(to_text(guard));
        else if (key == "signature")
            signature_ = std::move(json);
        else if (key == "weight_name_mapping" || key == "constants")
            to_object(json);
        else if (key == "graph_inputs" || key == "graph_outputs" || key == "weights" || key == "nodes")
            to_array(json);
        if (has("weights") && has("weight_name_mapping")) define_weights();
    }

    static void check_version(const std::string& version) {
        const std::string major = version.substr(0, version.find('.'));
        if (major != std::to_string(format_major))
            throw UnsupportedError("this is version " + version + " of the format; this library reads version " +
                                   std::to_string(format_major) + ".x");
    }

    void take_symbol(const Json& json) {
        SymbolRange range;
        range.name = string_member(json, "name");
        if (const Json* min = find_member(json, "min")) range.min = to_int(*min);
        if (const Json* max = find_member(json, "max")) range.max = to_int(*max);
        if (const Json* hint = find_member(json, "hint")) hints_[range.name] = to_int(*hint);
        model_.symbols.push_back(std::move(range));
    }

    bool has(std::string_view key) const { return std::ranges::find(keys_, key) != keys_.end(); }

    /// Each weight becomes an input of the graph under its placeholder's name; without one, under its own.
    void define_weights() {
        if (std::exchange(weights_defined_, true)) return;
        std::map<std::string, std::size_t> used;
        for (Value& weight : weights_) {
            const std::string target = weight.name;
            const auto found = placeholders_.find(target);
            const std::size_t nth = used[target]++;
            if (found != placeholders_.end()) {
                if (nth >= found->second.size())
                    throw ParseError("weight '" + target + "' is listed more often than it has placeholders");
                weight.name = found->second[nth];
            }
            weight_specs_.push_back({implied_kind(weight.name), target, true});
            reader_.add_weight(std::move(weight));
        }
        for (const auto& [target, names] : placeholders_)
            if (used[target] < names.size())
                throw ParseError("placeholder '" + names[used[target]] + "' stands for the weight '" + target +
                                 "', which is not listed in 'weights'");
    }

    Model finish() {
        for (const char* key : {"graph_inputs", "graph_outputs", "weights", "nodes"})
            if (!has(key)) throw ParseError("lacks '" + std::string(key) + "': not a JSON IR");
        define_weights();
        model_.inputs = std::move(weight_specs_);
        model_.inputs.resize(reader_.join_inputs());
        model_.outputs.resize(reader_.output_count());
        if (!signature_.is_null()) {
            model_.inputs.clear();
            model_.outputs.clear();
            with_context("signature", [&] { reader_.read_signature(signature_, model_.inputs, model_.outputs); });
        }
        model_.graph = reader_.finish();
        apply_hints();
        return std::move(model_);
    }

    /// The sizes at export time, from those of the symbols.
    void apply_hints() {
        if (hints_.empty()) return;
        for (Value& value : model_.graph.values)
            for (Dim& dim : value.meta.shape)
                if (!dim.is_static()) dim = with_hint(dim);
    }

    Dim with_hint(const Dim& dim) const {
        try {
            return Dim(dim.expr(), evaluate(dim, hints_));
        } catch (const ArgumentError&) {
            return dim;  // a symbol that only a run binds
        }
    }

    GraphReader reader_;
    Model model_;
    std::vector<std::string> keys_;
    std::vector<Value> weights_;
    std::map<std::string, std::vector<std::string>> placeholders_;  // by weight
    std::vector<InputSpec> weight_specs_;
    SymbolValues hints_;
    Json signature_;
    bool weights_defined_ = false;
};

}  // namespace detail

TORCH_IR_INLINE Model parse_json(std::string_view text, const std::string& name, std::vector<Issue>* conflicts) {
    const auto read = [&] { return detail::ModelReader(conflicts).read(text); };
    return name.empty() ? read() : with_context(name, read);
}

TORCH_IR_INLINE Model read_json(const std::filesystem::path& path, std::vector<Issue>* conflicts) {
    const auto file = map_file(path);
    return parse_json(detail::as_text(file->bytes()), path.string(), conflicts);
}

}  // namespace torch_ir
