// SPDX-License-Identifier: MIT
#include "kernels/fits.hpp"

#include <cmath>
#include <string>

#include "promote.hpp"
#include "torch_ir/error.hpp"

namespace torch_ir::kernels {

void check_fits(const char* op, const Scalar& number, DType dtype) {
    if (dtype == DType::Bool) return;
    if (is_complex(dtype)) {
        const auto value = number.to<std::complex<double>>();
        check_fits(op, value.real(), to_real(dtype));
        return check_fits(op, value.imag(), to_real(dtype));
    }
    if (number.to<std::complex<double>>().imag() != 0)
        throw ArgumentError(std::string(op) + ": a complex value cannot be stored as '" + std::string(name(dtype)) +
                            "'");
    const auto x = number.to<double>();
    bool fits = true;
    if (is_integral(dtype)) {
        const int bits = static_cast<int>(item_size(dtype)) * 8;
        const bool is_signed = category(dtype) == DTypeCategory::Signed;
        const double limit = std::ldexp(1.0, is_signed ? bits - 1 : bits);
        const double low = is_signed ? -limit : number.is_integral() ? 1 - limit : 0;
        fits = x >= low && x <= limit - 1;  // the largest one of 64 bits rounds to the limit
    } else if (std::isfinite(x)) {
        fits = std::isfinite(Tensor::scalar(number, dtype).item().to<double>()) ||
               category(dtype) == DTypeCategory::Float8;
    }
    if (!fits)
        throw ArgumentError(std::string(op) + ": value cannot be converted to dtype '" + std::string(name(dtype)) +
                            "' without overflow");
}

Tensor fitting(const char* op, const Tensor& value, DType dtype) {
    check_fits(op, value.item(), dtype);
    return with_context(op, [&] { return Tensor::scalar(value.item(), dtype); });
}

}  // namespace torch_ir::kernels
