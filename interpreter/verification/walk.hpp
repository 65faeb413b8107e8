// SPDX-License-Identifier: MIT
// A run of a model, node by node, in float64, in which every value has beside it what rounding may have made of it.
#pragma once

#include <cstdint>
#include <vector>

#include "interpreter.hpp"
#include "verification/rounding.hpp"
#include "verification/shared_memory.hpp"

namespace torch_ir {

struct WalkOptions {
    RoundingProfile profile;
    int probes = 4;  // runs with random rounding, for nodes whose operands are known by what is computed here only
    std::uint64_t seed = Generator::default_seed;  // of the random numbers that ops draw
};

/// A value of the graph: what it is known to be, or else the float64 result with some results of random rounding (the
/// probes) behind it.
struct Known {
    std::vector<IValue> values;
    std::vector<const Node*> absent;  // nodes since the last values that were known
    Tensor sigma;                     // of outputs of the graph that a node on known operands rounds
    Tensor bound;

    /// It is known by probes.
    bool is_region() const { return values.size() > 1; }
    const IValue& variant(std::size_t i) const { return values[std::min(i, values.size() - 1)]; }
};

/// What is known of values beyond what the walk computes, and what is asked of them, is for subclasses to say. Values
/// go by their slots.
class Walk {
  public:
    virtual ~Walk() = default;

  protected:
    /// `first_probe`: so many probes of other walks on the same inputs come before those of this one.
    Walk(const Interpreter& model, const WalkOptions& options, std::size_t first_probe = 0);

    /// Takes all inputs and steps, in order.
    void walk(std::vector<IValue> user_inputs);

    /// What it is is known from elsewhere: its probes end here.
    virtual bool is_given(std::uint32_t) const { return false; }
    /// Its sigma and bound are to be kept.
    virtual bool is_wanted(std::uint32_t) const { return false; }
    /// An input of the graph has its value.
    virtual void took_input(std::uint32_t) {}
    /// A step has given a result its value. `call`: the step on known operands, nullptr where there are only probes;
    /// `index` of the return value.
    virtual void took_result(std::uint32_t, const Step&, const OpCall* /*call*/, std::size_t /*index*/, Reference&) {}

    /// The step on what is known of its operands, or (from 1 on) on their probes.
    OpCall call_of(const Step& step, std::size_t variant) const;
    std::vector<DType> output_dtypes(const Step& step) const;
    /// The step draws random numbers.
    bool draws(const Step& step) const;
    /// As many probes as there are of this walk: see torch_ir::shake_probes.
    void shake_probes(Reference& reference, std::vector<IValue>& probes, bool region, std::uint64_t stream,
                      DType dtype) const;
    /// What later nodes compute with in place of a float64 result: float32 unless the graph has more. That rounding is
    /// in the spread of the probes, which are compared with what follows from it; and products of float32 are faster.
    static IValue kept(const IValue& value, DType dtype);

    const Interpreter& model_;
    const Plan& plan_;
    const Graph& graph_;
    WalkOptions options_;
    std::vector<Known> known_;

  private:
    void take_inputs(std::vector<IValue> inputs);
    void take_step(const Step& step, std::size_t index);
    void take_writes(const Step& step, bool region);
    void store(const Step& step, const OpCall& call, std::size_t i, std::size_t k, const Reference& reference,
               const std::vector<IValue>& probes, bool region);
    void spread(std::uint32_t slot);
    void run_probes(const Step& step, std::vector<std::vector<IValue>>& probes) const;

    std::size_t first_probe_;
    Generator generator_;
    SharedMemory memory_;
};

}  // namespace torch_ir
