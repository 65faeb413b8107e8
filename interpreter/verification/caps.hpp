// SPDX-License-Identifier: MIT
// What a backend says that it can do (schema/backend_caps.schema.json), held against what models need.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "torch_ir/ir.hpp"

namespace torch_ir {

/// What an argument may be: one of the values (as JSON text, `[1, 1]`), or a number in the range.
struct ArgumentLimit {
    std::vector<Argument> values;
    std::optional<double> min;
    std::optional<double> max;
};

/// Calls that a backend can run.
struct OpCapability {
    std::string op;                            // `aten.conv2d.default`, or with `*` for any text: `aten.add.*`
    std::optional<std::vector<DType>> dtypes;  // of every tensor read and computed; empty: those of the backend
    std::optional<std::int64_t> max_rank;
    bool symbolic_sizes = true;
    std::map<std::string, ArgumentLimit> arguments;
};

struct BackendCaps {
    std::string name;
    std::optional<std::vector<DType>> dtypes;  // empty: any
    std::vector<OpCapability> ops;

    /// Why a node cannot run; empty when an entry allows it. Of several entries for an op the reason of the last.
    std::string reason_against(const Graph& graph, const Node& node) const;
};

/// Throws IoError, or ParseError naming the file and the place.
BackendCaps read_caps(const std::filesystem::path& path);

/// An op that some node needs and the backend lacks.
struct LackingOp {
    std::string op_type;
    std::string reason;  // of its first node
    std::size_t count = 0;
    std::int64_t flops = 0;
};

/// Supported nodes that can run as one piece: connected, and no path leaves it and comes back.
struct Partition {
    std::vector<std::uint32_t> nodes;
    std::int64_t flops = 0;
};

struct Coverage {
    std::size_t nodes = 0;
    std::size_t supported_nodes = 0;
    std::int64_t flops = 0;  // where sizes are known
    std::int64_t supported_flops = 0;
    std::vector<LackingOp> lacking;  // most FLOPs first, then most nodes
    std::vector<Partition> partitions;
};

/// Subgraphs of control flow count as part of their node. Nodes that compute sizes only are always supported.
Coverage cover(const Model& model, const BackendCaps& caps);

/// Ops to add together, and how many more models are complete then.
struct Unblock {
    std::vector<std::string> ops;
    std::size_t models = 0;
    std::size_t total = 0;  // complete models after this step
};

/// The order in which to add ops: at each step the set that completes most models per op.
std::vector<Unblock> plan_ops(const std::vector<Coverage>& models);

}  // namespace torch_ir
