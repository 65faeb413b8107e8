// SPDX-License-Identifier: MIT
// Bessel functions with the approximations of Cephes in the tensor's own precision, the leading 1 of most denominators
// left out as in PyTorch (aten/src/ATen/native/Math.h): errors up to 4e-7 in C = double, too.
#pragma once

#include <cmath>
#include <limits>
#include <numbers>

#include "kernels/polynomials.hpp"

namespace torch_ir::kernels::special {
namespace bessel {

constexpr double two_over_pi = 2 * std::numbers::inv_pi;

/// The approximations for one order, polynomials from the highest power: of x² where x <= 5, of 25 / x² beyond.
struct Order0 {
    static constexpr double phase = std::numbers::pi / 4;
    static constexpr double zeros[] = {5.78318596294678452118, 30.4712623436620863991};  // of J, squared
    static constexpr double j_n[] = {-4.79443220978201773821e9, 1.95617491946556577543e12, -2.49248344360967716204e14,
                                     9.70862251047306323952e15};
    static constexpr double j_d[] = {4.99563147152651017219e2,  1.73785401676374683123e5,  4.84409658339962045305e7,
                                     1.11855537045356834862e10, 2.11277520115489217587e12, 3.10518229857422583814e14,
                                     3.18121955943204943306e16, 1.71086294081043136091e18};
    static constexpr double y_n[] = {1.55924367855235737965e4,   -1.46639295903971606143e7, 5.43526477051876500413e9,
                                     -9.82136065717911466409e11, 8.75906394395366999549e13, -3.46628303384729719441e15,
                                     4.42733268572569800351e16,  -1.84950800436986690637e16};
    static constexpr double y_d[] = {1.04128353664259848412e3,  6.26107330137134956842e5,  2.68919633393814121987e8,
                                     8.64002487103935000337e10, 2.02979612750105546709e13, 3.17157752842975028269e15,
                                     2.50596256172653059228e17};
    static constexpr double p_n[] = {7.96936729297347051624e-4, 8.28352392107440799803e-2, 1.23953371646414299388,
                                     5.44725003058768775090,    8.74716500199817011941,    5.30324038235394892183,
                                     9.99999999999999997821e-1};
    static constexpr double p_d[] = {9.24408810558863637013e-4, 8.56288474354474431428e-2, 1.25352743901058953537,
                                     5.47097740330417105182,    8.76190883237069594232,    5.30605288235394617618,
                                     1.00000000000000000218};
    static constexpr double q_n[] = {-1.13663838898469149931e-2, -1.28252718670509318512,   -1.95539544257735972385e1,
                                     -9.32060152123768231369e1,  -1.77681167980488050595e2, -1.47077505154951170175e2,
                                     -5.14105326766599330220e1,  -6.05014350600728481186};
    static constexpr double q_d[] = {6.43178256118178023184e1, 8.56430025976980587198e2, 3.88240183605401609683e3,
                                     7.24046774195652478189e3, 5.93072701187316984827e3, 2.06209331660327847417e3,
                                     2.42005740240291393179e2};
};
struct Order1 {
    static constexpr double phase = 3 * std::numbers::pi / 4;
    static constexpr double zeros[] = {14.6819706421238932572, 49.2184563216946036703};
    static constexpr double j_n[] = {-8.99971225705559398224e8, 4.52228297998194034323e11, -7.27494245221818276015e13,
                                     3.68295732863852883286e15};
    static constexpr double j_d[] = {6.20836478118054335476e2,  2.56987256757748830383e5,  8.35146791431949253037e7,
                                     2.21511595479792499675e10, 4.74914122079991414898e12, 7.84369607876235854894e14,
                                     8.95222336184627338078e16, 5.32278620332680085395e18};
    static constexpr double y_n[] = {1.26320474790178026440e9,  -6.47355876379160291031e11,
                                     1.14509511541823727583e14, -8.12770255501325109621e15,
                                     2.02439475713594898196e17, -7.78877196265950026825e17};
    static constexpr double y_d[] = {5.94301592346128195359e2,  2.35564092943068577943e5,  7.34811944459721705660e7,
                                     1.87601316108706159478e10, 3.88231277496238566008e12, 6.20557727146953693363e14,
                                     6.87141087355300489866e16, 3.97270608116560655612e18};
    static constexpr double p_n[] = {7.62125616208173112003e-4, 7.31397056940917570436e-2, 1.12719608129684925192,
                                     5.11207951146807644818,    8.42404590141772420927,    5.21451598682361504063,
                                     1.00000000000000000254};
    static constexpr double p_d[] = {5.71323128072548699714e-4, 6.88455908754495404082e-2, 1.10514232634061696926,
                                     5.07386386128601488557,    8.39985554327604159757,    5.20982848682361821619,
                                     9.99999999999999997461e-1};
    static constexpr double q_n[] = {5.10862594750176621635e-2, 4.98213872951233449420,   7.58238284132545283818e1,
                                     3.66779609360150777800e2,  7.10856304998926107277e2, 5.97489612400613639965e2,
                                     2.11688757100572135698e2,  2.52070205858023719784e1};
    static constexpr double q_d[] = {7.42373277035675149943e1, 1.05644886038262816351e3, 4.98641058337653607651e3,
                                     9.56231892404756170795e3, 7.99704160447350683650e3, 2.82619278517639096600e3,
                                     3.36093607810698293419e2};
};

/// For x > 5; infinity gives NaN.
template <class Order, class C>
C wave(C x, bool second_kind) {
    const C w = C(5) / x, z = w * w, angle = x - C(Order::phase);
    const C p = rational(z, Order::p_n, Order::p_d), q = w * rational(z, Order::q_n, Order::q_d);
    const C sum = second_kind ? p * std::sin(angle) + q * std::cos(angle) : p * std::cos(angle) - q * std::sin(angle);
    return sum * C(std::numbers::sqrt2 * std::numbers::inv_sqrtpi) / std::sqrt(x);
}

/// J(x) for x² = z <= 25, of order 1 without its factor x.
template <class Order, class C>
C oscillation(C z) {
    return (z - C(Order::zeros[0])) * (z - C(Order::zeros[1])) * rational(z, Order::j_n, Order::j_d);
}

template <class C>
C pole(C x) {
    return x == 0 ? -std::numeric_limits<C>::infinity() : std::numeric_limits<C>::quiet_NaN();
}

}  // namespace bessel

template <class C>
C bessel_j0(C x) {
    const C size = std::fabs(x), z = x * x;
    if (size < C(1e-5)) return C(1) - z / C(4);
    return size <= C(5) ? bessel::oscillation<bessel::Order0>(z) : bessel::wave<bessel::Order0>(size, false);
}

template <class C>
C bessel_j1(C x) {
    if (x < 0) return -bessel_j1(-x);
    return x <= C(5) ? x * bessel::oscillation<bessel::Order1>(x * x) : bessel::wave<bessel::Order1>(x, false);
}

template <class C>
C bessel_y0(C x) {
    if (x <= 0) return bessel::pole(x);
    if (!(x <= C(5))) return bessel::wave<bessel::Order0>(x, true);
    return rational(x * x, bessel::Order0::y_n, bessel::Order0::y_d) +
           C(bessel::two_over_pi) * std::log(x) * bessel_j0(x);
}

template <class C>
C bessel_y1(C x) {
    if (x <= 0) return bessel::pole(x);
    if (!(x <= C(5))) return bessel::wave<bessel::Order1>(x, true);
    return x * rational(x * x, bessel::Order1::y_n, bessel::Order1::y_d) +
           C(bessel::two_over_pi) * (bessel_j1(x) * std::log(x) - C(1) / x);
}

}  // namespace torch_ir::kernels::special
