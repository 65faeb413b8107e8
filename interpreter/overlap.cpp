// SPDX-License-Identifier: MIT
#include "overlap.hpp"

#include <set>
#include <string>
#include <utility>

namespace torch_ir {
namespace {

/// The bytes from the first element of a dense tensor to its last.
std::pair<const std::byte*, const std::byte*> memory_of(const Tensor& t) { return {t.raw(), t.raw() + t.bytes()}; }

}  // namespace

bool is_same_view(const Tensor& a, const Tensor& b) {
    return a.storage() == b.storage() && a.dtype() == b.dtype() && a.offset() == b.offset() && a.shape() == b.shape() &&
           a.strides() == b.strides();
}

void check_overlap(const Tensor& written) {
    if (written.is_dense()) return;
    for (std::int64_t d = 0; d < written.dim(); ++d)
        if (written.stride(d) == 0 && written.size(d) > 1)
            throw ArgumentError("more than one element of the tensor that is written to, " + describe(written) +
                                ", lies in one place: clone it before");
}

void check_overlap(const Tensor& written, const Tensor& read, Sharing allowed) {
    if (allowed == Sharing::Any || !read.defined() || written.storage() != read.storage()) return;
    if (written.numel() == 0 || read.numel() == 0 || !written.is_dense() || !read.is_dense()) return;
    const auto to = memory_of(written), from = memory_of(read);
    const bool same = to == from && written.strides() == read.strides();
    if (to.first < from.second && from.first < to.second && !(same && allowed == Sharing::Same))
        throw ArgumentError("some elements of " + describe(read) + " and of the tensor that is written to, " +
                            describe(written) + ", lie in one place: clone one of them before");
}

bool may_overlap_itself(std::string_view name) {
    static const std::set<std::string_view> names{"_foreach_zero_",
                                                  "addmv_",
                                                  "all",
                                                  "amax",
                                                  "amin",
                                                  "any",
                                                  "argmax",
                                                  "argmin",
                                                  "baddbmm_",
                                                  "bmm",
                                                  "cummax",
                                                  "cummin",
                                                  "embedding_renorm_",
                                                  "empty",
                                                  "eye",
                                                  "frobenius_norm",
                                                  "full",
                                                  "hash_tensor",
                                                  "histc",
                                                  "linalg_matrix_rank",
                                                  "linalg_vecdot",
                                                  "linalg_vector_norm",
                                                  "multilabel_margin_loss",
                                                  "mv",
                                                  "nan_to_num_",
                                                  "nansum",
                                                  "nll_loss",
                                                  "nll_loss2d",
                                                  "nll_loss2d_forward",
                                                  "nll_loss_forward",
                                                  "norm",
                                                  "ones",
                                                  "prod",
                                                  "randperm",
                                                  "std",
                                                  "sum",
                                                  "threshold",
                                                  "threshold_",
                                                  "threshold_backward",
                                                  "tril",
                                                  "tril_",
                                                  "triu",
                                                  "triu_",
                                                  "var",
                                                  "zeros"};
    return names.contains(name);
}

Sharing allowed_sharing(std::string_view name, Sharing usual) {
    // Products and ops with copies of their own.
    static const std::set<std::string_view> any{"addbmm",           "addmm", "addmv",         "baddbmm",
                                                "embedding_renorm", "ldexp", "masked_scatter"};
    // Ops that read or write at indices.
    static const std::set<std::string_view> nothing{
        "cross",   "gather", "index_add", "index_reduce", "index_select",   "linalg_cross", "masked_select",
        "nonzero", "put",    "scatter",   "scatter_add",  "scatter_reduce", "take"};
    if (any.contains(name)) return Sharing::Any;
    if (nothing.contains(name)) return Sharing::Nothing;
    return usual;
}

}  // namespace torch_ir
