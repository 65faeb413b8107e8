// SPDX-License-Identifier: MIT
// Covariance and correlation of the rows of a matrix.
#include <algorithm>
#include <complex>

#include "elementwise.hpp"
#include "kernels/arithmetic.hpp"
#include "kernels/families.hpp"
#include "kernels/matmul.hpp"
#include "kernels/reduce.hpp"
#include "kernels/view.hpp"
#include "promote.hpp"

namespace torch_ir::kernels {
namespace {

void check_weights(const char* name, const Tensor& w, std::int64_t observations, bool integral) {
    if (!w.defined()) return;
    if (w.dim() > 1 || w.numel() != observations || is_integral(w.dtype(), false) != integral || is_complex(w.dtype()))
        throw ArgumentError(std::string("cov: expected '") + name + "' of " +
                            (integral ? "integer" : "floating point") + " dtype with " + std::to_string(observations) +
                            " elements, found " + describe(w));
    if (w.numel() > 0 && amin(w, {}, false).item().to<double>() < 0)
        throw ArgumentError(std::string("cov: expected '") + name + "' to have no negative element");
}

/// Rows are variables, columns observations.
Tensor cov(const Tensor& self, std::int64_t correction, const Tensor& fweights, const Tensor& aweights) {
    if (self.dim() > 2 || self.dtype() == DType::Bool)
        throw ArgumentError("cov: expected 'self' of at most 2 dimensions, not bool, found " + describe(self));
    Tensor x = self.dim() < 2 ? self.reshape({1, -1}) : self;
    const std::int64_t observations = x.size(1);
    check_weights("fweights", fweights, observations, true);
    check_weights("aweights", aweights, observations, false);
    Tensor w = fweights;
    if (aweights.defined()) w = w.defined() ? times(w, aweights) : aweights;
    const Tensor total = w.defined() ? sum(w, {}, false, {}) : number(static_cast<double>(observations));
    const Tensor average = divided(sum(w.defined() ? times(x, w) : x, Ints{1}, false, {}), total);
    Tensor lost = number(static_cast<double>(correction));  // all in the weights' dtype
    if (aweights.defined() && correction != 0)
        lost = divided(times(lost, sum(times(w, aweights), {}, false, {})), total);
    const Tensor divisor = number(std::max(0.0, minus(total, lost).item().to<double>()));
    x = minus(x, average.unsqueeze(1));
    Tensor other = w.defined() ? times(x, w) : x;
    if (is_complex(other.dtype())) other = conj(other);
    if (other.dtype() != x.dtype()) {
        const DType dtype = promote_types(other.dtype(), x.dtype());
        other = other.to(dtype);
        x = x.to(dtype);
    }
    return squeeze_all(divided(matmul(x, other.transpose(0, 1)), divisor));
}

Tensor corrcoef(const Tensor& self) {
    const Tensor c = cov(self, 1, {}, {});
    if (c.dim() == 0) return divided(c, c);
    const Tensor d = diagonal(c, 0, 0, 1);
    using Complex = std::complex<double>;
    const auto clip = [](double v) { return v > 1 ? 1.0 : (v < -1 ? -1.0 : v); };
    if (is_complex(c.dtype())) {
        const Tensor deviation = elementwise<Complex>(
            to_real(c.dtype()), [](Complex v) { return std::sqrt(v.real()); }, d);
        const Tensor r = divided(divided(c, deviation.unsqueeze(1)), deviation.unsqueeze(0));
        return elementwise<Complex>(
            r.dtype(), [clip](Complex v) { return Complex(clip(v.real()), clip(v.imag())); }, r);
    }
    const Tensor deviation = elementwise<double>(
        c.dtype(), [](double v) { return std::sqrt(v); }, d);
    const Tensor r = divided(divided(c, deviation.unsqueeze(1)), deviation.unsqueeze(0));
    return elementwise<double>(r.dtype(), clip, r);
}

}  // namespace

void register_covariance(Registry& r) {
    r.add("cov(Tensor self, *, int correction=1, Tensor? fweights=None, Tensor? aweights=None) -> Tensor", cov);
    r.add("corrcoef(Tensor self) -> Tensor", corrcoef);
}

}  // namespace torch_ir::kernels
