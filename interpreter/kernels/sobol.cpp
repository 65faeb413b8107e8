// SPDX-License-Identifier: MIT
// Sobol sequences of torch.quasirandom, from a state that is already there (aten/src/ATen/native/SobolEngineOps.cpp).
#include <bit>

#include "elementwise.hpp"
#include "kernels/families.hpp"

namespace torch_ir::kernels {
namespace {

constexpr std::int64_t bits = 30;

void check(const char* op, In quasi, In sobolstate, std::int64_t dimension, std::int64_t n,
           std::int64_t num_generated) {
    for (const auto& [name, t] : {std::pair{"quasi", &quasi}, {"sobolstate", &sobolstate}})
        if (t->dtype() != DType::Int64 || t->dim() == 0 || dimension < 0 || t->size(0) < dimension)
            throw ArgumentError(std::string(op) + ": expected '" + name + "' of dtype int64 and at least " +
                                std::to_string(dimension) + " rows, found " + describe(*t));
    if (sobolstate.dim() != 2 || n < 0 || num_generated < 0 ||
        static_cast<std::int64_t>(std::bit_width(static_cast<std::uint64_t>(num_generated + n))) > sobolstate.size(1))
        throw ArgumentError(std::string(op) + ": 'sobolstate' " + describe(sobolstate) + " does not reach to point " +
                            std::to_string(num_generated + n));
}

/// The column of the state that leads from a point to the next: the rightmost zero of its number.
std::int64_t step_of(std::int64_t number) { return std::countr_one(static_cast<std::uint64_t>(number)); }

void advance(std::int64_t* quasi, In state, std::int64_t dimension, std::int64_t number) {
    const std::int64_t* column = state.data<std::int64_t>() + step_of(number);
    for (std::int64_t j = 0; j < dimension; ++j) quasi[j] ^= column[j * state.size(1)];
}

std::tuple<Tensor, Tensor> sobol_draw(In quasi, std::int64_t n, In sobolstate, std::int64_t dimension,
                                      std::int64_t num_generated, std::optional<DType> dtype) {
    check("_sobol_engine_draw", quasi, sobolstate, dimension, n, num_generated);
    const DType out = dtype.value_or(DType::Float32);
    const Tensor state = sobolstate.contiguous();
    const Tensor next = quasi.contiguous().clone();
    const Tensor points = Tensor::empty({n, dimension}, DType::Int64);
    for (std::int64_t i = 0; i < n; ++i) {
        advance(next.data<std::int64_t>(), state, dimension, num_generated + i);
        std::copy_n(next.data<std::int64_t>(), dimension, points.data<std::int64_t>() + i * dimension);
    }
    return visit_float(out, "_sobol_engine_draw", [&]<class C>(C) -> std::tuple<Tensor, Tensor> {
        return {elementwise<C>(
                    out, [](C x) { return x * (C(1) / C(std::int64_t{1} << bits)); }, points.to(out)),
                next};
    });
}

Tensor sobol_ff(In self, std::int64_t n, In sobolstate, std::int64_t dimension, std::int64_t num_generated) {
    check("_sobol_engine_ff_", self, sobolstate, dimension, n, num_generated);
    const Tensor state = sobolstate.contiguous();
    const Tensor next = self.contiguous().clone();
    for (std::int64_t i = 0; i < n; ++i) advance(next.data<std::int64_t>(), state, dimension, num_generated + i);
    self.copy_from(next);
    return self;
}

/// Multiplies the bits of every number of the state with a lower triangular matrix of bits, whose diagonal is 1.
Tensor sobol_scramble(In self, In ltm, std::int64_t dimension) {
    const char* op = "_sobol_engine_scramble_";
    check(op, self, self, dimension, 0, 0);
    if (self.size(1) < bits || ltm.dim() != 3 || ltm.size(0) < dimension || ltm.size(1) != bits || ltm.size(2) != bits)
        throw ArgumentError(std::string(op) + ": expected 'ltm' of shape [" + std::to_string(dimension) + ", " +
                            std::to_string(bits) + ", " + std::to_string(bits) + "], found " + describe(ltm));
    const Tensor state = self.contiguous();
    const Tensor matrices = ltm.to(DType::Int64).contiguous();
    for (std::int64_t d = 0; d < dimension; ++d) {
        const std::int64_t* matrix = matrices.data<std::int64_t>() + d * bits * bits;
        std::uint64_t rows[bits];
        for (std::int64_t p = 0; p < bits; ++p) {
            rows[p] = 0;
            for (std::int64_t k = 0; k < bits; ++k)
                rows[p] += static_cast<std::uint64_t>(p == k ? 1 : matrix[p * bits + k]) << (bits - 1 - k);
        }
        std::int64_t* numbers = state.data<std::int64_t>() + d * state.size(1);
        for (std::int64_t j = 0; j < bits; ++j) {
            std::int64_t scrambled = 0;
            for (std::int64_t p = 0; p < bits; ++p)
                scrambled |= std::int64_t{std::popcount(rows[p] & static_cast<std::uint64_t>(numbers[j])) & 1}
                             << (bits - 1 - p);
            numbers[j] = scrambled;
        }
    }
    self.copy_from(state);
    return self;
}

}  // namespace

void register_sobol(Registry& r) {
    r.add(
        "_sobol_engine_draw(Tensor quasi, int n, Tensor sobolstate, int dimension, int num_generated, ScalarType? "
        "dtype) -> (Tensor, Tensor)",
        sobol_draw);
    r.add(
        "_sobol_engine_ff_(Tensor(a!) self, int n, Tensor sobolstate, int dimension, int num_generated) -> Tensor(a!)",
        sobol_ff);
    r.add("_sobol_engine_scramble_(Tensor(a!) self, Tensor ltm, int dimension) -> Tensor(a!)", sobol_scramble);
}

}  // namespace torch_ir::kernels
