// SPDX-License-Identifier: MIT
// The extension module torch_ir._core. The Python files around it are the public interface.
#include <dlfcn.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "binding/bindings.hpp"
#include "cli/tool.hpp"
#include "parallel.hpp"
#include "torch_ir/error.hpp"
#include "torch_ir/version.hpp"

namespace torch_ir::python {
namespace {

/// Plugins of the tool take the interpreter's functions from the program, which is this module here.
void show_symbols() {
    Dl_info self;
    if (dladdr(reinterpret_cast<const void*>(&show_symbols), &self) != 0 && self.dli_fname)
        dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_GLOBAL);
}

int run_tool(std::vector<std::string> arguments) {
    const nb::gil_scoped_release no_gil;
    show_symbols();
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    return cli::run_tool(static_cast<int>(arguments.size()), argv.data());
}

void set_threads(int count) {
    if (count < 1 || count > most_threads)
        throw ArgumentError("threads: expected a number from 1 to " + std::to_string(most_threads) + ", found " +
                            std::to_string(count));
    torch_ir::set_threads(count);
}

}  // namespace
}  // namespace torch_ir::python

NB_MODULE(_core, module) {
    namespace py = torch_ir::python;
    namespace nb = nanobind;

    // What modules of the program hold, an executor say, lives longer than nanobind, which takes it for a leak.
    nb::set_leak_warnings(false);

    module.doc() = "The C++ library and interpreter of torch-ir.";
    const nb::exception<torch_ir::Error> error(module, "Error", PyExc_ValueError);
    nb::exception<torch_ir::IoError>(module, "IoError", error.ptr());
    nb::exception<torch_ir::ParseError>(module, "ParseError", error.ptr());
    nb::exception<torch_ir::SchemaError>(module, "SchemaError", error.ptr());
    nb::exception<torch_ir::ArgumentError>(module, "ArgumentError", error.ptr());
    nb::exception<torch_ir::UnsupportedError>(module, "UnsupportedError", error.ptr());

    py::bind_fingerprint(module);
    py::bind_tensor(module);
    py::bind_model(module);
    py::bind_interpreter(module);

    module.attr("version") = torch_ir::version;
    module.def("run_tool", &py::run_tool, nb::arg("arguments"),
               "Runs the command line tool, the program's name first, and returns its exit status.");
    module.def("set_threads", &py::set_threads, nb::arg("count"),
               "Threads to compute with from now on, 1 to 1024. Raises ValueError for another number.");
    module.def("get_threads", &torch_ir::get_threads, "Threads that are computed with.");
}
