// SPDX-License-Identifier: MIT
// Bodies of checkpoint.hpp: where the storages lie, and the walk from a pickled object to named tensors.
#pragma once

#include <algorithm>
#include <map>
#include <optional>

#include "torch_ir/checkpoint.hpp"
#include "torch_ir/impl/bytes.hpp"
#include "torch_ir/impl/make_view.hpp"
#include "torch_ir/impl/pickle.hpp"

namespace torch_ir {

namespace detail {

namespace pickle {

/// An interpreted pickle and the bytes of its storages.
struct Loaded {
    Program program;
    std::vector<ZipData> storages;

    const Value& value(Ref ref) const { return program.values[ref]; }

    template <class T>
    const T* get_if(Ref ref) const {
        return std::get_if<T>(&value(ref));
    }

    TensorView view(const Tensor& tensor) const {
        const Storage& storage = program.storages[tensor.storage.index];
        const ZipData& data = storages[tensor.storage.index];
        const auto item = static_cast<std::int64_t>(item_size(storage.dtype));
        const Bytes part = data.bytes.subspan(static_cast<std::size_t>(tensor.storage.offset * item),
                                              static_cast<std::size_t>(tensor.storage.numel * item));
        TensorView view = make_view(tensor.dtype, tensor.shape, tensor.strides, tensor.offset, part, data.owner);
        view.conjugate = tensor.conjugate;
        view.negative = tensor.negative;
        return view;
    }
};

/// Bytes that a storage must have; numel is what the file claims.
inline std::uint64_t byte_size(const Storage& storage) {
    const auto size = checked_mul(storage.numel, static_cast<std::int64_t>(item_size(storage.dtype)));
    if (!size) throw ParseError("storage '" + storage.key + "' has more bytes than fit in 63 bits");
    return static_cast<std::uint64_t>(*size);
}

inline Loaded load_archive(const Archive& archive, Checksum checksum,
                           UnknownCalls unknown_calls = UnknownCalls::Refuse) {
    Loaded loaded{Machine(archive.read("data.pkl").bytes, unknown_calls).run(), {}};
    for (const Storage& storage : loaded.program.storages) {
        ZipData data = archive.read("data/" + storage.key, checksum);
        if (byte_size(storage) > data.bytes.size())
            throw ParseError("storage '" + storage.key + "' has " + std::to_string(data.bytes.size()) +
                             " bytes, expected " + std::to_string(byte_size(storage)));
        loaded.storages.push_back(std::move(data));
    }
    return loaded;
}

/// Pickles follow one another: magic number, protocol, system, object, storage keys; then the storages.
class LegacyLoader {
  public:
    LegacyLoader(Bytes bytes, std::shared_ptr<const void> owner) : rest_(bytes), owner_(std::move(owner)) {}

    Loaded load() {
        next();  // the magic number, by which the file was recognised
        const Program protocol = next();
        const auto* version = std::get_if<std::int64_t>(&protocol.values[protocol.root]);
        if (!version || *version != 1001)
            throw UnsupportedError("unknown protocol of a legacy checkpoint, expected 1001");
        check_system(next());
        Loaded loaded{next(), {}};
        loaded.storages.resize(loaded.program.storages.size());
        for (std::size_t i = 0; i < loaded.storages.size(); ++i) pending_.emplace(loaded.program.storages[i].key, i);
        const Program keys = next();
        const auto* list = std::get_if<Sequence>(&keys.values[keys.root]);
        if (!list) throw ParseError("expected the list of storage keys");
        for (const Ref ref : list->items) read_storage(keys.values[ref], loaded);
        if (!pending_.empty()) throw ParseError("storage '" + pending_.begin()->first + "' is missing");
        return loaded;
    }

  private:
    Program next() {
        Program program = Machine(rest_).run();
        rest_ = rest_.subspan(program.consumed);
        return program;
    }

    static void check_system(const Program& program) {
        const auto* dict = std::get_if<Dict>(&program.values[program.root]);
        if (!dict) throw ParseError("expected a dict that describes the writing system");
        for (const auto& [key, value] : dict->items) {
            const auto* name = std::get_if<std::string>(&program.values[key]);
            const auto* little = std::get_if<bool>(&program.values[value]);
            if (!name || *name != "little_endian") continue;
            if (little && *little) return;
            throw UnsupportedError("byte order 'big' is not supported, expected 'little'");
        }
        throw ParseError("the legacy checkpoint does not tell its byte order");
    }

    void read_storage(const Value& value, Loaded& loaded) {
        const auto* key = std::get_if<std::string>(&value);
        if (!key) throw ParseError("expected a string as storage key");
        const auto found = pending_.find(*key);
        if (found == pending_.end())
            throw ParseError("storage '" + *key + "' is listed twice, or not used by the object");
        const Storage& storage = loaded.program.storages[found->second];
        const std::uint64_t size = byte_size(storage);
        if (rest_.size() < 8) throw ParseError("storage '" + *key + "' is truncated");
        if (const auto numel = detail::load<std::int64_t>(rest_, 0); numel != storage.numel)
            throw ParseError("storage '" + *key + "' has " + std::to_string(numel) + " elements, expected " +
                             std::to_string(storage.numel));
        if (!fits(8, size, rest_.size())) throw ParseError("storage '" + *key + "' is truncated");
        loaded.storages[found->second] = {rest_.subspan(8, size), owner_};
        rest_ = rest_.subspan(8 + size);
        pending_.erase(found);
    }

    Bytes rest_;
    std::shared_ptr<const void> owner_;
    std::map<std::string, std::size_t> pending_;  // storages whose bytes have not been met yet
};

/// Follows the containers of a pickled object. Shared and cyclic references are legal, so the number of steps is
/// bounded.
class Walker {
  public:
    explicit Walker(const Loaded& loaded) : loaded_(loaded), active_(loaded.program.values.size()) {}

    /// Every tensor below the root, by path.
    Weights tensors() {
        collect_root(loaded_.program.root);
        return std::move(tensors_);
    }

    /// The leaves of (args, kwargs).
    std::vector<SampleInput> sample_inputs() {
        const auto* root = loaded_.get_if<Sequence>(loaded_.program.root);
        if (!root || root->items.size() != 2) throw ParseError("expected a tuple (args, kwargs) of sample inputs");
        flatten(root->items[0], "args");
        flatten(root->items[1], "kwargs");
        return std::move(leaves_);
    }

  private:
    static std::string join(const std::string& path, const std::string& key) {
        return path.empty() ? key : path + "." + key;
    }

    /// Text of a dict key; nothing for keys that are neither strings nor ints.
    std::optional<std::string> key_text(Ref ref) const {
        if (const auto* text = loaded_.get_if<std::string>(ref)) return *text;
        if (const auto* number = loaded_.get_if<std::int64_t>(ref)) return std::to_string(*number);
        return std::nullopt;
    }

    /// Runs `f` unless the value at `ref` is being visited already (a module that refers to its parent).
    template <class F>
    void enter(Ref ref, const std::string& path, const F& f) {
        constexpr std::size_t max_depth = 200, max_steps = 1 << 22;
        if (active_[ref]) return;
        if (++steps_ > max_steps) throw ParseError("the checkpoint's object has more than 4 million parts");
        if (depth_ >= max_depth) throw ParseError("'" + path.substr(0, 80) + "…': nested more than 200 levels deep");
        active_[ref] = true;
        ++depth_;
        f();
        --depth_;
        active_[ref] = false;
    }

    /// Training scripts wrap the state dict together with optimizer state and counters.
    void collect_root(Ref root) {
        const auto* dict = loaded_.get_if<Dict>(root);
        const auto wrapped = [&](std::string_view name) -> std::optional<Ref> {
            for (const auto& [key, value] : dict->items)
                if (const auto* text = loaded_.get_if<std::string>(key); text && *text == name)
                    if (loaded_.get_if<Dict>(value) || loaded_.get_if<Record>(value)) return value;
            return std::nullopt;
        };
        std::optional<Ref> inner;
        for (const std::string_view name : {"state_dict", "model_state_dict", "model"})
            if (dict && !inner) inner = wrapped(name);
        if (!inner) return collect(root, "");
        collect(*inner, "");
        for (const auto& [key, value] : dict->items)
            if (const auto text = key_text(key); text && value != *inner) collect(value, *text);
    }

    void collect(Ref ref, const std::string& path) {
        enter(ref, path, [&] {
            if (const auto* tensor = loaded_.get_if<Tensor>(ref)) {
                add(path, *tensor);
            } else if (const auto* opaque = loaded_.get_if<Opaque>(ref)) {
                if (opaque->is_tensor) throw UnsupportedError("tensor '" + path + "' is " + opaque->what);
            } else if (const auto* sequence = loaded_.get_if<Sequence>(ref)) {
                for (std::size_t i = 0; i < sequence->items.size(); ++i)
                    collect(sequence->items[i], join(path, std::to_string(i)));
            } else if (const auto* dict = loaded_.get_if<Dict>(ref)) {
                for (const auto& [key, value] : dict->items)
                    if (const auto text = key_text(key)) collect(value, join(path, *text));
            } else if (const auto* record = loaded_.get_if<Record>(ref)) {
                collect(record->arguments, path);
                collect_state(record->state, path);
            }
        });
    }

    /// Attributes of an object; those of torch.nn.Module that hold other attributes do not appear in the names.
    void collect_state(Ref state, const std::string& path) {
        if (const auto* parts = loaded_.get_if<Sequence>(state)) {  // (__dict__, __slots__)
            enter(state, path, [&] {
                for (const Ref part : parts->items) collect_state(part, path);
            });
            return;
        }
        const auto* dict = loaded_.get_if<Dict>(state);
        if (!dict) return;
        for (const auto& [key, value] : dict->items) {
            const auto text = key_text(key);
            if (!text) continue;
            const bool transparent = *text == "_parameters" || *text == "_buffers" || *text == "_modules";
            collect(value, transparent ? path : join(path, *text));
        }
    }

    void add(const std::string& path, const Tensor& tensor) {
        with_context([&] { return "tensor '" + path + "'"; },
                     [&] {
                         if (tensors_.find(path)) throw ParseError("two tensors have this name");
                         tensors_.insert(path, loaded_.view(tensor));
                     });
    }

    void flatten(Ref ref, const std::string& path) {
        enter(ref, path, [&] {
            if (const auto* sequence = loaded_.get_if<Sequence>(ref)) {
                for (std::size_t i = 0; i < sequence->items.size(); ++i)
                    flatten(sequence->items[i], join(path, std::to_string(i)));
            } else if (const auto* dict = loaded_.get_if<Dict>(ref)) {
                for (const auto& [key, value] : dict->items) flatten(value, join(path, key_text(key).value_or("?")));
            } else if (const auto* record = loaded_.get_if<Record>(ref)) {  // a namedtuple, a dataclass
                flatten(record->arguments, path);
                if (record->state != 0) flatten(record->state, path);
            } else if (const auto* tensor = loaded_.get_if<Tensor>(ref)) {
                leaves_.push_back(
                    {path, with_context([&] { return "'" + path + "'"; }, [&] { return loaded_.view(*tensor); })});
            } else {
                leaves_.push_back({path, scalar(ref, path)});
            }
        });
    }

    Argument scalar(Ref ref, const std::string& path) const {
        const auto convert = [&]<class T>(const T& value) -> Argument {
            if constexpr (std::is_constructible_v<Argument, const T&>)
                return Argument(value);
            else
                throw UnsupportedError("sample input '" + path +
                                       "' is of an unknown kind: " + std::string(kind_name(loaded_.value(ref))));
        };
        return std::visit(convert, loaded_.value(ref));
    }

    const Loaded& loaded_;
    std::vector<bool> active_;
    std::size_t depth_ = 0;
    std::size_t steps_ = 0;
    Weights tensors_;
    std::vector<SampleInput> leaves_;
};

}  // namespace pickle

/// Archives nested in a `.pt2`: torch.save wrote them.
inline Archive open_nested(const ZipData& data) {
    Archive nested = open_archive(data.bytes, data.owner);
    if (nested.kind != Archive::Kind::Checkpoint) throw ParseError("expected a nested torch.save archive");
    return nested;
}

}  // namespace detail

TORCH_IR_INLINE Weights read_checkpoint(const Archive& archive, Checksum checksum) {
    const auto loaded = detail::pickle::load_archive(archive, checksum);
    return detail::pickle::Walker(loaded).tensors();
}

TORCH_IR_INLINE bool looks_like_legacy_checkpoint(std::span<const std::byte> bytes) {
    constexpr std::string_view magic{"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15};
    return detail::as_text(bytes).starts_with(magic);
}

TORCH_IR_INLINE Weights read_legacy_checkpoint(std::span<const std::byte> bytes, std::shared_ptr<const void> owner) {
    const auto loaded = detail::pickle::LegacyLoader(bytes, std::move(owner)).load();
    return detail::pickle::Walker(loaded).tensors();
}

TORCH_IR_INLINE std::vector<SampleInput> read_sample_inputs(const std::filesystem::path& path, std::string_view model) {
    const auto file = map_file(path);
    return with_context(path.string(), [&]() -> std::vector<SampleInput> {
        const Archive archive = open_archive(file->bytes(), file);
        const std::string name = archive.kind == Archive::Kind::FlatPt2
                                     ? "serialized_example_inputs.pt"
                                     : "data/sample_inputs/" + select_model(archive, model) + ".pt";
        const ZipEntry* entry = archive.find(name);
        if (!entry || entry->size == 0) return {};
        return with_context(name, [&] {
            const Archive nested = detail::open_nested(archive.zip.read(*entry));
            const auto loaded = detail::pickle::load_archive(nested, Checksum::Skip);
            return detail::pickle::Walker(loaded).sample_inputs();
        });
    });
}

}  // namespace torch_ir
