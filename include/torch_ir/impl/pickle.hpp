// SPDX-License-Identifier: MIT
// Interprets the pickle opcodes that torch.save and TorchScript write, over a closed set of values. Nothing is imported
// or called: a global is a pair of names, and the few callables that checkpoints need are known by name here.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "torch_ir/dtype.hpp"
#include "torch_ir/error.hpp"
#include "torch_ir/impl/bytes.hpp"
#include "torch_ir/impl/pickle_value.hpp"
#include "torch_ir/text.hpp"

namespace torch_ir::detail::pickle {

/// The element type of a storage class, by its last name: `FloatStorage` of torch, torch.cuda or torch.storage.
inline std::optional<DType> storage_dtype(std::string_view name) {
    constexpr std::array<std::pair<std::string_view, DType>, 18> table{{{"DoubleStorage", DType::Float64},
                                                                        {"FloatStorage", DType::Float32},
                                                                        {"HalfStorage", DType::Float16},
                                                                        {"BFloat16Storage", DType::BFloat16},
                                                                        {"LongStorage", DType::Int64},
                                                                        {"IntStorage", DType::Int32},
                                                                        {"ShortStorage", DType::Int16},
                                                                        {"CharStorage", DType::Int8},
                                                                        {"ByteStorage", DType::UInt8},
                                                                        {"BoolStorage", DType::Bool},
                                                                        {"ComplexFloatStorage", DType::Complex64},
                                                                        {"ComplexDoubleStorage", DType::Complex128},
                                                                        {"QInt8Storage", DType::QInt8},
                                                                        {"QUInt8Storage", DType::QUInt8},
                                                                        {"QInt32Storage", DType::QInt32},
                                                                        {"QUInt4x2Storage", DType::QUInt4x2},
                                                                        {"QUInt2x4Storage", DType::QUInt2x4},
                                                                        {"UntypedStorage", DType::UInt8}}};
    for (const auto& [text, dtype] : table)
        if (text == name) return dtype;
    return std::nullopt;
}

/// What becomes of a callable that is not known here: an error, or a value of which nothing is known.
enum class UnknownCalls : std::uint8_t { Refuse, Opaque };

/// The machine. Its errors carry the position of the opcode.
class Machine {
  public:
    explicit Machine(Bytes bytes, UnknownCalls unknown_calls = UnknownCalls::Refuse)
        : bytes_(bytes), unknown_calls_(unknown_calls) {}

    /// Runs until STOP.
    Program run() {
        make(None{});  // Ref 0, the state of records without one
        while (true) {
            opcode_at_ = at_;
            const auto opcode = number<std::uint8_t>();
            if (opcode == '.') break;
            try {
                step(opcode);
            } catch (ParseError& error) {
                error.add_context("pickle byte " + std::to_string(opcode_at_));
                throw;
            }
        }
        program_.root = pop();
        if (!stack_.empty() || !marks_.empty()) throw ParseError("the pickle leaves values on its stack");
        program_.consumed = at_;
        return std::move(program_);
    }

  private:
    // --- input

    Bytes take(std::uint64_t size) {
        if (!fits(at_, size, bytes_.size())) throw ParseError("the pickle is truncated");
        const Bytes result = bytes_.subspan(at_, size);
        at_ += size;
        return result;
    }

    template <class T>
    T number() {
        return load<T>(take(sizeof(T)), 0);
    }

    std::string text(std::uint64_t size) { return std::string(as_text(take(size))); }

    std::string line() {
        const std::string_view rest = as_text(bytes_.subspan(at_));
        const std::size_t end = rest.find('\n');
        if (end == std::string_view::npos) throw ParseError("the pickle is truncated");
        at_ += end + 1;
        return std::string(rest.substr(0, end));
    }

    // --- values and the stack

    Ref make(Value value) {
        program_.values.push_back(std::move(value));
        return static_cast<Ref>(program_.values.size() - 1);
    }

    void push(Value value) { stack_.push_back(make(std::move(value))); }

    Ref top() {
        if (stack_.empty() || (!marks_.empty() && marks_.back() == stack_.size()))
            throw ParseError("the pickle takes a value from an empty stack");
        return stack_.back();
    }

    Ref pop() {
        const Ref ref = top();
        stack_.pop_back();
        return ref;
    }

    std::vector<Ref> pop(std::size_t count) {
        std::vector<Ref> items(count);
        for (std::size_t i = count; i-- > 0;) items[i] = pop();
        return items;
    }

    std::vector<Ref> pop_to_mark() {
        if (marks_.empty()) throw ParseError("the pickle lacks a MARK");
        std::vector<Ref> items(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()), stack_.end());
        stack_.resize(marks_.back());
        marks_.pop_back();
        return items;
    }

    Value& value(Ref ref) { return program_.values[ref]; }

    template <class T>
    T& get(Ref ref, std::string_view expected) {
        if (T* found = std::get_if<T>(&value(ref))) return *found;
        throw ParseError("expected " + std::string(expected) + ", found " + std::string(kind_name(value(ref))));
    }

    /// The items of a sequence that is copied, e.g. by set(). Repeating that over one long list must not fill the
    /// memory.
    std::vector<Ref> copy_items(Ref ref) {
        const auto& items = get<Sequence>(ref, "a sequence").items;
        count_copies(items.size());
        return items;
    }

    void count_copies(std::size_t count) {
        constexpr std::size_t limit = std::size_t{1} << 24;
        if (count > limit - copied_) throw ParseError("the pickle copies its containers too often");
        copied_ += count;
    }

    std::int64_t integer(Ref ref) { return get<std::int64_t>(ref, "an int"); }

    std::vector<std::int64_t> integers(Ref ref) {
        std::vector<std::int64_t> result;
        for (const Ref item : copy_items(ref)) result.push_back(integer(item));
        return result;
    }

    // --- opcodes

    void step(std::uint8_t opcode) {
        switch (opcode) {
            case 0x80:
                return check_protocol();
            case 0x95:
                return void(take(8));  // FRAME: a hint on buffering
            case '(':
                return marks_.push_back(stack_.size());
            case 'N':
                return push(None{});
            case 0x88:
                return push(true);
            case 0x89:
                return push(false);
            case 'J':
                return push(std::int64_t{number<std::int32_t>()});
            case 'K':
                return push(std::int64_t{number<std::uint8_t>()});
            case 'M':
                return push(std::int64_t{number<std::uint16_t>()});
            case 0x8a:
                return push_long(number<std::uint8_t>());
            case 'G':
                return push(std::bit_cast<double>(__builtin_bswap64(number<std::uint64_t>())));
            case 'X':
                return push_string(number<std::uint32_t>());
            case 0x8c:
                return push_string(number<std::uint8_t>());
            case 'U':
                return push_string(number<std::uint8_t>());  // Python 2 str
            case 'T':
                return push_string(number<std::uint32_t>());
            case 'C':
                return push(Binary{text(number<std::uint8_t>())});
            case 'B':
                return push(Binary{text(number<std::uint32_t>())});
            case ')':
                return push(Sequence{Sequence::Kind::Tuple, {}});
            case 't':
                return push(Sequence{Sequence::Kind::Tuple, pop_to_mark()});
            case 0x85:
                return push(Sequence{Sequence::Kind::Tuple, pop(1)});
            case 0x86:
                return push(Sequence{Sequence::Kind::Tuple, pop(2)});
            case 0x87:
                return push(Sequence{Sequence::Kind::Tuple, pop(3)});
            case ']':
                return push(Sequence{Sequence::Kind::List, {}});
            case 0x8f:
                return push(Sequence{Sequence::Kind::Set, {}});
            case 'a':
                return append(pop(1), Sequence::Kind::List);
            case 'e':
                return append(pop_to_mark(), Sequence::Kind::List);
            case 0x90:
                return append(pop_to_mark(), Sequence::Kind::Set);
            case '}':
                return push(Dict{});
            case 's':
                return set_items(pop(2));
            case 'u':
                return set_items(pop_to_mark());
            case 'q':
                return memoize(number<std::uint8_t>());
            case 'r':
                return memoize(number<std::uint32_t>());
            case 0x94:
                return memoize(static_cast<std::uint32_t>(memo_.size()));
            case 'h':
                return recall(number<std::uint8_t>());
            case 'j':
                return recall(number<std::uint32_t>());
            case 'c': {
                std::string module = line();
                return push_global(std::move(module), line());
            }
            case 0x93: {
                const std::vector<Ref> names = pop(2);
                return push_global(get<std::string>(names[0], "a string"), get<std::string>(names[1], "a string"));
            }
            case 'Q':
                return push_persistent(pop());
            case 'R':
                return reduce(pop(2));
            case 0x81:
                return make_record(pop(2));
            case 'b':
                return build(pop());
            default:
                refuse_opcode(opcode);
        }
    }

    [[noreturn]] static void refuse_opcode(std::uint8_t opcode) {
        constexpr std::string_view digits = "0123456789abcdef";
        throw UnsupportedError(std::string("pickle opcode 0x") + digits[opcode >> 4] + digits[opcode & 15] +
                               " is not one that torch.save writes");
    }

    void check_protocol() {
        if (const auto protocol = number<std::uint8_t>(); protocol > 5)
            throw UnsupportedError("pickle protocol " + std::to_string(protocol) + " is newer than 5");
    }

    void push_long(std::size_t size) {
        const Bytes digits = take(size);  // two's complement, little endian
        if (size > 8) return push(Opaque{"an int of more than 64 bits"});
        std::uint64_t bits = size > 0 && (std::to_integer<unsigned>(digits.back()) & 0x80) ? ~std::uint64_t{0} : 0;
        for (std::size_t i = size; i-- > 0;) bits = bits << 8 | std::to_integer<std::uint64_t>(digits[i]);
        push(static_cast<std::int64_t>(bits));
    }

    void push_string(std::size_t size) {
        std::string string = text(size);
        // Python writes lone surrogates (and Python 2 any bytes); these cannot be names of tensors.
        if (is_utf8(string))
            push(std::move(string));
        else
            push(Binary{std::move(string)});
    }

    void append(const std::vector<Ref>& items, Sequence::Kind kind) {
        auto& sequence = get<Sequence>(top(), kind == Sequence::Kind::List ? "a list" : "a set");
        if (sequence.kind != kind) throw ParseError("the pickle appends to a sequence of another kind");
        sequence.items.insert(sequence.items.end(), items.begin(), items.end());
    }

    void set_items(const std::vector<Ref>& items) {
        auto& dict = get<Dict>(top(), "a dict");
        if (items.size() % 2 != 0) throw ParseError("the pickle sets a key without a value");
        for (std::size_t i = 0; i < items.size(); i += 2) dict.items.emplace_back(items[i], items[i + 1]);
    }

    void memoize(std::uint32_t slot) { memo_[slot] = top(); }

    void recall(std::uint32_t slot) {
        const auto found = memo_.find(slot);
        if (found == memo_.end())
            throw ParseError("the pickle recalls memo slot " + std::to_string(slot) + ", which is unset");
        stack_.push_back(found->second);
    }

    // --- globals, storages, objects

    void push_global(std::string module, std::string name) {
        const std::string text = module + "." + name;
        constexpr std::size_t max_length = 1000;  // it is copied with each object of the class
        if (text.size() > max_length || !is_utf8(text))
            throw ParseError("a global's name is not UTF-8 text of at most 1000 bytes");
        // These are refused at sight, called or not: no checkpoint needs them.
        constexpr std::array<std::string_view, 14> dangerous{"os",     "posix",  "nt",       "sys",        "subprocess",
                                                             "shutil", "socket", "pty",      "runpy",      "importlib",
                                                             "ctypes", "code",   "builtins", "__builtin__"};
        constexpr std::array<std::string_view, 16> harmless{
            "set",   "frozenset", "complex", "bytearray", "dict",   "list",  "tuple", "int",
            "float", "bool",      "str",     "bytes",     "object", "slice", "range", "type"};
        const bool builtin = module == "builtins" || module == "__builtin__";
        if (std::ranges::find(dangerous, module.substr(0, module.find('.'))) != dangerous.end() &&
            !(builtin && std::ranges::find(harmless, name) != harmless.end()))
            throw UnsupportedError("the pickle names '" + text + "', which is not on the list of safe names");
        if (module == "torch")
            if (const auto dtype = parse_dtype(name)) return push(*dtype);
        push(Global{std::move(module), std::move(name)});
    }

    /// ('storage', class, key, location, numel), in legacy files with view metadata as a sixth.
    void push_persistent(Ref id) {
        const auto& fields = get<Sequence>(id, "a tuple as persistent id").items;
        const auto* tag = fields.empty() ? nullptr : std::get_if<std::string>(&value(fields[0]));
        if (tag && *tag == "module" && fields.size() == 4) {  // ('module', class, file, source): the class is meant
            stack_.push_back(fields[1]);
            return;
        }
        if (!tag || *tag != "storage" || fields.size() < 5 || fields.size() > 6)
            throw ParseError("expected a persistent id ('storage', class, key, location, numel)");
        const auto& type = get<Global>(fields[1], "a storage class");
        const auto dtype = storage_dtype(type.name);
        if (!dtype) throw UnsupportedError("unknown storage class '" + type.text() + "'");
        const std::uint32_t index =
            intern({get<std::string>(fields[2], "a string as storage key"), *dtype, integer(fields[4])});
        StorageRef part{index, 0, program_.storages[index].numel};
        if (fields.size() == 6 && !std::holds_alternative<None>(value(fields[5]))) {
            const auto& view = get<Sequence>(fields[5], "a tuple as view metadata").items;
            if (view.size() != 3) throw ParseError("expected view metadata (key, offset, size)");
            const std::int64_t numel = part.numel;
            part.offset = integer(view[1]);
            part.numel = integer(view[2]);
            if (part.offset < 0 || part.numel < 0 || part.offset > numel || part.numel > numel - part.offset)
                throw ParseError("a view leaves its storage '" + program_.storages[index].key + "'");
        }
        push(part);
    }

    std::uint32_t intern(Storage storage) {
        if (storage.numel < 0) throw ParseError("storage '" + storage.key + "' has a negative size");
        const auto [found, is_new] =
            storage_index_.try_emplace(storage.key, static_cast<std::uint32_t>(program_.storages.size()));
        if (is_new) {
            program_.storages.push_back(std::move(storage));
        } else if (const Storage& first = program_.storages[found->second];
                   first.dtype != storage.dtype || first.numel != storage.numel) {
            throw ParseError("storage '" + storage.key + "' is declared twice, with different types or sizes");
        }
        return found->second;
    }

    /// callable(*arguments), for the callables known here.
    void reduce(const std::vector<Ref>& operands) {
        const Global callable = get<Global>(operands[0], "a callable");
        const std::vector<Ref> arguments = copy_items(operands[1]);
        stack_.push_back(call(callable, arguments));
    }

    [[noreturn]] static void refuse_call(const Global& callable) {
        throw UnsupportedError("the pickle calls '" + callable.text() + "', which is not on the list of safe names");
    }

    Ref call(const Global& callable, const std::vector<Ref>& arguments);
    std::string encode(const std::vector<Ref>& arguments);
    Ref rebuild_tensor(const std::vector<Ref>& arguments, bool has_dtype);
    Ref make_sequence(Sequence::Kind kind, const std::vector<Ref>& arguments);
    Ref make_dict(const std::vector<Ref>& arguments);

    void make_record(const std::vector<Ref>& operands) {
        get<Global>(operands[0], "a class");
        get<Sequence>(operands[1], "a tuple of arguments");
        push(Record{operands[0], operands[1], 0});
    }

    /// Only records keep the state: what torch puts on dicts (`_metadata`) and tensors is not needed.
    void build(Ref state) {
        if (auto* record = std::get_if<Record>(&value(top())))
            record->state = state;
        else if (std::holds_alternative<Global>(value(top())))
            throw ParseError("the pickle sets the state of a global");
    }

    Bytes bytes_;
    std::size_t at_ = 0;
    std::size_t opcode_at_ = 0;
    Program program_;
    std::vector<Ref> stack_;
    std::vector<std::size_t> marks_;  // stack sizes
    std::map<std::uint32_t, Ref> memo_;
    std::map<std::string, std::uint32_t> storage_index_;
    std::size_t copied_ = 0;
    UnknownCalls unknown_calls_;
};

inline Ref Machine::call(const Global& callable, const std::vector<Ref>& arguments) {
    const std::string text = callable.text();
    const auto need = [&](std::size_t count) {
        if (arguments.size() < count)
            throw ParseError("'" + text + "' needs " + std::to_string(count) + " arguments, found " +
                             std::to_string(arguments.size()));
    };
    const auto is_builtin = [&](std::string_view name) {
        return callable.name == name && (callable.module == "builtins" || callable.module == "__builtin__");
    };

    if (callable.module == "torch._utils") {
        if (callable.name == "_rebuild_tensor") return need(4), rebuild_tensor(arguments, false);
        if (callable.name == "_rebuild_tensor_v2") return need(6), rebuild_tensor(arguments, false);
        if (callable.name == "_rebuild_tensor_v3") return need(7), rebuild_tensor(arguments, true);
        if (callable.name == "_rebuild_qtensor")
            return need(7), rebuild_tensor({arguments.begin(), arguments.begin() + 4}, false);
        if (callable.name == "_rebuild_parameter" || callable.name == "_rebuild_parameter_with_state")
            return need(1), arguments[0];
        if (callable.name == "_rebuild_meta_tensor_no_storage") return make(Opaque{"a meta tensor without data", true});
        if (callable.name == "_rebuild_sparse_tensor") return make(Opaque{"a sparse tensor", true});
    }
    if (text == "torch._tensor._rebuild_from_type_v2") {
        need(3);
        const Global inner = get<Global>(arguments[0], "a callable");
        if (inner.module != "torch._utils") refuse_call(inner);
        // A subclass of Tensor without storage of its own: its state holds the inner tensors.
        if (inner.name == "_rebuild_wrapper_subclass") {
            need(4);
            get<Global>(arguments[1], "a class");
            return make(Record{arguments[1], arguments[2], arguments[3]});
        }
        return call(inner, copy_items(arguments[2]));
    }
    if (callable.module == "torch.jit._pickle" &&
        (callable.name.starts_with("build_") || callable.name == "restore_type_tag"))
        return need(1), arguments[0];

    if (text == "collections.OrderedDict" || text == "collections.Counter") return make_dict(arguments);
    if (text == "collections.defaultdict") return make(Dict{});
    if (is_builtin("set") || is_builtin("frozenset")) return make_sequence(Sequence::Kind::Set, arguments);
    if (text == "torch.Size") return make_sequence(Sequence::Kind::Tuple, arguments);
    if (is_builtin("complex")) {
        need(2);
        return make(std::complex(get<double>(arguments[0], "a float"), get<double>(arguments[1], "a float")));
    }
    if (text == "_codecs.encode") return need(2), make(Binary{encode(arguments)});
    for (const std::string_view inert :
         {"torch.device", "torch.serialization._get_layout", "numpy.dtype", "numpy.core.multiarray.scalar",
          "numpy._core.multiarray.scalar", "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"})
        if (text == inert) return make(Opaque{text});
    if (is_builtin("bytearray") || is_builtin("slice") || is_builtin("range")) return make(Opaque{text});
    if (unknown_calls_ == UnknownCalls::Opaque) return make(Opaque{text});
    refuse_call(callable);
}

/// `text.encode(encoding)`: bytes that protocol 2 writes as text.
inline std::string Machine::encode(const std::vector<Ref>& arguments) {
    const std::string& text = get<std::string>(arguments[0], "a string");
    if (get<std::string>(arguments[1], "the name of an encoding") != "latin1") return text;
    std::string bytes;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto lead = static_cast<unsigned char>(text[i]);
        if (lead > 0xc3) throw ParseError("text that is to be bytes holds a character above 255");
        bytes += lead < 0x80 ? text[i] : static_cast<char>((lead & 3) << 6 | (text[++i] & 0x3f));
    }
    return bytes;
}

/// storage, offset, size, stride[, requires_grad, hooks[, dtype]][, metadata]
inline Ref Machine::rebuild_tensor(const std::vector<Ref>& arguments, bool has_dtype) {
    if (std::holds_alternative<Opaque>(value(arguments[0]))) return make(Opaque{"a tensor in a nested pickle", true});
    const StorageRef storage = get<StorageRef>(arguments[0], "a storage");
    Tensor tensor{storage,
                  program_.storages[storage.index].dtype,
                  integers(arguments[2]),
                  integers(arguments[3]),
                  integer(arguments[1]),
                  false,
                  false};
    if (has_dtype) tensor.dtype = get<DType>(arguments[6], "a dtype");
    const std::size_t metadata = has_dtype ? 7 : 6;
    if (arguments.size() > metadata && std::holds_alternative<Dict>(value(arguments[metadata])))
        for (const auto& [key, flag] : std::get<Dict>(value(arguments[metadata])).items) {
            const auto* name = std::get_if<std::string>(&value(key));
            const bool* set = std::get_if<bool>(&value(flag));
            if (name && set && *name == "conj") tensor.conjugate = *set;
            if (name && set && *name == "neg") tensor.negative = *set;
        }
    return make(std::move(tensor));
}

/// set([…]), torch.Size((…)).
inline Ref Machine::make_sequence(Sequence::Kind kind, const std::vector<Ref>& arguments) {
    Sequence sequence{kind, {}};
    if (!arguments.empty()) sequence.items = copy_items(arguments[0]);
    return make(std::move(sequence));
}

/// OrderedDict([[key, value], …]), Counter({…}).
inline Ref Machine::make_dict(const std::vector<Ref>& arguments) {
    if (arguments.empty()) return make(Dict{});
    if (const auto* dict = std::get_if<Dict>(&value(arguments[0]))) {
        count_copies(dict->items.size());
        return make(Dict(*dict));
    }
    Dict dict;
    for (const Ref item : copy_items(arguments[0])) {
        const auto& pair = get<Sequence>(item, "a pair").items;
        if (pair.size() != 2) throw ParseError("expected a pair");
        dict.items.emplace_back(pair[0], pair[1]);
    }
    return make(std::move(dict));
}

}  // namespace torch_ir::detail::pickle
