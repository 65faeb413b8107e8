// SPDX-License-Identifier: MIT
// The graph of a C++ module, without memory for its weights. The same file built as a library goes to the tool:
// torch-ir-extract --module libextract_module.so --shapes x=1,16 -o ir.json
#include <torch/nn/modules/linear.h>  // torch/torch.h takes a third longer to compile

#include <cstdio>

#include "extract.hpp"
#include "torch_ir/json.hpp"

struct NetImpl : torch::nn::Module {
    torch::nn::Linear fc1{16, 32}, fc2{32, 4};
    NetImpl() {
        register_module("fc1", fc1);
        register_module("fc2", fc2);
    }
    torch::Tensor forward(torch::Tensor x) { return fc2->forward(torch::relu(fc1->forward(x))); }
};
TORCH_MODULE(Net);

extern "C" void torch_ir_module(torch_ir::ExtractSource& source) { source = torch_ir::source_of(Net()); }

int main(int argc, char** argv) {
    const Net net = torch_ir::on_meta([] { return Net(); });
    const torch_ir::Extraction result = torch_ir::extract(net, std::tuple(torch::zeros({1, 16})));
    for (const torch_ir::Node& node : result.model.graph.nodes)
        std::printf("%s  %s  %s\n", node.name.c_str(), node.op_type.c_str(), node.provenance.module_path.c_str());
    if (argc > 1) torch_ir::write_json(argv[1], result.model);
}
