// SPDX-License-Identifier: MIT
// Special functions of real numbers in double precision, where the C library has none. Edge values are PyTorch's
// (aten/src/ATen/native/Math.h).
#pragma once

namespace torch_ir::kernels::special {

// Gamma and its kin.
double lgamma(double x);
double digamma(double x);
/// The regularised incomplete gamma functions, lower and upper.
double gammainc(double a, double x);
double gammaincc(double a, double x);

// The error function and the normal distribution.
double erfinv(double y);
/// e^(x²) erfc(x).
double erfcx(double x);
double ndtr(double x);
double log_ndtr(double x);
double ndtri(double p);
double entr(double x);

// Bessel functions; `_e` are scaled by e^-|x|, the scaled k by e^x.
double i0e(double x);
double i1e(double x);
double k0(double x);
double k1(double x);
double scaled_k0(double x);
double scaled_k1(double x);
double spherical_j0(double x);

}  // namespace torch_ir::kernels::special
