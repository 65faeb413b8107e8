// SPDX-License-Identifier: MIT
// The exceptions of the library: one root, one kind for each question "who has to change what".
#pragma once

#include <exception>
#include <stdexcept>
#include <string>
#include <utility>

namespace torch_ir {

/// Root of all exceptions thrown here. what() is one sentence, lower case, preceded by the contexts added on its way
/// up: `model.pt2: node 'conv2d_3' (aten.conv2d.default): argument 'weight' is missing`.
class Error : public std::exception {
  public:
    explicit Error(std::string message) : message_(std::move(message)) {}

    const char* what() const noexcept override { return message_.c_str(); }

    /// Puts `context: ` in front of the message; used where a file, node or tensor name becomes known.
    void add_context(const std::string& context) { message_ = context + ": " + message_; }

  private:
    std::string message_;
};

/// A file cannot be opened, mapped, read or written.
class IoError : public Error {
    using Error::Error;
};

/// The bytes of a file do not form what its format says.
class ParseError : public Error {
    using Error::Error;
};

/// An operator schema line is malformed, or a node does not conform to its op's schema.
class SchemaError : public Error {
    using Error::Error;
};

/// An argument of an op, or a value given by the user, is not acceptable (shape, dtype, range, name).
class ArgumentError : public Error {
    using Error::Error;
};

/// Well-formed, but beyond what this library or build can do (op, dtype, version, container kind).
class UnsupportedError : public Error {
    using Error::Error;
};

/// Runs `f`; an Error leaving it gets `context` (a string, or a callable returning one) in front.
template <class Context, class F>
auto with_context(const Context& context, F&& f) -> decltype(f()) {
    try {
        return f();
    } catch (Error& error) {
        if constexpr (requires { context(); })
            error.add_context(context());
        else
            error.add_context(context);
        throw;
    }
}

/// Runs `f`, code of others. What leaves it that has a message but is none of ours, or is no exception at all, becomes
/// an Error, so that contexts can be added. Exceptions that derive from std::exception alone keep their type.
template <class F>
auto with_errors(F&& f) -> decltype(f()) {
    try {
        return f();
    } catch (const std::runtime_error& error) {
        throw Error(error.what());
    } catch (const std::logic_error& error) {
        throw Error(error.what());
    } catch (const std::exception&) {
        throw;
    } catch (...) {
        throw Error("something was thrown that is no std::exception");
    }
}

}  // namespace torch_ir
