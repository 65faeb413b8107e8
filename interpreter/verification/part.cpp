// SPDX-License-Identifier: MIT
#include "verification/part.hpp"

#include <algorithm>
#include <cmath>

#include "verification/compare.hpp"
#include "verification/rounding.hpp"

namespace torch_ir {
Box::Box(const Ints& shape) : shape_(shape), first_(shape), last_(shape.size(), -1) {}

void Box::add(std::int64_t flat) {
    for (std::size_t d = shape_.size(); d-- > 0;) {
        const std::int64_t i = flat % shape_[d];
        flat /= shape_[d];
        first_[d] = std::min(first_[d], i);
        last_[d] = std::max(last_[d], i);
    }
}

bool Box::is_part() const {
    std::int64_t n = 1;
    for (std::size_t d = 0; d < shape_.size(); ++d) n *= last_[d] + 1 - first_[d];
    return n > 0 && n * 2 <= numel_of(shape_);
}

std::string Box::text() const {
    std::string result = "[";
    for (std::size_t d = 0; d < shape_.size(); ++d) {
        const std::int64_t length = last_[d] + 1 - first_[d];
        result += d > 0 ? ", " : "";
        if (length == shape_[d])
            result += ':';
        else
            result += std::to_string(first_[d]) + (length > 1 ? ":" + std::to_string(last_[d] + 1) : "");
    }
    return result + "]";
}

Part differing_part(const Tensor& candidate, const Reference& reference) {
    const Tensor expected = value_tensor(reference.value);
    if (!expected.defined() || expected.shape() != candidate.shape() || candidate.numel() < 2) return {};
    const auto dense = [](const Tensor& tensor) { return real_view(to_double(tensor)).to(wide).contiguous(); };
    const Tensor c = dense(candidate);
    const Tensor y = dense(expected);
    if (c.numel() != y.numel()) return {};  // one of them is complex
    const Tensor sigma = reference.is_exact() ? Tensor{} : reference.sigma.contiguous();
    const double u = unit_roundoff(candidate.dtype());
    const std::int64_t parts = c.numel() / candidate.numel();  // of a complex number
    Box box(candidate.shape());
    Part part;
    part.of = candidate.numel();
    double squares = 0;
    std::int64_t last = -1;
    for (std::int64_t i = 0; i < c.numel(); ++i) {
        const double found = c.data<double>()[i];
        const double value = y.data<double>()[i];
        if (found == value || (std::isnan(found) && std::isnan(value))) continue;
        const double s = sigma.defined() ? sigma.data<double>()[i] + u * std::fabs(value) : 0;
        const double q = std::fabs(found - value) / s;
        if (q <= 8) {
            squares += q * q;
        } else if (i / parts != last) {
            last = i / parts;
            ++part.elements;
            box.add(last);
        }
    }
    const std::int64_t rest = part.of - part.elements;
    const bool few = part.elements * 100 <= part.of;
    if (part.elements == 0 || (!few && !box.is_part()) || squares > 1.25 * 1.25 * static_cast<double>(rest * parts))
        return {};
    part.box = box.text();
    return part;
}

std::string to_string(const Part& part) {
    if (!part.is_known()) return {};
    return "only " + part.box + " differs: " + std::to_string(part.elements) + " of " + std::to_string(part.of) +
           " elements";
}

}  // namespace torch_ir
