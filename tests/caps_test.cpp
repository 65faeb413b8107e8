// SPDX-License-Identifier: MIT
#include "verification/caps.hpp"

#include <doctest/doctest.h>

#include "torch_ir/builder.hpp"

using namespace torch_ir;

namespace {

BackendCaps only(std::vector<std::string> ops) {
    BackendCaps caps;
    for (std::string& op : ops) {
        OpCapability capability;
        capability.op = std::move(op);
        caps.ops.push_back(std::move(capability));
    }
    return caps;
}

Coverage lacking(std::initializer_list<const char*> ops) {
    Coverage coverage;
    for (const char* op : ops) coverage.lacking.push_back({op, "", 1, 0});
    return coverage;
}

using Ops = std::vector<std::string>;

}  // namespace

TEST_SUITE("backend capabilities") {
    TEST_CASE("a piece is connected and no path leaves it and comes back") {
        GraphBuilder b("diamond");
        const ValueRef x = b.input("x", {{2}});
        const ValueRef relu = b.call("aten.relu.default", {x}, {{2}});
        const ValueRef again = b.call("aten.relu.default", {relu}, {{2}});
        const ValueRef cos = b.call("aten.cos.default", {relu}, {{2}});  // not supported, between relu and add
        const ValueRef add = b.call("aten.add.Tensor", {again, cos}, {{2}});
        b.output(add);
        b.output(b.call("aten.relu.default", {x}, {{2}}));  // beside the others
        const Coverage coverage = cover(b.build(), only({"aten.relu.default", "aten.add.*"}));
        CHECK(coverage.supported_nodes == 4);
        REQUIRE(coverage.partitions.size() == 3);
        CHECK(coverage.partitions[0].nodes == std::vector<std::uint32_t>{0, 1});
        CHECK(coverage.partitions[1].nodes == std::vector<std::uint32_t>{3});
        CHECK(coverage.partitions[2].nodes == std::vector<std::uint32_t>{4});
    }

    TEST_CASE("an entry may be limited by dtype, rank, symbolic sizes and arguments") {
        GraphBuilder b("limits");
        const ValueRef x = b.input("x", {{2, Dim(parse_expr("s0"), 4)}});
        b.output(b.call("aten.elu.default", {x, 0.5}, {{2, Dim(parse_expr("s0"), 4)}}));
        const Model model = b.build();
        const Node& node = model.graph.nodes[0];
        BackendCaps caps = only({"aten.elu.default"});
        const auto reason = [&] { return caps.reason_against(model.graph, node); };
        CHECK(reason().empty());
        CHECK(only({"aten.elu"}).reason_against(model.graph, node) == "no entry for the op");
        caps.ops[0].arguments["alpha"].max = 0.25;
        CHECK(reason() == "alpha = 0.5");
        caps.ops[0].arguments["alpha"].max = 1;
        caps.ops[0].arguments["scale"].values = {1};  // the default, not written
        CHECK(reason().empty());
        caps.ops[0].symbolic_sizes = false;
        CHECK(reason() == "symbolic sizes");
        caps.ops[0].max_rank = 1;
        CHECK(reason() == "rank 2");
        caps.dtypes = {DType::Float16};
        CHECK(reason() == "dtype float32");
        caps.ops[0] = OpCapability{"*elu*", std::vector{DType::Float32}, std::nullopt, true, {}};
        CHECK(reason().empty());
    }

    TEST_CASE("the ops that complete most models per op come first") {
        const auto steps = plan_ops({lacking({}), lacking({"a"}), lacking({"a", "b"}), lacking({"c"}), lacking({"c"}),
                                     lacking({"d", "e", "f"})});
        REQUIRE(steps.size() == 4);
        CHECK(steps[0].ops == Ops{"c"});
        CHECK(steps[0].models == 2);
        CHECK(steps[0].total == 3);
        CHECK(steps[1].ops == Ops{"a"});  // as good as {a, b} per op, and smaller
        CHECK(steps[2].ops == Ops{"b"});
        CHECK(steps[3].ops == Ops{"d", "e", "f"});
        CHECK(steps[3].total == 6);
    }
}
