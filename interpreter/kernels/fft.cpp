// SPDX-License-Identifier: MIT
// Discrete Fourier transforms in double: factor by factor, Bluestein's convolution for sizes with a large prime factor.
#include "kernels/fft.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "elementwise.hpp"
#include "kernels/families.hpp"
#include "parallel.hpp"
#include "promote.hpp"
#include "rows.hpp"
#include "scratch.hpp"
#include "vmath.hpp"

namespace torch_ir::kernels {
namespace {

using Complex = std::complex<double>;

/// e^(sign · 2πi · k / n), with k reduced first.
Complex unit(std::int64_t k, std::int64_t n, int sign) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(k % n) / static_cast<double>(n);
    return {std::cos(angle), sign * std::sin(angle)};
}

/// Complex numbers of several transforms that are made side by side.
constexpr std::int64_t lanes = 4;
using Lanes = vmath::Vector<double, lanes>;
struct ComplexLanes {
    Lanes re;
    Lanes im;
};
ComplexLanes operator+(const ComplexLanes& a, const ComplexLanes& b) { return {a.re + b.re, a.im + b.im}; }
ComplexLanes operator-(const ComplexLanes& a, const ComplexLanes& b) { return {a.re - b.re, a.im - b.im}; }
ComplexLanes operator*(const ComplexLanes& a, const Complex& b) {
    return {a.re * b.real() - a.im * b.imag(), a.re * b.imag() + a.im * b.real()};
}

/// Sizes with no larger prime factor are transformed factor by factor.
constexpr std::int64_t largest_factor = 13;

/// Four as one factor, then primes; empty when one is too large.
std::vector<std::int64_t> factors_of(std::int64_t n) {
    std::vector<std::int64_t> factors;
    for (const std::int64_t factor : {4, 2, 3, 5, 7, 11, 13})
        for (; n % factor == 0; n /= factor) factors.push_back(factor);
    return n == 1 ? factors : std::vector<std::int64_t>{};
}

/// Transforms of one size and direction, unscaled.
class Transform {
  public:
    Transform(std::int64_t n, bool forward) : n_(n), size_(n), sign_(forward ? -1 : 1), factors_(factors_of(n)) {
        if (n > 1 && factors_.empty()) {
            for (size_ = 1; size_ < 2 * n_ - 1;) size_ *= 2;
            factors_ = factors_of(size_);
            std::int64_t square = 0;  // k² mod 2n
            for (std::int64_t k = 0; k < n_; ++k) {
                chirp_.push_back(unit(square, 2 * n_, sign_));
                square = (square + 2 * k + 1) % (2 * n_);
            }
        }
        for (std::int64_t k = 0; k < size_; ++k) roots_.push_back(unit(k, size_, -1));
        if (chirp_.empty()) return;
        std::vector<ComplexLanes> kernel(static_cast<std::size_t>(2 * size_));
        for (std::int64_t k = 0; k < n_; ++k) {
            const Complex conjugate = std::conj(chirp_[static_cast<std::size_t>(k)]);
            for (const std::int64_t i : {k, (size_ - k) % size_})
                kernel[static_cast<std::size_t>(i)] = {Lanes{} + conjugate.real(), Lanes{} + conjugate.imag()};
        }
        by_factors(kernel.data(), -1);
        for (std::int64_t k = 0; k < size_; ++k) {
            const ComplexLanes& value = kernel[static_cast<std::size_t>(k)];
            kernel_.emplace_back(value.re[0], value.im[0]);
        }
    }

    /// Elements that run() works on.
    std::int64_t size() const { return 2 * size_; }

    /// Transforms the first n of a[size()] in place.
    void run(ComplexLanes* a) const {
        if (chirp_.empty()) return by_factors(a, sign_);
        for (std::int64_t k = 0; k < n_; ++k) a[k] = a[k] * chirp_[static_cast<std::size_t>(k)];
        std::fill(a + n_, a + size_, ComplexLanes{});
        by_factors(a, -1);
        for (std::int64_t k = 0; k < size_; ++k) a[k] = a[k] * kernel_[static_cast<std::size_t>(k)];
        by_factors(a, 1);
        const double scale = 1.0 / static_cast<double>(size_);
        for (std::int64_t k = 0; k < n_; ++k) a[k] = a[k] * (chirp_[static_cast<std::size_t>(k)] * scale);
    }

  private:
    /// e^(sign · 2πi · k / size) for k < size.
    Complex root(std::int64_t k, int sign) const {
        const Complex& r = roots_[static_cast<std::size_t>(k)];
        return sign < 0 ? r : std::conj(r);
    }

    /// A transform of x[count], in place.
    void butterfly(ComplexLanes* x, std::int64_t count, int sign) const {
        if (count == 2) {
            const ComplexLanes sum = x[0] + x[1];
            x[1] = x[0] - x[1];
            x[0] = sum;
        } else if (count == 4) {
            const ComplexLanes even = x[0] + x[2], even_odd = x[0] - x[2];
            const ComplexLanes odd = x[1] + x[3], difference = x[1] - x[3];
            const ComplexLanes turned =  // by a quarter
                sign < 0 ? ComplexLanes{difference.im, -difference.re} : ComplexLanes{-difference.im, difference.re};
            x[0] = even + odd;
            x[1] = even_odd + turned;
            x[2] = even - odd;
            x[3] = even_odd - turned;
        } else {
            ComplexLanes y[largest_factor];
            for (std::int64_t k = 0; k < count; ++k) {
                y[k] = x[0];
                for (std::int64_t j = 1; j < count; ++j)
                    y[k] = y[k] + x[j] * root(j * k % count * (size_ / count), sign);
            }
            std::copy_n(y, count, x);
        }
    }

    /// Stockham's order: each factor takes its elements from one half of a[2 size] and writes them sorted to the other.
    void by_factors(ComplexLanes* a, int sign) const {
        ComplexLanes* from = a;
        ComplexLanes* to = a + size_;
        std::int64_t done = 1;  // product of the factors so far
        for (const std::int64_t factor : factors_) {
            const auto stage = factor == 4   ? &Transform::stage<4>
                               : factor == 2 ? &Transform::stage<2>
                               : factor == 3 ? &Transform::stage<3>
                               : factor == 5 ? &Transform::stage<5>
                                             : &Transform::stage<0>;
            (this->*stage)(from, to, factor, done, sign);
            std::swap(from, to);
            done *= factor;
        }
        if (from != a) std::copy_n(from, size_, a);
    }

    /// One factor; `known` of them, if that is not 0.
    template <std::int64_t known>
    void stage(const ComplexLanes* from, ComplexLanes* to, std::int64_t any, std::int64_t done, int sign) const {
        const std::int64_t factor = known > 0 ? known : any;
        const std::int64_t rest = size_ / (done * factor);
        for (std::int64_t p = 0; p < rest; ++p) {
            Complex twiddle[largest_factor];
            for (std::int64_t k = 1; k < factor; ++k) twiddle[k] = root(p * k * done, sign);
            for (std::int64_t q = 0; q < done; ++q) {
                ComplexLanes x[largest_factor];
                for (std::int64_t j = 0; j < factor; ++j) x[j] = from[q + done * (p + rest * j)];
                butterfly(x, factor, sign);
                ComplexLanes* y = to + q + done * factor * p;
                y[0] = x[0];
                for (std::int64_t k = 1; k < factor; ++k) y[done * k] = x[k] * twiddle[k];
            }
        }
    }

    std::int64_t n_;
    std::int64_t size_;  // of the transform that is made by factors
    int sign_;
    std::vector<std::int64_t> factors_;
    std::vector<Complex> roots_;
    std::vector<Complex> chirp_;   // Bluestein only
    std::vector<Complex> kernel_;  // the transformed conjugate chirp
};

/// Transforms `count` rows of n: `read(row, k)` is an element, `write(row, k, result)` takes it.
template <class Read, class Write>
void transform_rows(std::int64_t n, bool forward, std::int64_t count, Read read, Write write) {
    const Transform t(n, forward);
    const std::int64_t groups = (count + lanes - 1) / lanes;
    parallel_for(groups, std::max<std::int64_t>(1, 512 / n), [&](std::int64_t begin, std::int64_t end) {
        const Scratch<ComplexLanes> a(t.size());
        for (std::int64_t group = begin; group < end; ++group) {
            const std::int64_t first = group * lanes;
            for (std::int64_t k = 0; k < n; ++k)
                for (std::int64_t lane = 0; lane < lanes; ++lane) {
                    // Lanes that are left over do the last row again.
                    const Complex x = read(std::min(first + lane, count - 1), k);
                    a.data()[k].re[lane] = x.real();
                    a.data()[k].im[lane] = x.imag();
                }
            t.run(a.data());
            for (std::int64_t lane = 0; lane < std::min(lanes, count - first); ++lane)
                for (std::int64_t k = 0; k < n; ++k)
                    write(first + lane, k, Complex(a.data()[k].re[lane], a.data()[k].im[lane]));
        }
    });
}

/// Transforms complex128 along one dimension, each result times `scale`.
Tensor transform(const Tensor& x, std::int64_t dim, bool forward, double scale) {
    const std::int64_t n = x.size(dim);
    const Rows<Complex> in = rows<Complex>(x, dim);
    Tensor y = Tensor::empty(in.memory.shape(), DType::Complex128);
    if (y.numel() > 0)
        transform_rows(
            n, forward, in.count, [&](std::int64_t row, std::int64_t k) { return in.data()[row * n + k]; },
            [&](std::int64_t row, std::int64_t k, const Complex& v) { y.data<Complex>()[row * n + k] = v * scale; });
    const Ints dims{x.wrap_dim(dim)};
    return unrows(y, x, dims);
}

double scale_of(std::int64_t normalization, double n) {
    return normalization == 0 ? 1 : normalization == 1 ? 1 / std::sqrt(n) : 1 / n;
}

void check_dims(const char* op, const Tensor& x, const Ints& dims) {
    if (x.dim() == 0 && !dims.empty())
        throw ArgumentError(std::string(op) + ": expected 'self' of at least 1 dimension");
    if (!dims.empty()) normalize_dims(x, dims);
    for (const std::int64_t d : dims)
        if (x.size(d) == 0)
            throw ArgumentError(std::string(op) + ": expected transformed dimensions with elements, found " +
                                describe(x));
}

Tensor conjugate(const Tensor& x) {
    return elementwise<Complex>(
        x.dtype(), [](Complex v) { return std::conj(v); }, x);
}

Tensor c2c_wide(const Tensor& self, const Ints& dims, std::int64_t normalization, bool forward) {
    Tensor x = self.to(DType::Complex128);
    for (const std::int64_t d : dims)
        x = transform(x, d, forward, scale_of(normalization, static_cast<double>(x.size(d))));
    return x;
}

/// Conjugate-symmetric half along the last of `dims` to real values of size `n`.
Tensor c2r_wide(const Tensor& self, const Ints& dims, std::int64_t normalization, std::int64_t n) {
    const Ints others(dims.begin(), dims.end() - 1);
    const std::int64_t last = self.wrap_dim(dims.back());
    Tensor x = c2c_wide(self, others, normalization, false);
    const std::int64_t half = n / 2 + 1;
    if (n < 1 || x.size(last) < half)
        throw ArgumentError("_fft_c2r: 'last_dim_size' " + std::to_string(n) + " does not fit " + describe(self));
    x = x.narrow(last, 0, half);
    const Rows<Complex> in = rows<Complex>(x, last);
    Ints shape = in.memory.shape();
    shape.back() = n;
    Tensor y = Tensor::empty(shape, DType::Float64);
    const double scale = scale_of(normalization, static_cast<double>(n));
    const auto whole_row = [&](std::int64_t row, std::int64_t k) {
        const Complex v = in.data()[row * half + std::min(k, n - k)];
        if (k == 0 || 2 * k == n) return Complex(v.real());
        return k < half ? v : std::conj(v);
    };
    if (y.numel() > 0)
        transform_rows(n, false, in.count, whole_row, [&](std::int64_t row, std::int64_t k, const Complex& v) {
            y.data<double>()[row * n + k] = v.real() * scale;
        });
    Ints like = x.shape();
    like[static_cast<std::size_t>(last)] = n;
    const Ints one{last};
    return unrows(y, Tensor::empty(like, DType::Float64), one);
}

Tensor as_complex(const Tensor& x) { return x.to(to_complex(to_float(x.dtype()))); }

/// What a norm's name means for a direction, as _fft_* take it.
std::int64_t normalization_of(const char* op, const std::optional<std::string>& norm, bool forward) {
    if (!norm || *norm == "backward") return forward ? 0 : 2;
    if (*norm == "forward") return forward ? 2 : 0;
    if (*norm == "ortho") return 1;
    throw ArgumentError(std::string(op) + ": expected 'norm' forward, backward or ortho, found '" + *norm + "'");
}

/// Cut or filled with zeros to `size` along `dim`.
Tensor resized(const char* op, const Tensor& x, std::int64_t dim, std::int64_t size) {
    if (size < 1 || size >= std::int64_t{1} << 40)
        throw ArgumentError(std::string(op) + ": expected a transform of at least 1 element, found " +
                            std::to_string(size));
    const std::int64_t n = x.size(dim);
    if (size == n) return x;
    if (size < n) return x.narrow(dim, 0, size);
    Ints shape = x.shape();
    shape[static_cast<std::size_t>(x.wrap_dim(dim))] = size;
    const Tensor y = Tensor::zeros(shape, x.dtype());
    y.narrow(dim, 0, n).copy_from(x);
    return y;
}

struct FftSizes {
    Ints dims;
    Ints sizes;  // -1: as the input
};

/// The dims that are transformed and their sizes: 's' alone means the last ones, neither all of them.
FftSizes sizes_of(const char* op, const Tensor& x, const std::optional<Ints>& s, const std::optional<Ints>& dim) {
    FftSizes r;
    if (dim) {
        r.dims = *dim;
        if (s && s->size() != dim->size())
            throw ArgumentError(std::string(op) + ": expected 's' and 'dim' of one length, found " + to_string(*s) +
                                " and " + to_string(*dim));
    } else {
        const std::int64_t count = s ? static_cast<std::int64_t>(s->size()) : x.dim();
        if (count > x.dim())
            throw ArgumentError(std::string(op) + ": 's' " + to_string(*s) + " has more elements than " + describe(x) +
                                " dimensions");
        for (std::int64_t d = x.dim() - count; d < x.dim(); ++d) r.dims.push_back(d);
    }
    for (auto& d : r.dims) d = x.wrap_dim(d);
    r.sizes = s ? *s : Ints(r.dims.size(), -1);
    if (!r.dims.empty()) normalize_dims(x, r.dims);
    return r;
}

Tensor resized(const char* op, Tensor x, const FftSizes& s, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
        x = resized(op, x, s.dims[i], s.sizes[i] == -1 ? x.size(s.dims[i]) : s.sizes[i]);
    return x;
}

using Names = std::optional<std::string>;

/// The four kinds of transforms over any dimensions.
Tensor complex_fft(const char* op, const Tensor& self, const FftSizes& s, const Names& norm, bool forward) {
    const Tensor x = resized(op, as_complex(self), s, s.dims.size());
    return fft_c2c(x, s.dims, normalization_of(op, norm, forward), forward);
}
/// Real input, half of the (conjugate-symmetric) spectrum; `conj` gives that of the inverse transform.
Tensor real_fft(const char* op, const Tensor& self, const FftSizes& s, const Names& norm, bool conj) {
    if (is_complex(self.dtype()))
        throw ArgumentError(std::string(op) + ": expected 'self' of real dtype, found " + describe(self));
    if (s.dims.empty()) throw ArgumentError(std::string(op) + ": expected at least one dimension to transform");
    const Tensor x = resized(op, self.to(to_float(self.dtype())), s, s.dims.size());
    const std::int64_t n = normalization_of(op, norm, !conj);
    if (!conj) return fft_r2c(x, s.dims, n, true);
    const Tensor half = conjugate(fft_r2c(x, {s.dims.back()}, n, true));
    return fft_c2c(half, Ints(s.dims.begin(), s.dims.end() - 1), n, false);
}
/// Half a spectrum, real output; `conj` reads the half of the forward transform's.
Tensor real_ifft(const char* op, const Tensor& self, const FftSizes& s, const Names& norm, bool conj) {
    if (s.dims.empty()) throw ArgumentError(std::string(op) + ": expected at least one dimension to transform");
    Tensor x = resized(op, as_complex(self), s, s.dims.size() - 1);
    const std::int64_t last = s.dims.back();
    const std::int64_t n = s.sizes.back() == -1 ? 2 * (x.size(last) - 1) : s.sizes.back();
    if (n < 1)
        throw ArgumentError(std::string(op) + ": expected a transform of at least 1 element, found " +
                            std::to_string(n));
    x = resized(op, x, last, n / 2 + 1);
    const std::int64_t normalization = normalization_of(op, norm, conj);
    if (!conj) return fft_c2r(x, s.dims, normalization, n);
    x = conjugate(fft_c2c(x, Ints(s.dims.begin(), s.dims.end() - 1), normalization, true));
    return fft_c2r(x, {last}, normalization, n);
}

using Kind = Tensor (*)(const char*, const Tensor&, const FftSizes&, const Names&, bool);

void add_transforms(Registry& r, const std::string& name, Kind kind, bool flag) {
    r.add(
        name + "(Tensor self, SymInt? n=None, int dim=-1, str? norm=None) -> Tensor",
        [name, kind, flag](const Tensor& self, std::optional<std::int64_t> n, std::int64_t dim, const Names& norm) {
            if (self.dim() == 0) throw ArgumentError(name + ": expected 'self' of at least 1 dimension");
            if (n && *n < 1)
                throw ArgumentError(name + ": expected a transform of at least 1 element, found " + std::to_string(*n));
            return kind(name.c_str(), self, {{self.wrap_dim(dim)}, {n.value_or(-1)}}, norm, flag);
        });
    const std::string two = name + "2";
    r.add(two + "(Tensor self, SymInt[1]? s=None, int[1] dim=[-2, -1], str? norm=None) -> Tensor",
          [two, kind, flag](const Tensor& self, const std::optional<Ints>& s, const Ints& dim, const Names& norm) {
              return kind(two.c_str(), self, sizes_of(two.c_str(), self, s, dim), norm, flag);
          });
    const std::string many = name + "n";
    r.add(many + "(Tensor self, SymInt[1]? s=None, int[1]? dim=None, str? norm=None) -> Tensor",
          [many, kind, flag](const Tensor& self, const std::optional<Ints>& s, const std::optional<Ints>& dim,
                             const Names& norm) {
              return kind(many.c_str(), self, sizes_of(many.c_str(), self, s, dim), norm, flag);
          });
}

template <bool Half>
Tensor fftfreq(std::int64_t n, double d, std::optional<DType> dtype, std::optional<Layout>,
               const std::optional<Device>&, std::optional<bool>) {
    if (n < 1 || n >= std::int64_t{1} << 40)
        throw ArgumentError("fft_fftfreq: expected 'n' greater than 0, found " + std::to_string(n));
    const DType out = dtype.value_or(DType::Float32);
    if (!is_floating_point(out) && !is_complex(out))
        throw ArgumentError("fft_fftfreq: expected 'dtype' floating point or complex, found '" +
                            std::string(name(out)) + "'");
    Tensor y = Tensor::empty({Half ? n / 2 + 1 : n}, DType::Float64);
    const double step = 1.0 / (static_cast<double>(n) * d);
    for (std::int64_t i = 0; i < y.numel(); ++i)
        y.data<double>()[i] = static_cast<double>(!Half && i >= (n + 1) / 2 ? i - n : i) * step;
    return y.to(out);
}

/// `y`, a transform of `self` along `dims`, with the strides of PyTorch's MKL transforms: batch dimensions outside in
/// the order of self's strides, the transformed ones inside, but for the last `fixed` in that order too.
Tensor laid_out(const Tensor& y, const Tensor& self, const Ints& dims, std::ptrdiff_t fixed) {
    Ints transformed;
    for (const std::int64_t d : dims) transformed.push_back(self.wrap_dim(d));
    const auto outer = [&](std::int64_t a, std::int64_t b) { return self.stride(a) > self.stride(b); };
    Ints order;
    for (std::int64_t d = 0; d < self.dim(); ++d)
        if (std::ranges::find(transformed, d) == transformed.end()) order.push_back(d);
    std::stable_sort(order.begin(), order.end(), outer);
    std::stable_sort(transformed.begin(), transformed.end() - fixed, outer);
    order.insert(order.end(), transformed.begin(), transformed.end());
    Ints inverse(order.size());
    for (std::size_t i = 0; i < order.size(); ++i)
        inverse[static_cast<std::size_t>(order[i])] = static_cast<std::int64_t>(i);
    return y.permute(order).contiguous().permute(inverse);
}

}  // namespace

Tensor fft_c2c(const Tensor& self, const Ints& dim, std::int64_t normalization, bool forward) {
    if (!is_complex(self.dtype()))
        throw ArgumentError("_fft_c2c: expected 'self' of complex dtype, found " + describe(self));
    check_dims("_fft_c2c", self, dim);
    if (dim.empty()) return self.clone();
    return laid_out(c2c_wide(self, dim, normalization, forward).to(self.dtype()), self, dim, 0);
}

Tensor fft_r2c(const Tensor& self, const Ints& dim, std::int64_t normalization, bool onesided) {
    if (!is_floating_point(self.dtype()))
        throw ArgumentError("_fft_r2c: expected 'self' of floating point dtype, found " + describe(self));
    check_dims("_fft_r2c", self, dim);
    if (dim.empty()) throw ArgumentError("_fft_r2c: expected 'dim' to have elements");
    Tensor x = c2c_wide(self, {dim.back()}, normalization, true);
    if (onesided) x = x.narrow(dim.back(), 0, x.size(dim.back()) / 2 + 1);
    const Tensor y = c2c_wide(x, Ints(dim.begin(), dim.end() - 1), normalization, true);
    return laid_out(y.to(to_complex(self.dtype())), self, dim, 1);
}

Tensor fft_c2r(const Tensor& self, const Ints& dim, std::int64_t normalization, std::int64_t last_dim_size) {
    if (!is_complex(self.dtype()))
        throw ArgumentError("_fft_c2r: expected 'self' of complex dtype, found " + describe(self));
    check_dims("_fft_c2r", self, dim);
    if (dim.empty()) throw ArgumentError("_fft_c2r: expected 'dim' to have elements");
    // Several dimensions: complex along the others first, whose result has strides of its own.
    const Ints others(dim.begin(), dim.end() - 1);
    const Tensor input = others.empty() ? self : laid_out(self, self, others, 0);
    const Tensor y = c2r_wide(self, dim, normalization, last_dim_size).to(to_real(self.dtype()));
    return laid_out(y, input, {dim.back()}, 0);
}

void register_fft(Registry& r) {
    r.add("_fft_c2c(Tensor self, SymInt[] dim, int normalization, bool forward) -> Tensor", fft_c2c);
    r.add("_fft_r2c(Tensor self, int[] dim, int normalization, bool onesided) -> Tensor", fft_r2c);
    r.add("_fft_c2r(Tensor self, int[] dim, int normalization, SymInt last_dim_size) -> Tensor", fft_c2r);
    r.add(
        "fft_fftfreq(int n, float d=1., *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? "
        "pin_memory=None) -> Tensor",
        fftfreq<false>);
    r.add(
        "fft_rfftfreq(int n, float d=1., *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? "
        "pin_memory=None) -> Tensor",
        fftfreq<true>);
    add_transforms(r, "fft_fft", complex_fft, true);
    add_transforms(r, "fft_ifft", complex_fft, false);
    add_transforms(r, "fft_rfft", real_fft, false);
    add_transforms(r, "fft_ihfft", real_fft, true);
    add_transforms(r, "fft_irfft", real_ifft, false);
    add_transforms(r, "fft_hfft", real_ifft, true);
}

}  // namespace torch_ir::kernels
