// SPDX-License-Identifier: MIT
// Running models from Python. The interpreter lock is released while kernels compute and taken again for ops that are
// Python functions.
#include "interpreter.hpp"

#include <nanobind/stl/function.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "binding/bindings.hpp"
#include "generator.hpp"
#include "kernels/kernels.hpp"
#include "verification/compare.hpp"
#include "verification/recorder.hpp"

namespace torch_ir::python {
namespace {

/// A Python function as an op: it is given the values of the node's operands and returns a list of the node's results.
FunctionFn python_op(nb::object function) {
    return [function = keep_alive(std::move(function))](Context&, std::span<const IValue* const> args,
                                                        std::vector<IValue>& results) {
        const nb::gil_scoped_acquire gil;
        nb::list operands;
        for (const IValue* arg : args) operands.append(to_python(*arg));
        const nb::handle callable(static_cast<PyObject*>(const_cast<void*>(function.get())));
        for (const nb::handle result : nb::cast<nb::list>(callable(operands))) results.push_back(from_python(result));
    };
}

/// Keeps a copy of every value that a node computes.
class Values : public Observer {
  public:
    explicit Values(const Graph& graph) : graph_(graph) {}

    void node_ran(const Node& node, std::span<const IValue* const>, std::span<const IValue> results) override {
        for_each_result(graph_, node, results, [&](ValueRef ref, const Tensor& tensor) {
            tensors.insert_or_assign(graph_.value(ref).name, tensor.clone());
        });
    }

    State tensors;

  private:
    const Graph& graph_;
};

/// What random ops draw from; without one, from the process's generator.
using Seed = std::optional<std::uint64_t>;

class PyInterpreter {
  public:
    /// `functions`: ops of the graph that Python computes, by op_type.
    PyInterpreter(const PyModel& model, const nb::dict& functions) {
        const Registry* registry = &builtin_registry();
        if (functions.size() > 0) {
            registry_ = std::make_unique<Registry>();
            register_kernels(*registry_);
            for (const auto& [name, function] : functions)
                registry_->add_function(nb::cast<std::string>(name), python_op(nb::borrow(function)));
            registry = registry_.get();
        }
        const nb::gil_scoped_release no_gil;
        interpreter_ = std::make_unique<Interpreter>(model.model, *registry);
        is_dynamic_ = !model.model->symbols.empty() || !model.model->guards.empty();
    }

    void load_weights(const std::map<std::string, PyTensor>& tensors) {
        const nb::gil_scoped_release no_gil;
        Weights weights;
        for (const auto& [name, tensor] : tensors) weights.insert(name, to_view(tensor.tensor));
        interpreter_->load_weights(weights);
    }

    /// Runs with one value per value input of the user. Returns the outputs and the new state.
    nb::tuple run(const nb::list& inputs, const std::map<std::string, PyTensor>& state, Seed seed) const {
        State carried = to_state(state);
        const RunResult result = run_with(inputs, carried, seed, nullptr);
        nb::list outputs;
        for (const NamedValue& output : result.outputs) outputs.append(output_to_python(output.value));
        return nb::make_tuple(outputs, to_dict(result.mutations));
    }

    /// The same with a dictionary of every value that a node computed instead of the outputs.
    nb::dict intermediates(const nb::list& inputs, const std::map<std::string, PyTensor>& state, Seed seed) const {
        State carried = to_state(state);
        Values observer(interpreter_->model().graph);
        run_with(inputs, carried, seed, &observer);
        return to_dict(observer.tensors);
    }

  private:
    RunResult run_with(const nb::list& inputs, State& carried, Seed seed, Observer* observer) const {
        std::vector<IValue> values = to_values(inputs);
        std::optional<Generator> generator;
        RunOptions options;
        options.observer = observer;
        if (seed) options.generator = &generator.emplace(*seed);
        const nb::gil_scoped_release no_gil;
        return interpreter_->run(bind(std::move(values), carried), carried, options);
    }

    static State to_state(const std::map<std::string, PyTensor>& tensors) {
        State state;
        for (const auto& [name, tensor] : tensors) state.emplace(name, tensor.tensor);
        return state;
    }

    static nb::dict to_dict(const State& state) {
        nb::dict dict;
        for (const auto& [name, tensor] : state) dict[name.c_str()] = to_result(tensor);
        return dict;
    }

    static std::vector<IValue> to_values(const nb::list& objects) {
        std::vector<IValue> values;
        for (const nb::handle object : objects) values.push_back(from_python(object));
        return values;
    }

    static nb::object output_to_python(const IValue& value) {
        const auto* tensor = std::get_if<Tensor>(&value);
        return tensor && tensor->defined() ? nb::cast(to_result(*tensor)) : to_python(value);
    }

    /// The user inputs in the order of the graph, constants included. Sizes of a graph without symbols are those of
    /// the export, but the ops may well take others: as in pytorch-ir, that is for them to say.
    std::vector<IValue> bind(std::vector<IValue> values, const State& state) const {
        const Model& model = interpreter_->model();
        std::vector<IValue> bound;
        std::map<std::string, Tensor, std::less<>> named;
        std::size_t next = 0;
        for (std::size_t i = 0; i < model.inputs.size(); ++i) {
            if (model.inputs[i].kind != InputKind::UserInput) continue;
            bound.emplace_back(None{});
            const auto* ref = model.graph.inputs[i].get_if<ValueRef>();
            if (!ref) continue;
            if (next == values.size()) throw ArgumentError("too few inputs: " + std::to_string(next));
            IValue value = std::move(values[next++]);
            const Value& described = model.graph.value(*ref);
            if (const auto carried = state.find(described.name);
                std::holds_alternative<None>(value) && carried != state.end())
                value = carried->second;
            if (is_dynamic_) {
                if (const Tensor tensor = value_tensor(value); tensor.defined()) named.emplace(described.name, tensor);
            } else {
                bound.back() = checked(described, std::move(value));
            }
        }
        if (next != values.size())
            throw ArgumentError("expected " + std::to_string(next) + " inputs, got " + std::to_string(values.size()));
        return is_dynamic_ ? interpreter_->bind_inputs(named) : bound;
    }

    static IValue checked(const Value& described, IValue value) {
        if (described.kind != ValueKind::Tensor) return value;
        const Tensor tensor = value_tensor(value);
        const std::string expected = "input '" + described.name + "': expected " +
                                     std::string(name(described.meta.dtype)) + " with " +
                                     std::to_string(described.meta.shape.size()) + " dimensions, found ";
        if (!tensor.defined()) throw ArgumentError(expected + std::string(kind(value)));
        if (tensor.dtype() != described.meta.dtype || tensor.shape().size() != described.meta.shape.size())
            throw ArgumentError(expected + describe(tensor));
        return tensor;
    }

    std::unique_ptr<Registry> registry_;  // must outlive the interpreter
    std::unique_ptr<Interpreter> interpreter_;
    bool is_dynamic_ = false;
};

Comparison compare_tensors(const PyTensor& actual, const PyTensor& expected, double rtol, double atol) {
    const nb::gil_scoped_release no_gil;
    return compare(actual.tensor, expected.tensor, {rtol, atol});
}

}  // namespace

void bind_interpreter(nb::module_& module) {
    nb::class_<PyInterpreter>(module, "Interpreter", "A model ready to run; may be used by several threads.")
        .def(nb::init<const PyModel&, const nb::dict&>(), nb::arg("model"), nb::arg("functions") = nb::dict())
        .def("load_weights", &PyInterpreter::load_weights, nb::arg("tensors"),
             "Binds weights by state_dict key; their memory must not change afterwards.")
        .def("run", &PyInterpreter::run, nb::arg("inputs"), nb::arg("state"), nb::arg("seed") = nb::none(),
             "Runs with one value per input of the user and returns the outputs and the values that were mutated.")
        .def("intermediates", &PyInterpreter::intermediates, nb::arg("inputs"), nb::arg("state"),
             nb::arg("seed") = nb::none(), "Runs and returns what every node computed, by the value's name.");
    nb::class_<Comparison>(module, "Comparison", "What the comparison of two tensors found.")
        .def_ro("passed", &Comparison::passed, "Whether they agree.")
        .def_ro("message", &Comparison::message, "Why they do not; empty when they agree.")
        .def_ro("compared", &Comparison::compared, "False: the shapes differ, and no figure is known.")
        .def_ro("elements", &Comparison::elements, "How many elements each has.")
        .def_ro("mismatches", &Comparison::mismatches, "How many elements are beyond the tolerance.")
        .def_ro("part", &Comparison::part, "Where those are, `[0, 2:4, :]`; empty when they are all over.")
        .def_ro("max_abs", &Comparison::max_abs, "Largest |actual - expected|.")
        .def_ro("max_rel", &Comparison::max_rel, "Largest |actual - expected| / |expected|, where expected is not 0.")
        .def_ro("mean_abs", &Comparison::mean_abs, "Mean of |actual - expected|.")
        .def_ro("mean_rel", &Comparison::mean_rel, "Mean of |actual - expected| / |expected|, where expected is not 0.")
        .def_ro("max_ulp", &Comparison::max_ulp, "Largest number of steps between neighbours of the dtype.")
        .def_ro("cosine", &Comparison::cosine, "Of the two as vectors; 1 for two zeros.")
        .def_ro("sqnr_db", &Comparison::sqnr_db, "10 log10(sum expected^2 / sum error^2); infinite when equal.")
        .def_ro("psnr_db", &Comparison::psnr_db, "10 log10(max |expected|^2 / mean error^2); infinite when equal.")
        .def("__copy__", [](const Comparison& self) { return self; })
        .def("__deepcopy__", [](const Comparison& self, const nb::dict&) { return self; })
        .def("__bool__", [](const Comparison& self) { return self.passed; })
        .def("__repr__", [](const Comparison& self) {
            return std::string("Comparison(passed=") + (self.passed ? "True" : "False") +
                   ", max_abs=" + std::to_string(self.max_abs) +
                   (self.message.empty() ? ")" : ", message='" + self.message + "')");
        });
    module.def("compare", &compare_tensors, nb::arg("actual"), nb::arg("expected"), nb::arg("rtol"), nb::arg("atol"),
               "|actual - expected| <= atol + rtol * |expected|; NaN equals NaN; shapes and dtypes must be equal.");
    module.def(
        "default_tolerance",
        [](const std::string& dtype) {
            const auto known = parse_dtype(dtype);
            if (!known) throw ArgumentError("unknown dtype '" + dtype + "'");
            const Tolerance tolerance = model_tolerance(*known);
            return nb::make_tuple(tolerance.rtol, tolerance.atol);
        },
        nb::arg("dtype"), "(rtol, atol) for the outputs of a model.");
}

}  // namespace torch_ir::python
