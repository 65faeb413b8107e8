// SPDX-License-Identifier: MIT
// Short-time Fourier transforms.
#include "kernels/arithmetic.hpp"
#include "kernels/families.hpp"
#include "kernels/fft.hpp"
#include "kernels/view.hpp"
#include "promote.hpp"
#include "rows.hpp"

namespace torch_ir::kernels {
namespace {

using Size = std::optional<std::int64_t>;

struct Frames {
    std::int64_t hop;
    Tensor window;  // [n_fft]
};

Frames frames_of(const std::string& op, std::int64_t n_fft, Size hop_length, Size win_length, const Tensor& window,
                 DType dtype) {
    Frames f;
    f.hop = hop_length.value_or(n_fft / 4);
    const std::int64_t length = win_length.value_or(n_fft);
    if (n_fft < 1 || f.hop < 1 || length < 1 || length > n_fft || n_fft >= std::int64_t{1} << 40)
        throw ArgumentError(
            op + ": expected 'n_fft' and 'hop_length' greater than 0 and 'win_length' of 1 to 'n_fft', found " +
            std::to_string(n_fft) + ", " + std::to_string(f.hop) + " and " + std::to_string(length));
    if (window.defined() && (window.dim() != 1 || window.size(0) != length))
        throw ArgumentError(op + ": expected 'window' of " + std::to_string(length) + " elements, found " +
                            describe(window));
    const Tensor w = window.defined() ? window : Tensor::full({length}, Scalar(1), dtype);
    f.window = w;
    if (length < n_fft) {
        f.window = Tensor::zeros({n_fft}, w.dtype());
        f.window.narrow(0, (n_fft - length) / 2, length).copy_from(w);
    }
    return f;
}

/// `n` more elements at both ends of the last dimension.
Tensor padded(const Tensor& x, std::int64_t n, const std::string& mode) {
    const std::int64_t length = x.size(-1);
    if (mode == "constant") {
        Ints shape = x.shape();
        shape.back() += 2 * n;
        const Tensor y = Tensor::zeros(shape, x.dtype());
        y.narrow(-1, n, length).copy_from(x);
        return y;
    }
    if (mode != "reflect" && mode != "replicate" && mode != "circular")
        throw ArgumentError("stft: expected 'pad_mode' constant, reflect, replicate or circular, found '" + mode + "'");
    if (length == 0 || (mode == "reflect" && n >= length) || (mode == "circular" && n > length))
        throw ArgumentError("stft: padding of " + std::to_string(n) + " in mode " + mode +
                            " does not fit a signal of " + std::to_string(length));
    Ints shape = x.shape();
    shape.back() += 2 * n;
    const Tensor y = Tensor::empty(shape, x.dtype());
    y.narrow(-1, n, length).copy_from(x);
    for (std::int64_t i = 0; i < n; ++i) {
        const std::int64_t left = mode == "reflect" ? n - i : mode == "replicate" ? 0 : length - n + i;
        const std::int64_t right = mode == "reflect" ? length - 2 - i : mode == "replicate" ? length - 1 : i;
        y.select(-1, i).copy_from(x.select(-1, left));
        y.select(-1, n + length + i).copy_from(x.select(-1, right));
    }
    return y;
}

Tensor stft_center(const Tensor& self, std::int64_t n_fft, Size hop_length, Size win_length, const Tensor& window,
                   bool center, const std::string& pad_mode, bool normalized, std::optional<bool> onesided,
                   std::optional<bool> return_complex, std::optional<bool> align_to_window) {
    if ((self.dim() != 1 && self.dim() != 2) || is_integral(self.dtype(), true))
        throw ArgumentError("stft: expected 'self' of 1 or 2 dimensions, floating point or complex, found " +
                            describe(self));
    const Frames f = frames_of("stft", n_fft, hop_length, win_length, window, self.dtype());
    Tensor x = self.dim() == 1 ? self.unsqueeze(0) : self;
    if (center && align_to_window) throw ArgumentError("stft: 'align_to_window' needs 'center' to be False");
    if (center) x = padded(x, n_fft / 2, pad_mode);
    if (align_to_window.value_or(false)) {  // the first and last frames' windows begin and end with the signal
        const std::int64_t around = n_fft - win_length.value_or(n_fft), length = x.size(-1);
        const Tensor wide = Tensor::zeros({x.size(0), length + around}, x.dtype());
        wide.narrow(-1, around / 2, length).copy_from(x);
        x = wide;
    }
    if (x.size(-1) < n_fft)
        throw ArgumentError("stft: expected 'n_fft' of at most the length of the signal " + std::to_string(x.size(-1)) +
                            ", found " + std::to_string(n_fft));
    const Tensor frames = times(unfold(x, -1, n_fft, f.hop), f.window);  // [batch, time, n_fft]
    const bool complex = is_complex(frames.dtype());
    const bool half = onesided.value_or(!complex);
    if (half && complex) throw ArgumentError("stft: 'onesided' needs a real signal and window");
    const std::int64_t normalization = normalized ? 1 : 0;
    Tensor y = complex ? fft_c2c(frames, {2}, normalization, true) : fft_r2c(frames, {2}, normalization, half);
    y = y.transpose(1, 2);
    if (self.dim() == 1) y = y.squeeze(0);
    return return_complex.value_or(complex) ? y : view_as_real(y);
}
Tensor stft(const Tensor& self, std::int64_t n_fft, Size hop_length, Size win_length, const Tensor& window,
            bool normalized, std::optional<bool> onesided, std::optional<bool> return_complex,
            std::optional<bool> align_to_window) {
    return stft_center(self, n_fft, hop_length, win_length, window, false, "constant", normalized, onesided,
                       return_complex, align_to_window);
}

Tensor istft(const Tensor& self, std::int64_t n_fft, Size hop_length, Size win_length, const Tensor& window,
             bool center, bool normalized, std::optional<bool> onesided, Size length, bool return_complex) {
    if (!is_complex(self.dtype()) || (self.dim() != 2 && self.dim() != 3) || self.numel() == 0)
        throw ArgumentError("istft: expected 'self' of 2 or 3 dimensions and complex dtype, with elements, found " +
                            describe(self));
    const Frames f = frames_of("istft", n_fft, hop_length, win_length, window, to_real(self.dtype()));
    const Tensor x = (self.dim() == 2 ? self.unsqueeze(0) : self).transpose(1, 2);  // [batch, time, frequency]
    const bool half = onesided.value_or(x.size(2) != n_fft);
    if (x.size(2) != (half ? n_fft / 2 + 1 : n_fft))
        throw ArgumentError("istft: expected " + std::to_string(half ? n_fft / 2 + 1 : n_fft) +
                            " frequencies for 'n_fft' " + std::to_string(n_fft) + ", found " +
                            std::to_string(x.size(2)));
    if (return_complex && half) throw ArgumentError("istft: 'return_complex' needs a two-sided spectrum");
    const std::int64_t normalization = normalized ? 1 : 2;
    // A real result takes no more than half of the spectrum.
    const Tensor frames = return_complex ? fft_c2c(x, {2}, normalization, false)
                                         : fft_c2r(x.narrow(2, 0, n_fft / 2 + 1), {2}, normalization, n_fft);
    using Complex = std::complex<double>;
    const DType dtype = result_type(frames, f.window);
    const Tensor weighted = times(frames, f.window).to(DType::Complex128).contiguous();
    const Tensor w = f.window.to(DType::Complex128).contiguous();
    const std::int64_t batch = x.size(0);
    const std::int64_t steps = x.size(1);
    const std::int64_t total = n_fft + f.hop * (steps - 1);
    const Tensor sums = Tensor::zeros({batch, total}, DType::Complex128);
    const Tensor envelope = Tensor::zeros({total}, DType::Complex128);
    for (std::int64_t t = 0; t < steps; ++t)
        for (std::int64_t i = 0; i < n_fft; ++i) {
            const Complex v = w.data<Complex>()[i];
            envelope.data<Complex>()[t * f.hop + i] += v * v;
            for (std::int64_t b = 0; b < batch; ++b)
                sums.data<Complex>()[b * total + t * f.hop + i] +=
                    weighted.data<Complex>()[(b * steps + t) * n_fft + i];
        }
    const std::int64_t start = center ? n_fft / 2 : 0;
    const std::int64_t wanted = length.value_or(total - (center ? 2 * (n_fft / 2) : 0));
    if (wanted < 0 || wanted >= std::int64_t{1} << 40 || start > total)
        throw ArgumentError("istft: 'length' " + std::to_string(wanted) + " does not fit the signal");
    const Tensor y = Tensor::zeros({batch, wanted}, DType::Complex128);
    for (std::int64_t i = 0; i < std::min(wanted, total - start); ++i) {
        const Complex e = envelope.data<Complex>()[start + i];
        if (!(std::abs(e) > 1e-11))
            throw ArgumentError("istft: 'window' leaves no weight at sample " + std::to_string(start + i));
        for (std::int64_t b = 0; b < batch; ++b)
            y.data<Complex>()[b * wanted + i] = sums.data<Complex>()[b * total + start + i] / e;
    }
    const Tensor result = y.to(dtype);
    return self.dim() == 2 ? result.squeeze(0) : result;
}

}  // namespace

void register_stft(Registry& r) {
    r.add(
        "stft(Tensor self, int n_fft, int? hop_length=None, int? win_length=None, Tensor? window=None, bool "
        "normalized=False, bool? onesided=None, bool? return_complex=None, bool? align_to_window=None) -> Tensor",
        stft);
    r.add(
        "stft.center(Tensor self, int n_fft, int? hop_length=None, int? win_length=None, Tensor? window=None, bool "
        "center=True, str pad_mode=\"reflect\", bool normalized=False, bool? onesided=None, bool? return_complex=None, "
        "bool? align_to_window=None) -> Tensor",
        stft_center);
    r.add(
        "istft(Tensor self, int n_fft, int? hop_length=None, int? win_length=None, Tensor? window=None, bool "
        "center=True, bool normalized=False, bool? onesided=None, int? length=None, bool return_complex=False) -> "
        "Tensor",
        istft);
}

}  // namespace torch_ir::kernels
