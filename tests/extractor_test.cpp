// SPDX-License-Identifier: MIT
// Graphs of C++ modules: equal to torch.export's of the Python twins (tests/data/extractor), and run by the interpreter
// with the numbers of the modules' own forward. The tool `torch-ir` is in TORCH_IR_TOOL.
#include "support/extractor_test.hpp"

#include <sys/resource.h>

#include <array>
#include <chrono>
#include <cstring>
#include <map>
#include <sstream>

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
    const TemporaryDirectory folder;
    write_json(folder / "ir.json", extraction.model);
    save_weights(folder / "weights.safetensors", extraction);
    torch::NoGradGuard no_grad;
    save(folder / "inputs.safetensors", "input_", inputs);
    std::vector<c10::IValue> values;
    std::apply([&](const Inputs&... input) { (values.emplace_back(input), ...); }, inputs);
    save(folder / "expected.safetensors", "output_",
         torch_ir::detail::call_program<std::remove_reference_t<Program>, Inputs...>(program, values));
    const Outcome outcome = run("verify '" + folder.path().string() + "'");
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
    check_runs(filled(Llm(LlmOptions())), std::tuple(torch::tensor({{5, 6, 7}}), torch::tensor({4, 5, 6})));
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
    // It asks whether they are the same; that may be answered without values.
    check_runs(filled(nn::MultiheadAttention(16, 4)),
               std::tuple(torch::randn({5, 2, 16}), torch::randn({5, 2, 16}), torch::randn({5, 2, 16})));
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
    {"sums that wrap in their own dtype",
     [](const Tensor& x) {
         Tensor y = (x * 0 + 200).to(torch::kByte);
         y.cumsum_(0);
         return y.to(torch::kFloat);
     }},
    {"out= of a narrower dtype",
     [](const Tensor& x) {
         Tensor y = torch::zeros({3, 4}, torch::kHalf);
         torch::mul_out(y, x, x);
         return y.to(torch::kFloat) * 3;
     }},
    {"ternary call with a wider operand",
     [](const Tensor& x) {
         Tensor y = x.to(torch::kHalf);
         y.addcmul_(y, x);
         return y.to(torch::kFloat);
     }},
    {"memory of a transposed tensor",
     [](const Tensor& x) {
         Tensor y = x.clone().t();
         y.masked_fill_(y > 0.5, 0);
         return y.as_strided({12}, {1}, 0);
     }},
    {"complex view of transposed writes",
     [](const Tensor& x) {
         Tensor y = x.clone();
         const Tensor z = torch::view_as_complex(y.view({3, 2, 2}));
         Tensor t = y.t();
         t.masked_fill_(t > 0.5, 0);
         return z.abs();
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
    {"conjugate views",
     [](const Tensor& x) {
         Tensor y = torch::complex(x, x + 1);
         y.conj().mul_(torch::complex(x, x));
         y.mH().select(0, 1).copy_(y.select(1, 2));
         return torch::view_as_real(y);
     }},
    {"conjugate constants",
     [](const Tensor& x) {
         const Tensor z = torch::complex(torch::ones({4}), torch::arange(4).to(torch::kFloat));
         return at::imag(x * z.conj()) + x * at::imag(z.conj());
     }},
    {"numbers as indices",
     [](const Tensor& x) {
         return x.index({torch::tensor({2, 0}), torch::indexing::Slice(1)});
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

TEST_CASE("a language model of 70B parameters is made and extracted without memory for its weights") {
    LlmOptions options{
        .size = 8192, .heads = 64, .kv_heads = 8, .hidden = 28672, .vocabulary = 128256, .length = 4096, .layers = 80};
    const auto start = std::chrono::steady_clock::now();
    const Llm model = on_meta([&] { return Llm(options); });
    const Tensor ids = torch::zeros({1, 512}, torch::kLong), positions = torch::arange(512);
    const Extraction extraction = extract(model, std::tuple(ids, positions), {.input_names = {"ids", "positions"}});
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    std::int64_t parameters = 0;
    for (const Tensor& parameter : model->parameters()) parameters += parameter.numel();
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    CHECK(parameters == 70553706496);
    CHECK(extraction.model.graph.nodes.size() == 50 * 80 + 16);
    CHECK(issues_of(extraction.model) == "");
    CHECK(seconds.count() < 60);
    CHECK(usage.ru_maxrss < 1000 * 1000);  // kB, the tests before included
    MESSAGE("70B: ", seconds.count(), " s, ", usage.ru_maxrss / 1024, " MiB at most");
    CHECK_THROWS_WITH_AS(save_weights("never_written.safetensors", extraction),
                         "weight 'words.weight' has no values: it is on the meta device", ArgumentError);
}

TEST_CASE("nodes know the module that makes them") {
    const Extraction extraction =
        extract(filled(Llm(LlmOptions())), std::tuple(torch::tensor({{1, 2}}), torch::arange(2)));
    std::map<std::string, std::string> types;
    for (const Node& node : extraction.model.graph.nodes)
        types[node.op_type + " " + node.provenance.module_path] = node.provenance.module_type;
    CHECK(types.contains("aten.embedding.default words"));
    CHECK(types.at("aten.embedding.default words") == "torch::nn::EmbeddingImpl");
    CHECK(types.contains("aten.linear.default layers.0.q"));
    CHECK(types.contains("aten.linear.default layers.1.down"));
    CHECK(types.contains("aten.linear.default head"));
    CHECK(types.contains("aten.index_copy.default layers.1"));
    // Without weights: the type is on the stack of calls.
    nn::Sequential net(nn::Linear(4, 4), nn::Softplus(), nn::Linear(4, 4), nn::Softplus());
    std::string paths;
    for (const Node& node : extract(net, std::tuple(torch::randn({2, 4}))).model.graph.nodes)
        paths += node.op_type + " " + node.provenance.module_path + "; ";
    CHECK(paths == "aten.linear.default 0; aten.softplus.default 1; aten.linear.default 2; aten.softplus.default 3; ");
}

namespace {

struct TiedImpl : nn::Module {
    nn::Embedding words{10, 6};
    Tensor shift = torch::tensor({0.5F, 1.5F, 2.5F, 3.5F, 4.5F, 5.5F});  // neither parameter nor buffer
    TiedImpl() {
        register_module("words", words);
        register_parameter("head", words->weight);
    }
    std::vector<Tensor> forward(const Tensor& ids, std::int64_t count, const std::optional<Tensor>& bias) {
        const Tensor y = F::linear(words->forward(ids) + shift, words->weight);
        std::vector<Tensor> results(static_cast<std::size_t>(count), bias ? y + *bias : y);
        results.push_back(y.argmax(-1));
        return results;
    }
};
TORCH_MODULE(Tied);

struct CounterImpl : nn::Module {
    Tensor total = register_buffer("total", torch::zeros({3}));
    Tensor forward(Tensor x) {
        total.add_(x);
        x.mul_(2);
        return total - x;
    }
};
TORCH_MODULE(Counter);

template <class F>
std::string refusal(F&& program, const Tensor& x) {
    try {
        extract(program, std::tuple(x));
    } catch (const Error& error) {
        return error.what();
    }
    return "no error";
}

}  // namespace

TEST_CASE("tied weights are one, plain tensors are constants, numbers and None are constant inputs") {
    const Tied tied = filled(Tied());
    const Extraction extraction =
        extract(tied, std::tuple(torch::tensor({1, 2}), std::int64_t{2}, std::optional<Tensor>()));
    const Model& model = extraction.model;
    REQUIRE(model.inputs.size() == 5);
    CHECK((model.inputs[0] == InputSpec{InputKind::Parameter, "head"}));
    CHECK((model.inputs[1] == InputSpec{InputKind::TensorConstant, "lifted_tensor_0"}));
    CHECK((model.graph.inputs[3] == Argument(2)));
    CHECK(model.graph.inputs[4].is_none());
    REQUIRE(model.constants.size() == 1);
    float values[6];
    std::memcpy(values, model.constants.begin()->second.data.data(), sizeof values);
    CHECK(values[5] == 5.5F);
    CHECK(ops_of(model) == "aten.embedding.default aten.add.Tensor aten.linear.default aten.argmax.default");
    CHECK((model.graph.outputs == ArgumentList{ValueRef{5}, ValueRef{5}, ValueRef{6}}));
    REQUIRE(extraction.notes.size() == 1);
    CHECK(extraction.notes[0] == "'words.weight' is the same tensor as 'head', which stands for both");
    CHECK(model.out_spec.find("builtins.list") != std::string::npos);
}

TEST_CASE("weights are written as they are seen, whatever lies in memory") {
    struct Impl : nn::Module {
        Tensor turned = register_buffer("turned", torch::arange(6).view({2, 3}).t());
        Tensor part = register_buffer("part", torch::arange(6).slice(0, 1, 6, 2));
        Tensor conjugate = register_buffer("conjugate", torch::complex(torch::ones({1}), torch::ones({1})).conj());
        Tensor forward(const Tensor& x) const { return x + turned.sum() + part.sum() + at::imag(conjugate); }
    };
    const TemporaryDirectory folder;
    save_weights(folder / "weights.safetensors", extract(std::make_shared<Impl>(), std::tuple(torch::ones({2}))));
    const Safetensors written = read_safetensors(folder / "weights.safetensors");
    const auto check = [&](const char* name, const auto& expected) {
        const std::vector<std::byte> bytes = written.tensors.find(name)->to_bytes();
        REQUIRE(bytes.size() == sizeof expected);
        CHECK(std::memcmp(bytes.data(), &expected, sizeof expected) == 0);
    };
    check("turned", std::array<std::int64_t, 6>{0, 3, 1, 4, 2, 5});
    check("part", std::array<std::int64_t, 3>{1, 3, 5});
    check("conjugate", std::array<float, 2>{1, -1});
}

TEST_CASE("written buffers and inputs are mutations in the signature; the module itself stays as it is") {
    Counter counter;
    const Extraction extraction = extract(counter, std::tuple(torch::ones({3})), {.input_names = {"x"}});
    const std::vector<OutputSpec> expected{
        {OutputKind::BufferMutation, "total"}, {OutputKind::UserInputMutation, "x"}, {OutputKind::UserOutput, ""}};
    CHECK((extraction.model.outputs == expected));
    CHECK(ops_of(extraction.model) == "aten.add.Tensor aten.mul.Tensor aten.sub.Tensor");
    CHECK(counter->total.sum().item<float>() == 0);
}

TEST_CASE("what depends on values is refused in one sentence") {
    const Tensor x = torch::ones({2, 3});
    const std::string advice =
        " of a tensor that depends on input 'input_0'; the graph would hold for this input only. Rewrite it with "
        "torch::where, masks or "
        "sizes, or extract with specialise (--specialise) to burn in what the example inputs give";
    const auto branch = [](const Tensor& t) { return t.sum().item<float>() > 0 ? t * 2 : t; };
    CHECK(refusal(branch, x) == "cannot extract: aten::item needs the value" + advice);
    CHECK(refusal([](const Tensor& t) { return torch::equal(t * 1, t + 0) ? t + 1 : t - 1; }, x) ==
          "cannot extract: aten::equal needs the value" + advice);
    CHECK(refusal([](const Tensor& t) { return t.nonzero(); }, x) ==
          "cannot extract: aten::nonzero returns a tensor whose size depends on the values" + advice);
    CHECK(refusal([](const Tensor& t) { return t.index({t > 0}); }, x) ==
          "cannot extract: aten::index returns a tensor whose size depends on the values" + advice);
    CHECK(refusal([](const Tensor& t) { return t * t.data_ptr<float>()[0]; }, x) ==
          "cannot extract: the program reads the elements of a tensor that depends on the inputs, through a pointer or "
          "accessor; use "
          "tensor operations instead");
    CHECK(refusal([](const Tensor& t) { return t.matmul(t); }, x).starts_with("cannot extract: aten::matmul: "));
    CHECK(
        refusal(
            [](const Tensor& t) {
                Tensor y = t.clone();
                y.fill_diagonal_(1);
                return y;
            },
            x) ==
        "cannot extract: aten::fill_diagonal_ writes to its argument and has no form that returns the result instead");
    const nn::InstanceNorm1d norm(nn::InstanceNorm1dOptions(2).track_running_stats(true));
    CHECK(refusal(norm, torch::ones({1, 2, 3})) ==
          "cannot extract: aten::instance_norm updates running statistics; only batch_norm may, or call eval() on the "
          "module");
    const auto packed = [](const Tensor& t) {
        return nn::utils::rnn::pack_padded_sequence(t.unsqueeze(-1), torch::tensor({3, 2}), true).data();
    };
    CHECK(refusal(packed, x) ==
          "cannot extract: aten::_pack_padded_sequence packs sequences by the values of their lengths; the graph would "
          "hold for these lengths only. Run the recurrent module on the padded sequences and mask what lies beyond the "
          "lengths, or extract with specialise (--specialise) to burn in the lengths of the example inputs");
    const std::vector<std::string> lengths = extract(packed, std::tuple(x), {.specialise = true}).notes;
    REQUIRE(lengths.size() == 1);
    CHECK(lengths[0] ==
          "aten::_pack_padded_sequence gave a tensor of size [5, 1] [3], which depends on input 'input_0' and is "
          "burned in");
    CHECK(refusal([](const Tensor& t) { return t.to_sparse(); }, x).starts_with("cannot extract: "));
    // Values that the program itself makes may be looked at.
    const auto own = [](const Tensor& t) { return torch::arange(4).sum().item<std::int64_t>() == 6 ? t * 2 : t; };
    CHECK(ops_of(extract(own, std::tuple(x)).model) == "aten.mul.Tensor");
    const Extraction special = extract(branch, std::tuple(x), {.specialise = true});
    CHECK(ops_of(special.model) == "aten.mul.Tensor");
    REQUIRE(special.notes.size() == 1);
    CHECK(special.notes[0] == "aten::item gave 6., which depends on input 'input_0' and is burned in");
    const auto positive = [](const Tensor& t) { return t.index({t > 0}) * 2; };
    const std::vector<std::string> sizes = extract(positive, std::tuple(x), {.specialise = true}).notes;
    REQUIRE(sizes.size() == 1);
    CHECK(sizes[0] == "aten::index gave a tensor of size [6], which depends on input 'input_0' and is burned in");
}

TEST_CASE("random and factory ops are recorded, and functions may use a module") {
    const nn::Linear linear(3, 3);
    const auto uses = [&](const Tensor& t) { return linear.ptr()->forward(t).split({1, 2}, -1)[1]; };
    const Extraction named =
        extract(uses, std::tuple(torch::ones({2, 3})), {.name = "uses", .module = linear.ptr().get()});
    CHECK(ops_of(named.model) == "aten.linear.default aten.split_with_sizes.default");
    CHECK(named.model.inputs[0].target == "weight");
    CHECK(named.model.name == "uses");
    const auto noisy = [](const Tensor& t) {
        return torch::dropout(t, 0.5, true) + torch::rand({3}) + torch::randn_like(t) + torch::full({3}, 2.0) +
               torch::eye(3)[0];
    };
    const std::string ops = ops_of(extract(noisy, std::tuple(torch::ones({2, 3}))).model);
    for (const char* op : {"aten.dropout.default", "aten.rand.default", "aten.randn_like.default", "aten.full.default",
                           "aten.eye.default"})
        CHECK_MESSAGE(ops.find(op) != std::string::npos, ops);
}

namespace {

const fs::path scripts = "tests/data/extractor/scripts";

Outcome extract_script(const std::string& name, const std::string& ir, const std::string& options = "") {
    const fs::path folder = scripts / name;
    return run("'" + (folder / "model.pt").string() + "' --inputs '" + (folder / "inputs.safetensors").string() +
                   "' -o '" + ir + "' " + options,
               "TORCH_IR_EXTRACT");
}

}  // namespace

TEST_CASE("TorchScript files run with PyTorch's numbers") {
    for (const char* name : {"traced", "scripted", "frozen", "loops", "counter", "transformer_encoder_layer",
                             "transformer_decoder_layer"}) {
        CAPTURE(std::string(name));
        const TemporaryDirectory folder;
        const Outcome outcome =
            extract_script(name, folder / "ir.json", "--weights-out '" + (folder / "weights.safetensors") + "'");
        REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
        const std::string inputs = (scripts / name).string();
        const Outcome verified = run("verify '" + folder.path().string() + "' --inputs '" + inputs +
                                     "/inputs.safetensors' --expected '" + inputs + "/expected.safetensors'");
        CHECK_MESSAGE(verified.status == 0, verified.out << verified.err);
    }
}

TEST_CASE("TorchScript of torch.nn's transformer layers is torch.export's graph, node for node") {
    for (const std::string name : {"transformer_encoder_layer", "transformer_decoder_layer"}) {
        const TemporaryDirectory folder;
        REQUIRE(extract_script(name, folder / "ir.json").status == 0);
        const Model expected = read_json("tests/data/extractor/" + name + ".json"),
                    found = read_json(folder / "ir.json");
        CHECK(ops_of(found) == ops_of(expected));
        CHECK(diff(expected, found).equal());
        CHECK(found.graph.nodes[0].provenance.module_path == "self_attn");
    }
}

TEST_CASE("state in attributes of TorchScript modules is a mutation, and errors name the line") {
    const TemporaryDirectory folder;
    const Outcome first = extract_script("counter", folder / "ir.json");
    CHECK(first.err.find("'last' has another shape after the run") != std::string::npos);
    const Outcome warm = extract_script("counter", folder / "ir.json", "--warmup 1");
    CHECK(warm.err.find("note") == std::string::npos);
    const Model model = read_json(folder / "ir.json");
    std::string targets;
    for (const OutputSpec& output : model.outputs) targets += output.target + ";";
    CHECK(targets == "last;steps;total;;");
    const std::string branch = extract_script("branch", folder / "none.json").err;
    CHECK(
        branch.starts_with("torch-ir-extract: error: tests/data/extractor/scripts/branch/model.pt: cannot extract: "
                           "aten::item (extractor_models.py:219) needs the "
                           "value of a tensor that "
                           "depends on input 'x'"));
    CHECK(extract_script("branch", folder / "burned.json", "--specialise").status == 0);
    CHECK_FALSE(fs::exists(folder / "none.json"));
    CHECK(run("-o x.json", "TORCH_IR_EXTRACT").status == 2);
    CHECK(run("x.pt -o x.json --shapes x=1,q", "TORCH_IR_EXTRACT").err ==
          "torch-ir-extract: error: --shapes 'x=1,q': expected sizes like 1,3,224,224, found '1,q'\n");
}

TEST_CASE("a library with a module") {
    const TemporaryDirectory folder;
    const std::string library = std::getenv("TORCH_IR_MODULE");
    const Outcome outcome =
        run("--module '" + library + "' --shapes x=2,16 -o '" + (folder / "ir.json") + "'", "TORCH_IR_EXTRACT");
    CHECK_MESSAGE(outcome.status == 0, outcome.err);
    const Model model = read_json(folder / "ir.json");
    CHECK(model.name == "Net");
    CHECK(ops_of(model) == "aten.linear.default aten.relu.default aten.linear.default");
    CHECK(run("--module '" + library + "' --shapes x=2,16 -o '" + (folder / "ir.json") + "' --weights-out '" +
                  (folder / "weights.safetensors") + "'",
              "TORCH_IR_EXTRACT")
              .status == 0);
    CHECK(
        run("validate '" + folder.path().string() + "' --weights '" + (folder / "weights.safetensors") + "'").status ==
        0);
}

TEST_CASE("the README's program is the example that is compiled") {
    const std::string readme = read_text("README.md"), example = read_text("examples/extract_module.cpp");
    const std::size_t include = readme.find("#include \"extract.hpp\"");
    REQUIRE(include != std::string::npos);
    const std::size_t begin = readme.rfind("```cpp\n", include) + 7;
    std::istringstream block(readme.substr(begin, readme.find("```", begin) - begin));
    std::size_t place = 0;
    for (std::string line; std::getline(block, line);) {
        if (line.empty()) continue;
        CAPTURE(line);
        place = example.find(line + "\n", place);
        REQUIRE(place != std::string::npos);
    }
}
