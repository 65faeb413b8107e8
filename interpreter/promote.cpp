// SPDX-License-Identifier: MIT
#include "promote.hpp"

#include <algorithm>
#include <limits>

namespace torch_ir {
namespace {

/// Bool < integers < floats < complex.
int rank(DType dtype) {
    switch (category(dtype)) {
        case DTypeCategory::Bool:
            return 0;
        case DTypeCategory::Unsigned:
        case DTypeCategory::Signed:
            return 1;
        case DTypeCategory::Float:
        case DTypeCategory::Float8:
            return 2;
        case DTypeCategory::Complex:
            return 3;
        case DTypeCategory::Opaque:
            break;
    }
    throw ArgumentError("dtype '" + std::string(name(dtype)) + "' does not take part in type promotion");
}

[[noreturn]] void fail(DType a, DType b) {
    throw ArgumentError("promotion of dtypes '" + std::string(name(a)) + "' and '" + std::string(name(b)) +
                        "' is not defined");
}

DType promote_integers(DType a, DType b) {
    const bool unsigned_a = category(a) == DTypeCategory::Unsigned;
    const bool unsigned_b = category(b) == DTypeCategory::Unsigned;
    if (unsigned_a == unsigned_b) return item_size(a) >= item_size(b) ? a : b;
    const DType u = unsigned_a ? a : b;
    const DType s = unsigned_a ? b : a;
    if (u != DType::UInt8) fail(a, b);  // as PyTorch: the wider unsigned types promote with nothing signed
    return s == DType::Int8 ? DType::Int16 : s;
}

DType promote_floats(DType a, DType b) {
    if (category(a) == DTypeCategory::Float8 || category(b) == DTypeCategory::Float8) fail(a, b);
    if (item_size(a) == item_size(b)) return DType::Float32;  // float16 with bfloat16
    return item_size(a) > item_size(b) ? a : b;
}

}  // namespace

DType to_real(DType dtype) {
    switch (dtype) {
        case DType::Complex32:
            return DType::Float16;
        case DType::Complex64:
            return DType::Float32;
        case DType::Complex128:
            return DType::Float64;
        default:
            return dtype;
    }
}

DType to_complex(DType dtype) {
    switch (dtype) {
        case DType::Float16:
            return DType::Complex32;
        case DType::Float64:
            return DType::Complex128;
        case DType::Complex32:
        case DType::Complex64:
        case DType::Complex128:
            return dtype;
        default:
            return DType::Complex64;
    }
}

DType promote_types(DType a, DType b) {
    if (a == b) return a;
    const int rank_a = rank(a);
    const int rank_b = rank(b);
    if (rank_a == 3 || rank_b == 3) {
        const auto part = [](DType dtype, int r) { return r < 2 ? DType::Float16 : to_real(dtype); };
        const DType x = part(a, rank_a);
        const DType y = part(b, rank_b);
        return to_complex(x == y ? x : promote_floats(x, y));
    }
    if (rank_a != rank_b) return rank_a > rank_b ? a : b;
    return rank_a == 1 ? promote_integers(a, b) : promote_floats(a, b);
}

DType result_type(std::span<const Tensor* const> tensors) {
    struct Level {
        bool any = false;
        DType dtype = DType::Bool;
        void take(DType other) {
            dtype = any ? promote_types(dtype, other) : other;
            any = true;
        }
    };
    Level levels[3];  // tensors with dimensions, 0-d tensors, numbers
    for (const Tensor* tensor : tensors) {
        DType dtype = tensor->dtype();
        if (tensor->is_wrapped_number())
            dtype = is_complex(dtype) ? DType::Complex64 : is_floating_point(dtype) ? DType::Float32 : dtype;
        levels[tensor->is_wrapped_number() ? 2 : (tensor->dim() == 0 ? 1 : 0)].take(dtype);
    }
    // A lower level counts only when its category is higher (combine_categories).
    Level result;
    for (const Level& level : levels) {
        if (!level.any) continue;
        if (!result.any)
            result = level;
        else if (rank(level.dtype) == 3 && rank(result.dtype) == 2)
            result.dtype = to_complex(result.dtype);
        else if (rank(level.dtype) > rank(result.dtype))
            result.dtype = promote_types(result.dtype, level.dtype);
    }
    return result.dtype;
}

DType result_type(const Tensor& a, const Tensor& b) {
    const Tensor* const tensors[] = {&a, &b};
    return result_type(tensors);
}

bool can_cast(DType from, DType to) {
    if (is_complex(from) && !is_complex(to)) return false;
    if (is_floating_point(from) && is_integral(to, true)) return false;
    return !(is_integral(from) && to == DType::Bool);
}

DType result_type(const Tensor& a, const Scalar& b) { return result_type(a, Tensor::wrapped_number(b)); }

void check_written(bool in_place, bool converts, const Tensor& value, const Tensor& target) {
    if ((!converts && !can_cast(value.dtype(), target.dtype())) ||
        (in_place && is_floating_point(value.dtype()) && is_complex(target.dtype())))
        throw ArgumentError("result type " + std::string(name(value.dtype())) +
                            " can't be cast to the desired output type " + std::string(name(target.dtype())));
    if (in_place && target.shape() != value.shape())
        throw ArgumentError("in-place result of shape " + to_string(value.shape()) +
                            " does not fit the tensor of shape " + to_string(target.shape()) + " it is written to");
}

double largest_finite(DType dtype) {
    switch (dtype) {
        case DType::Float64:
        case DType::Complex128:
            return std::numeric_limits<double>::max();
        case DType::Float16:
        case DType::Complex32:
            return 65504;
        case DType::BFloat16:
            return 3.3895313892515355e38;
        default:
            return std::numeric_limits<float>::max();
    }
}

}  // namespace torch_ir
