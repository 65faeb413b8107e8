// SPDX-License-Identifier: MIT
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "binding/bindings.hpp"
#include "load.hpp"
#include "plan.hpp"
#include "torch_ir/dot.hpp"
#include "torch_ir/info.hpp"
#include "torch_ir/json.hpp"
#include "torch_ir/mermaid.hpp"
#include "torch_ir/svg.hpp"
#include "torch_ir/symbolic.hpp"
#include "torch_ir/validate.hpp"
#include "torch_ir/weights.hpp"

namespace torch_ir::python {
namespace {

PyModel parse(const std::string& text, bool lenient) {
    const nb::gil_scoped_release no_gil;
    PyModel model;
    model.model = std::make_shared<const Model>(parse_json(text, {}, lenient ? &model.conflicts : nullptr));
    return model;
}

PyModel read(const std::filesystem::path& path) {
    const nb::gil_scoped_release no_gil;
    PyModel model;
    model.model = load_model(path).model;
    return model;
}

/// Each issue as (is an error, text).
std::vector<std::pair<bool, std::string>> issues_of(const PyModel& self) {
    const nb::gil_scoped_release no_gil;
    std::vector<Issue> issues = self.conflicts;
    const std::vector<Issue> found = validate(*self.model);
    issues.insert(issues.end(), found.begin(), found.end());
    std::vector<std::pair<bool, std::string>> texts;
    for (const Issue& issue : issues)
        texts.emplace_back(issue.severity == Severity::Error,
                           issue.where + (issue.where.empty() ? "" : ": ") + issue.message);
    return texts;
}

/// What a model looks like in one of the languages of drawings.
template <std::string (*draw)(const Model&, const DrawingOptions&)>
std::string drawing(const PyModel& self, std::size_t max_nodes, bool weights) {
    return draw(*self.model, {max_nodes, weights});
}

std::vector<std::pair<std::string, std::size_t>> missing_ops_of(const PyModel& self) {
    std::vector<std::pair<std::string, std::size_t>> missing;
    for (const MissingOp& op : missing_ops(self.model->graph, builtin_registry()))
        missing.emplace_back(op.op_type, op.count);
    return missing;
}

Weights open(const std::filesystem::path& path) {
    const nb::gil_scoped_release no_gil;
    WeightsOptions options;
    options.skip_unsaved = true;
    return open_weights(path, options);
}

std::vector<std::string> names_of(const Weights& self) {
    std::vector<std::string> names;
    for (const auto& [name, view] : self.tensors()) names.push_back(name);
    return names;
}

PyTensor tensor_of(const Weights& self, const std::string& name) {
    const TensorView* view = self.find(name);
    if (!view) throw nb::key_error(name.c_str());
    const Tensor tensor = to_tensor(*view);
    return {tensor, tensor.storage()->is_borrowed()};
}

}  // namespace

void bind_model(nb::module_& module) {
    nb::class_<PyModel>(module, "Model", "A graph as the C++ library holds it; immutable.")
        .def_static("parse", &parse, nb::arg("text"), nb::arg("lenient") = false,
                    "Reads JSON IR; with `lenient`, contradictions are kept for issues() instead of raised.")
        .def_static("read", &read, nb::arg("path"), "Reads a .pt2, a JSON IR or a directory that holds one.")
        .def("to_json", [](const PyModel& self) { return to_json(*self.model); })
        .def("issues", &issues_of, "All that is wrong: (is it an error, what).")
        .def("missing_ops", &missing_ops_of, "Ops that cannot run here, with how often they occur.")
        .def(
            "info", [](const PyModel& self) { return to_json(collect_info(*self.model)); }, "Figures as JSON text.")
        .def("to_mermaid", &drawing<&to_mermaid>, nb::arg("max_nodes"), nb::arg("weights"))
        .def("to_dot", &drawing<&to_dot>, nb::arg("max_nodes"), nb::arg("weights"))
        .def("to_svg", &drawing<&to_svg>, nb::arg("max_nodes"), nb::arg("weights"))
        .def("to_html", &drawing<&to_html>, nb::arg("max_nodes"), nb::arg("weights"))
        .def(
            "to_mermaid_pie", [](const PyModel& self, std::size_t top) { return to_mermaid_pie(*self.model, top); },
            nb::arg("top"));
    module.def(
        "expression_text", [](const std::string& text) { return to_string(*parse_expr(text)); }, nb::arg("text"),
        "An expression of sizes, in any of sympy's notations, as the JSON IR writes it.");
    nb::class_<Weights>(module, "Weights", "The tensors of a weight file, mapped and not read until used.")
        .def_static("open", &open, nb::arg("path"))
        .def("names", &names_of)
        .def("__getitem__", &tensor_of)
        .def("__len__", [](const Weights& self) { return self.tensors().size(); });
}

}  // namespace torch_ir::python
