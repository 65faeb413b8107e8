// SPDX-License-Identifier: MIT
// A node's `inputs` and `attrs` to arguments named by the schema. Included by _inl files only.
#pragma once

#include <algorithm>
#include <charconv>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "torch_ir/impl/json_fields.hpp"
#include "torch_ir/ir.hpp"

namespace torch_ir::detail {

/// How an argument reaches the graph it belongs to.
struct ArgumentContext {
    std::function<ValueRef(const std::string&)> value;
    std::function<Subgraph(const Json&)> subgraph;
    std::function<std::string(ValueRef)> name;
};

template <class T>
T parsed(std::optional<T> value, std::string_view what, const std::string& text) {
    if (value) return *value;
    throw ParseError("unknown " + std::string(what) + " '" + text + "'");
}

inline Device parse_device(const std::string& text) {
    const std::size_t colon = text.find(':');
    Device device{text.substr(text.starts_with("torch.") ? 6 : 0, colon), std::nullopt};
    if (colon == std::string::npos) return device;
    int index = 0;
    const char* end = text.data() + text.size();
    if (std::from_chars(text.data() + colon + 1, end, index).ptr != end || colon + 1 == text.size())
        throw ParseError("unknown device '" + text + "'");
    device.index = index;
    return device;
}

inline std::optional<double> parse_non_finite(std::string_view text) {
    if (text == "inf" || text == "Infinity") return std::numeric_limits<double>::infinity();
    if (text == "-inf" || text == "-Infinity") return -std::numeric_limits<double>::infinity();
    if (text == "nan" || text == "NaN") return std::numeric_limits<double>::quiet_NaN();
    return std::nullopt;
}

/// A number, or {"float": "inf"}; also Python's bare `Infinity`, which quote_non_finite has made a string.
inline double as_double(const Json& json) {
    if (json.is_number()) return json.get<double>();
    const Json* text = json.is_object() ? find_member(json, "float") : &json;
    if (!text || !text->is_string()) expected("a number", json);
    return parsed(parse_non_finite(to_text(*text)), "number", to_text(*text));
}

inline Argument read_string(const std::string& text, SchemaKind kind) {
    switch (kind) {
        case SchemaKind::ScalarType:
            return parsed(parse_dtype(text), "dtype", text);
        case SchemaKind::Layout:
            return parsed(parse_layout(text), "layout", text);
        case SchemaKind::MemoryFormat:
            return parsed(parse_memory_format(text), "memory format", text);
        case SchemaKind::Device:
            return parse_device(text);
        case SchemaKind::Tensor:
        case SchemaKind::Float:
        case SchemaKind::Scalar:
            if (const auto number = parse_non_finite(text)) return *number;
            return text;
        default:
            return text;
    }
}

Argument read_argument(const ArgumentContext& context, const Json& json, SchemaKind kind);

/// An object with one member that names what JSON has no type for.
inline Argument read_tagged(const ArgumentContext& context, const Json& json) {
    if (json.size() != 1) throw ParseError("expected an object with one key that names a type");
    const std::string& tag = json.begin().key();
    const Json& content = json.begin().value();
    return with_context(tag, [&]() -> Argument {
        if (tag == "dtype") return as_dtype(content);
        if (tag == "layout") return read_string(to_text(content), SchemaKind::Layout);
        if (tag == "memory_format") return read_string(to_text(content), SchemaKind::MemoryFormat);
        if (tag == "device") return read_string(to_text(content), SchemaKind::Device);
        if (tag == "sym" || tag == "tensor") return context.value(to_text(content));
        if (tag == "float") return as_double(json);
        if (tag == "operator") return OperatorName{to_text(content)};
        if (tag == "graph") return context.subgraph(to_object(content));
        if (tag == "complex") {
            if (to_array(content).size() != 2) throw ParseError("expected [real, imaginary]");
            return std::complex<double>(as_double(content[0]), as_double(content[1]));
        }
        if (tag == "dict") {
            ArgumentMap map;
            for (const Json& pair : to_array(content)) {
                if (to_array(pair).size() != 2) throw ParseError("expected pairs of a key and a value");
                map.emplace_back(to_text(pair[0]), read_argument(context, pair[1], SchemaKind::Other));
            }
            return map;
        }
        throw ParseError("unknown type of value");
    });
}

inline Argument read_argument(const ArgumentContext& context, const Json& json, SchemaKind kind) {
    switch (json.type()) {
        case Json::value_t::null:
            return None{};
        case Json::value_t::boolean:
            return json.get<bool>();
        case Json::value_t::number_integer:
        case Json::value_t::number_unsigned:
            return json.get<std::int64_t>();
        case Json::value_t::number_float:
            return json.get<double>();
        case Json::value_t::string:
            return read_string(to_text(json), kind);
        case Json::value_t::array: {
            ArgumentList list;
            for (const Json& element : json) list.push_back(read_argument(context, element, kind));
            return list;
        }
        default:
            return read_tagged(context, to_object(json));
    }
}

/// Joins the flat `inputs` and the `attrs` of one node.
class ArgumentsReader {
  public:
    ArgumentsReader(const ArgumentContext& context, const Json& node, const std::string& op_type,
                    std::vector<ValueRef> inputs)
        : context_(context), node_(node), op_type_(op_type), schema_(find_schema(op_type)), inputs_(std::move(inputs)) {
        const Json* attrs = find_member(node_, "attrs");
        attrs_ = attrs ? &with_context(
                             "attrs", [&]() -> auto& { return to_object(*attrs); })
                       : &no_attrs();
        read_list_marks();
    }

    std::vector<NamedArgument> read() {
        if (const Json* places = find_member(node_, "input_args"))
            take_inputs_by_place(*places);
        else if (schema_)
            take_inputs_by_schema();
        else
            for (const ValueRef input : inputs_) unnamed_.emplace(unnamed_.size(), input);
        take_attrs();
        return in_order();
    }

  private:
    static const Json& no_attrs() {
        static const Json empty = Json::object();
        return empty;
    }

    void read_list_marks() {
        if (const Json* sizes = find_member(*attrs_, "_tensor_list_sizes"))
            for_each_element(*sizes, "attrs: _tensor_list_sizes",
                             [&](const Json& size, std::size_t) { sizes_.push_back(as_index(size)); });
        if (const Json* masks = find_member(*attrs_, "_tensor_list_none_masks"))
            for_each_element(*masks, "attrs: _tensor_list_none_masks", [&](const Json& mask, std::size_t) {
                masks_.emplace_back();
                for (const Json& is_none : to_array(mask)) masks_.back().push_back(to_bool(is_none));
            });
    }

    // With `input_args`: each input says where it goes.

    void take_inputs_by_place(const Json& places) {
        if (to_array(places).size() != inputs_.size())
            throw ParseError("input_args has " + std::to_string(places.size()) + " entries for " +
                             std::to_string(inputs_.size()) + " inputs");
        for_each_element(places, "input_args", [&](const Json& entry, std::size_t i) {
            const std::string& place = to_text(entry);
            const std::size_t bracket = place.find('[');
            Argument& slot = named_slot(place.substr(0, bracket));
            if (bracket == std::string::npos) {
                if (!slot.is_none()) throw ParseError("'" + place + "' is given twice");
                slot = inputs_[i];
            } else {
                put_in_list(slot, list_index(place, bracket), inputs_[i]);
            }
        });
        for (Argument* list : lists_) restore_trailing_none(*list->get_if<ArgumentList>());
    }

    Argument& named_slot(const std::string& name) {
        if (const auto position = as_position(name)) return unnamed_[*position];
        return named_[name];
    }

    /// Unnamed operands are keyed by their position.
    static std::optional<std::size_t> as_position(std::string_view name) {
        std::size_t position = 0;
        const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), position);
        if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
        return position;
    }

    static std::size_t list_index(const std::string& place, std::size_t bracket) {
        const auto index = place.ends_with(']')
                               ? as_position(std::string_view(place).substr(bracket + 1, place.size() - bracket - 2))
                               : std::nullopt;
        if (!index || *index >= max_list_size) throw ParseError("malformed place '" + place + "'");
        return *index;
    }

    void put_in_list(Argument& slot, std::size_t index, ValueRef input) {
        if (slot.is_none()) {
            slot = ArgumentList{};
            lists_.push_back(&slot);
        }
        auto* list = slot.get_if<ArgumentList>();
        if (!list || index < list->size()) throw ParseError("list elements out of order");
        list->resize(index + 1);
        list->back() = input;
    }

    /// The places do not tell how many None end a list: the mask that fits does.
    void restore_trailing_none(ArgumentList& list) {
        const auto fits = [&](const std::vector<bool>& mask) {
            if (mask.size() < list.size()) return false;
            for (std::size_t i = 0; i < mask.size(); ++i)
                if (mask[i] != (i >= list.size() || list[i].is_none())) return false;
            return true;
        };
        const auto mask = std::find_if(masks_.begin() + static_cast<std::ptrdiff_t>(next_mask_), masks_.end(), fits);
        if (mask == masks_.end()) return;
        list.resize(mask->size());
        next_mask_ = static_cast<std::size_t>(mask - masks_.begin()) + 1;
    }

    // Without: pytorch-ir's convention, inputs in the order of the schema's tensor parameters.

    void take_inputs_by_schema() {
        for (const SchemaParameter& parameter : schema_->parameters) {
            if (parameter.type.kind != SchemaKind::Tensor) continue;
            const bool in_attrs = attrs_->contains(parameter.name);
            if (parameter.type.list)
                take_list(parameter, in_attrs);
            else if (!in_attrs && next_input_ < inputs_.size() && !belongs_to_later(parameter))
                named_[parameter.name] = inputs_[next_input_++];
        }
        while (next_input_ < inputs_.size()) unnamed_.emplace(unnamed_.size(), inputs_[next_input_++]);
    }

    void take_list(const SchemaParameter& parameter, bool in_attrs) {
        std::size_t size = in_attrs ? 0 : inputs_.size() - next_input_;
        if (next_size_ < sizes_.size()) size = std::min(size, sizes_[next_size_++]);
        if (in_attrs) return;
        if (size == 0 && parameter.default_value) return;
        const std::vector<bool> mask = next_mask_ < masks_.size() ? masks_[next_mask_++] : std::vector<bool>(size);
        ArgumentList list;
        for (const bool is_none : mask) {
            const bool none_left = next_input_ == inputs_.size();
            list.push_back(is_none || none_left ? Argument(None{}) : Argument(inputs_[next_input_++]));
        }
        named_[parameter.name] = std::move(list);
    }

    /// pytorch-ir does not tell which optional tensors were None. When there are too few inputs for all parameters
    /// left, required ones come first, and an input called like a later parameter (`b_bn_running_mean`) belongs to it.
    bool belongs_to_later(const SchemaParameter& parameter) const {
        if (!parameter.type.optional) return false;
        std::size_t required = 0;
        std::size_t possible = 1;
        bool named_like_later = false;
        const std::string input = context_.name(inputs_[next_input_]);
        for (const auto* later = &parameter + 1; later != schema_->parameters.data() + schema_->parameters.size();
             ++later) {
            if (later->type.kind != SchemaKind::Tensor || attrs_->contains(later->name)) continue;
            ++possible;
            required += !later->type.optional && !later->type.list;
            named_like_later |= input.ends_with(later->name);
        }
        const std::size_t left = inputs_.size() - next_input_;
        if (left >= possible) return false;
        return left <= required || (named_like_later && !input.ends_with(parameter.name));
    }

    void take_attrs() {
        for (const auto& [name, json] : attrs_->items()) {
            if (name == "_tensor_list_sizes" || name == "_tensor_list_none_masks") continue;
            const SchemaParameter* parameter = schema_ ? schema_->find(name) : nullptr;
            const SchemaKind kind = parameter ? parameter->type.kind : SchemaKind::Other;
            const auto position = as_position(name);
            if (position ? unnamed_.contains(*position) : named_.contains(name))
                throw ParseError("attrs: '" + name + "' is given twice");
            Argument value = with_context([&, &name = name] { return "attrs: '" + name + "'"; },
                                          [&, &json = json] { return read_argument(context_, json, kind); });
            if (position)
                unnamed_[*position] = std::move(value);
            else
                named_[name] = std::move(value);
        }
    }

    /// Unnamed ones first, then the schema's order; without a schema the order of inputs and then names.
    std::vector<NamedArgument> in_order() {
        std::vector<NamedArgument> arguments;
        for (auto& [position, value] : unnamed_) arguments.push_back({"", std::move(value)});
        const auto take = [&](const std::string& name) {
            if (auto node = named_.extract(name)) arguments.push_back({name, std::move(node.mapped())});
        };
        if (schema_)
            for (const SchemaParameter& parameter : schema_->parameters) take(parameter.name);
        if (op_type_ == "torch.sym_ite")  // a Python function: if b then t else f
            for (const char* name : {"b", "t", "f"}) take(name);
        if (const Json* places = find_member(node_, "input_args"))
            for (const Json& place : *places) take(to_text(place).substr(0, to_text(place).find('[')));
        while (!named_.empty()) take(std::string(named_.begin()->first));
        return arguments;
    }

    static constexpr std::size_t max_list_size = 1 << 20;

    const ArgumentContext& context_;
    const Json& node_;
    const std::string& op_type_;
    const Json* attrs_;
    const Schema* schema_;
    std::vector<ValueRef> inputs_;
    std::vector<std::size_t> sizes_;
    std::vector<std::vector<bool>> masks_;
    std::size_t next_input_ = 0;
    std::size_t next_size_ = 0;
    std::size_t next_mask_ = 0;
    std::map<std::size_t, Argument> unnamed_;
    std::map<std::string, Argument, std::less<>> named_;
    std::vector<Argument*> lists_;  // into the maps, whose elements do not move
};

}  // namespace torch_ir::detail
