// SPDX-License-Identifier: MIT
// Graphs of C++ modules: equal to torch.export's of the Python twins (tests/data/extractor), and run by the interpreter
// with the numbers of the modules' own forward. The tool `torch-ir` is in TORCH_IR_TOOL.
#include "extract.hpp"
#include "support/extractor_models.hpp"
#undef CHECK  // torch's logging has one

#include <doctest/doctest.h>

#include "support/tool.hpp"
#include "torch_ir/diff.hpp"
#include "torch_ir/json.hpp"
#include "torch_ir/safetensors.hpp"
#include "torch_ir/validate.hpp"

using namespace torch_ir;
using namespace torch_ir::test;

namespace {

/// Different numbers everywhere, also where a module begins with zeros or ones.
template <class Module>
Module filled(Module module) {
    torch::manual_seed(7);
    torch::NoGradGuard no_grad;
    for (Tensor& parameter : module->parameters()) parameter.normal_(0, 0.3);
    for (Tensor& buffer : module->buffers())
        if (buffer.is_floating_point()) buffer.uniform_(0.5, 1.5);
    module->eval();
    return module;
}

std::string ops_of(const Model& model) {
    std::string text;
    for (const Node& node : model.graph.nodes) text += (text.empty() ? "" : " ") + node.op_type;
    return text;
}

std::string issues_of(const Model& model) {
    std::string text;
    for (const Issue& issue : validate(model)) text += issue.text() + "\n";
    return text;
}

void check_equals_export(const Extraction& extraction, const std::string& name) {
    const Model expected = read_json("tests/data/extractor/" + name + ".json");
    const Model found = parse_json(to_json(extraction.model));  // None for a tensor is left out in a file
    const ModelDiff difference = diff(expected, found);
    CHECK_MESSAGE(difference.equal(), name << ": " << to_json(difference, expected, found));
    CHECK(ops_of(extraction.model) == ops_of(expected));
    CHECK((extraction.model.outputs == expected.outputs));
    CHECK(issues_of(extraction.model) == "");
}

void save(const std::string& path, const std::string& prefix, const c10::IValue& values) {
    std::vector<Tensor> flat;
    const std::function<void(const c10::IValue&)> flatten = [&](const c10::IValue& value) {
        if (value.isTensor()) flat.push_back(value.toTensor().contiguous());
        if (value.isTuple())
            for (const c10::IValue& element : value.toTupleRef().elements()) flatten(element);
        if (value.isList())
            for (const c10::IValue& element : value.toListRef()) flatten(element);
    };
    flatten(values);
    NamedSafetensors tensors;
    for (std::size_t i = 0; i < flat.size(); ++i) {
        const Tensor& t = flat[i];
        const DType dtype = t.scalar_type() == torch::kFloat  ? DType::Float32
                            : t.scalar_type() == torch::kLong ? DType::Int64
                                                              : DType::Bool;
        tensors.push_back({prefix + std::to_string(i),
                           {dtype, t.sizes().vec(), {static_cast<const std::byte*>(t.const_data_ptr()), t.nbytes()}}});
    }
    write_safetensors(path, std::move(tensors));
}

/// The interpreter's numbers are those of the program's forward.
template <class Program, class... Inputs>
Extraction check_runs(Program&& program, const std::tuple<Inputs...>& inputs, const ExtractOptions& options = {}) {
    Extraction extraction = extract(program, inputs, options);
    const Folder folder;
    write_json(folder / "ir.json", extraction.model);
    save_weights(folder / "weights.safetensors", extraction);
    torch::NoGradGuard no_grad;
    save(folder / "inputs.safetensors", "input_", inputs);
    std::vector<c10::IValue> values;
    std::apply([&](const Inputs&... input) { (values.emplace_back(input), ...); }, inputs);
    save(folder / "expected.safetensors", "output_",
         torch_ir::detail::call_program<std::remove_reference_t<Program>, Inputs...>(program, values));
    const Outcome outcome = run("verify '" + folder.path.string() + "'");
    CHECK_MESSAGE(outcome.status == 0, to_json(extraction.model) << outcome.out << outcome.err);
    CHECK(issues_of(extraction.model) == "");
    return extraction;
}

}  // namespace

TEST_CASE("graphs are those of torch.export, node for node, and run with the module's numbers") {
    const Tensor ids = torch::tensor({1, 2, 4, 5, 4, 3, 2, 9}), offsets = torch::tensor({0, 3});
    check_equals_export(check_runs(filled(Mlp()), std::tuple(torch::randn({2, 8}))), "mlp");
    check_equals_export(check_runs(filled(ResNetBlock()), std::tuple(torch::randn({2, 4, 8, 8}))), "resnet_block");
    check_equals_export(check_runs(filled(Recurrent()), std::tuple(torch::randn({2, 4, 6}))), "recurrent");
    check_equals_export(
        check_runs(filled(EncoderLayer()), std::tuple(torch::randn({2, 5, 16}), std::optional(torch::randn({5, 5})))),
        "encoder_layer");
    check_equals_export(
        check_runs(filled(DecoderLayer()), std::tuple(torch::randn({2, 5, 16}), torch::randn({2, 7, 16}))),
        "decoder_layer");
    check_equals_export(check_runs(filled(Bag()), std::tuple(ids, offsets)), "bag");
    check_equals_export(check_runs(filled(UNet()), std::tuple(torch::randn({1, 3, 16, 16}))), "unet");
    ResNetBlock training = filled(ResNetBlock());
    training->train();
    check_equals_export(extract(training, std::tuple(torch::randn({2, 4, 8, 8}))), "resnet_block_train");
    check_equals_export(extract(filled(LlmBlock(LlmOptions())),
                                std::tuple(torch::randn({1, 2, 32}), torch::tensor({3, 4}), torch::randn({2, 4}),
                                           torch::randn({2, 4}), torch::ones({2, 12}, torch::kBool))),
                        "llm_block");
}

TEST_CASE("frontend modules of LibTorch run with their numbers") {
    check_runs(filled(nn::TransformerEncoderLayer(nn::TransformerEncoderLayerOptions(16, 4).dim_feedforward(24))),
               std::tuple(torch::randn({5, 2, 16})));
    check_runs(filled(nn::TransformerDecoderLayer(nn::TransformerDecoderLayerOptions(16, 4).dim_feedforward(24))),
               std::tuple(torch::randn({5, 2, 16}), torch::randn({6, 2, 16})));
    check_runs(filled(nn::MultiheadAttention(16, 4)),
               std::tuple(torch::randn({5, 2, 16}), torch::randn({6, 2, 16}), torch::randn({6, 2, 16})));
    nn::Sequential net(nn::Conv1d(3, 4, 3), nn::InstanceNorm1d(4), nn::PReLU(), nn::AdaptiveAvgPool1d(5), nn::Flatten(),
                       nn::Linear(20, 3), nn::LogSoftmax(1));
    check_runs(filled(net), std::tuple(torch::randn({2, 3, 9})));
}

namespace {

using Function = Tensor (*)(const Tensor&);

/// Programs that write to tensors and views of them.
const std::vector<std::pair<const char*, Function>> writing_programs{
    {"select",
     [](const Tensor& x) {
         Tensor y = x.clone();
         y.select(0, 1).fill_(3);
         y[2][0] = 5;
         return y * 2;
     }},
    {"slice and transpose",
     [](const Tensor& x) {
         Tensor y = x * 1;
         Tensor t = y.t();
         t.slice(0, 0, 4, 2).mul_(10);
         return y + t.t();
     }},
    {"view of a view",
     [](const Tensor& x) {
         Tensor y = x + 0;
         Tensor flat = y.view({-1});
         flat.narrow(0, 3, 5).add_(1);
         const Tensor before = flat.sum();
         y.relu_();
         return flat + before;
     }},
    {"chunks",
     [](const Tensor& x) {
         Tensor y = x.clone();
         auto parts = y.chunk(2, 1);
         parts[0].sub_(parts[1]);
         parts[1].copy_(parts[0].sigmoid());
         return y;
     }},
    {"unbind and permute",
     [](const Tensor& x) {
         Tensor y = x.reshape({3, 2, 2}).clone();
         for (Tensor& part : y.permute({2, 0, 1}).unbind(0)) part.mul_(part.sum());
         return y;
     }},
    {"diagonal",
     [](const Tensor& x) {
         Tensor y = x.clone();
         y.diagonal().fill_(7);
         return y;
     }},
    {"rows into zeros",
     [](const Tensor& x) {
         Tensor y = torch::zeros({3, 4});
         for (std::int64_t i = 0; i < 3; ++i) y[i].copy_(x[2 - i] * i);
         return y;
     }},
    {"rows into empty",
     [](const Tensor& x) {
         Tensor y = torch::empty({3, 4});
         for (std::int64_t i = 0; i < 3; ++i) y[i].copy_(x[2 - i]);
         return y;
     }},
    {"constants",
     [](const Tensor& x) {
         const Tensor table = torch::tensor({{1.0F, 2.0F}, {3.0F, 4.0F}});
         const Tensor steps = torch::arange(4).to(torch::kFloat) / 2;
         return torch::cat({x * steps, table.repeat({1, 2})}, 0) + torch::tensor(0.5F);
     }},
    {"out=",
     [](const Tensor& x) {
         Tensor y = torch::empty({3, 4});
         torch::add_out(y, x, x, 2);
         return y - 1;
     }},
    {"index_put and masks",
     [](const Tensor& x) {
         Tensor y = x.clone();
         y.index_put_({torch::tensor({0, 2}), torch::tensor({1, 3})}, torch::tensor({8.0F, 9.0F}));
         y.masked_fill_(y < 0, 0);
         return torch::where(y > 1, y, -y);
     }},
    {"comparison in place",
     [](const Tensor& x) {
         Tensor y = x.clone();
         y.gt_(0);
         return y + x;
     }},
    {"wider operand",
     [](const Tensor& x) {
         Tensor y = x.clone();
         y.mul_(x.to(torch::kDouble));
         return y;
     }},
    {"t_ and unsqueeze_",
     [](const Tensor& x) {
         Tensor y = x.clone();
         y.t_();
         y.unsqueeze_(0);
         y.add_(1);
         return y.squeeze(0);
     }},
    {"a write seen through data()",
     [](const Tensor& x) {
         Tensor y = x.clone();
         y.data().add_(2);
         return y;
     }},
    {"unfold",
     [](const Tensor& x) {
         Tensor y = x.clone();
         const Tensor windows = y.unfold(1, 2, 1);
         y.mul_(3);
         return windows.sum(-1);
     }},
    {"strided write",
     [](const Tensor& x) {
         Tensor y = x.clone();
         y.as_strided({2, 2}, {5, 1}, 1).neg_();
         return y;
     }},
    {"numbers on the left", [](const Tensor& x) { return 1 - x + 2 / (x * x + 1); }},
};

}  // namespace

TEST_CASE("writes and views become functional and keep their meaning") {
    torch::manual_seed(3);
    for (const auto& [name, function] : writing_programs) {
        CAPTURE(std::string(name));
        const Extraction extraction = check_runs(function, std::tuple(torch::randn({3, 4})));
        for (const Node& node : extraction.model.graph.nodes) {
            const Schema* schema = find_schema(node.op_type);
            REQUIRE(schema);
            for (const SchemaParameter& parameter : schema->parameters) CHECK_FALSE(parameter.is_write);
        }
    }
}
