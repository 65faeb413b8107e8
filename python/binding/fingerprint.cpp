// SPDX-License-Identifier: MIT
// Tells whether a graph of Python objects has been changed: much quicker than building the model again.
#include <bit>

#include "binding/bindings.hpp"

namespace torch_ir::python {
namespace {

class Fingerprint {
  public:
    /// `records`: the classes whose objects are their attributes; other objects count by identity.
    explicit Fingerprint(nb::tuple records) : records_(std::move(records)) {}

    void add(nb::handle object, int depth = 0) {
        constexpr int deepest = 200;
        if (depth > deepest) return;
        const nb::handle type = object.type();
        mix(std::bit_cast<std::uintptr_t>(type.ptr()));
        if (nb::isinstance<nb::str>(object)) {
            mix(static_cast<std::uint64_t>(nb::hash(object)));
        } else if (nb::isinstance<nb::int_>(object)) {
            int overflow = 0;
            mix(static_cast<std::uint64_t>(PyLong_AsLongLongAndOverflow(object.ptr(), &overflow)));
            if (overflow != 0) mix(static_cast<std::uint64_t>(nb::hash(object)));
        } else if (nb::isinstance<nb::float_>(object)) {
            mix(std::bit_cast<std::uint64_t>(PyFloat_AsDouble(object.ptr())));
        } else if (nb::isinstance<nb::list>(object) || nb::isinstance<nb::tuple>(object)) {
            const std::size_t size = nb::len(object);
            mix(size);
            for (const nb::handle element : object) add(element, depth + 1);
        } else if (nb::isinstance<nb::dict>(object)) {
            add_dict(nb::borrow<nb::dict>(object), depth);
        } else if (is_record(type)) {
            add_dict(nb::cast<nb::dict>(object.attr("__dict__")), depth);
        } else {
            mix(std::bit_cast<std::uintptr_t>(object.ptr()));
        }
    }

    std::uint64_t value() const { return state_; }

  private:
    bool is_record(nb::handle type) const {
        for (const nb::handle record : records_)
            if (record.is(type)) return true;
        return false;
    }

    void add_dict(const nb::dict& dict, int depth) {
        mix(dict.size());
        for (const auto& [key, value] : dict) {
            add(key, depth + 1);
            add(value, depth + 1);
        }
    }

    /// The finaliser of MurmurHash3.
    void mix(std::uint64_t value) {
        state_ = (state_ ^ value) * 0xff51afd7ed558ccdU;
        state_ = (state_ ^ (state_ >> 33U)) * 0xc4ceb9fe1a85ec53U;
        state_ ^= state_ >> 29U;
    }

    nb::tuple records_;
    std::uint64_t state_ = 0;
};

std::uint64_t fingerprint(nb::handle object, const nb::tuple& records) {
    Fingerprint result(records);
    result.add(object);
    return result.value();
}

}  // namespace

void bind_fingerprint(nb::module_& module) {
    module.def("fingerprint", &fingerprint, nb::arg("object"), nb::arg("records"),
               "A number that differs, practically always, when something in nested lists, dicts, numbers, texts and "
               "objects of the classes `records` does. Objects of other classes count by identity.");
}

}  // namespace torch_ir::python
