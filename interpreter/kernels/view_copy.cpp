// SPDX-License-Identifier: MIT
// What derives from views: their copies, tensors with one view replaced, gradients of views, and in-place changes of
// a tensor's own shape.
#include "elementwise.hpp"
#include "kernels/families.hpp"
#include "kernels/view.hpp"
#include "stepwise.hpp"

namespace torch_ir::kernels {

namespace {

Tensor copy(In view) { return copy_to(view, view.dtype(), MemoryFormat::Contiguous); }

/// Do elements share memory because a stride is 0?
bool is_expanded(In self) {
    for (std::size_t i = 0; i < self.shape().size(); ++i)
        if (self.shape()[i] > 1 && self.strides()[i] == 0) return true;
    return false;
}

void replace(In view, In src) {
    if (view.shape() != src.shape())
        throw ArgumentError("expected src to have a size equal to the slice of self: src " + to_string(src.shape()) +
                            ", slice " + to_string(view.shape()));
    view.copy_from(src);
}

/// `self` with the elements of one of its views, given by `make_view`, taken from `src`.
template <class MakeView>
Tensor replaced(In self, In src, MakeView make_view) {
    Tensor result = clone_preserve_strides(self);
    replace(make_view(result), src);
    return result;
}

/// Zeros of that shape, except for the view, which is `grad`.
template <class MakeView>
Tensor view_gradient(In grad, const Ints& input_sizes, MakeView make_view) {
    Tensor result = Tensor::zeros(input_sizes, grad.dtype());
    make_view(result).copy_from(grad);
    return result;
}

Tensor slice_scatter(In self, In src, std::int64_t dim, OptInt start, OptInt end, std::int64_t step) {
    return replaced(self, src, [&](In x) { return slice(x, dim, start, end, step); });
}

Tensor select_scatter(In self, In src, std::int64_t dim, std::int64_t index) {
    return replaced(self, src, [&](In x) { return x.select(dim, index); });
}

Tensor diagonal_scatter(In self, In src, std::int64_t offset, std::int64_t dim1, std::int64_t dim2) {
    return replaced(self, src, [&](In x) { return diagonal(x, offset, dim1, dim2); });
}

/// The view may show places of the storage that `self` does not, so all of it is copied first.
Tensor as_strided_scatter(In self, In src, const Ints& size, const Ints& stride, OptInt storage_offset) {
    const auto stored = static_cast<std::int64_t>(self.storage()->bytes() / item_size(self.dtype()));
    const Tensor result =
        is_expanded(self)
            ? self.clone()
            : self.as_strided({stored}, {1}, 0).clone().as_strided(self.shape(), self.strides(), self.offset());
    replace(as_strided(result, size, stride, storage_offset), src);
    return result;
}

Tensor slice_backward(In grad_output, const Ints& input_sizes, std::int64_t dim, std::int64_t start, std::int64_t end,
                      std::int64_t step) {
    return view_gradient(grad_output, input_sizes, [&](In x) { return slice(x, dim, start, end, step); });
}

Tensor select_backward(In grad_output, const Ints& input_sizes, std::int64_t dim, std::int64_t index) {
    return view_gradient(grad_output, input_sizes, [&](In x) { return x.select(dim, index); });
}

/// Overlapping windows along a dimension, of places next to each other in `size` steps, added up.
Tensor unfold_backward(In grad_in, const Ints& input_sizes, std::int64_t dim, std::int64_t size, std::int64_t step) {
    const Tensor zeros = Tensor::zeros(input_sizes, grad_in.dtype());
    const Tensor windows = unfold(zeros, dim, size, step);
    if (windows.shape() != grad_in.shape())
        throw ArgumentError("unfold_backward: expected 'grad_in' of shape " + to_string(windows.shape()) + ", found " +
                            describe(grad_in));
    return visit_stepwise(grad_in.dtype(), [&]<class C, class A>(C, A) {
        const Tensor work = zeros.to(dtype_of<C>());
        for (std::int64_t k = size - 1; k >= 0; --k) {  // a place's first window has it last
            const Tensor places = unfold(work, dim, size, step).select(-1, k);
            elementwise_into<C>(
                places, [](C a, C b) { return static_cast<C>(A(a) + A(b)); }, places, grad_in.select(-1, k));
        }
        return work.to(grad_in.dtype());
    });
}

Tensor trace_backward(In grad, const Ints& sizes) {
    if (sizes.size() != 2)
        throw ArgumentError("trace_backward: expected 'sizes' of 2 numbers, found " + to_string(sizes));
    return view_gradient(grad, sizes, [](In x) { return diagonal(x, 0, 0, 1); });
}

Tensor diagonal_backward(In grad_output, const Ints& input_sizes, std::int64_t offset, std::int64_t dim1,
                         std::int64_t dim2) {
    return view_gradient(grad_output, input_sizes, [&](In x) { return diagonal(x, offset, dim1, dim2); });
}

Tensor resize(In self, const Ints& size, std::optional<MemoryFormat> memory_format) {
    if (self.shape() == size && !memory_format) return self;
    const MemoryFormat format = memory_format.value_or(MemoryFormat::Contiguous);
    return become(self, resized(self, empty_format(size, self.dtype(), format)));
}

}  // namespace

Tensor become(const Tensor& self, Tensor view) { return const_cast<Tensor&>(self) = std::move(view); }

Tensor resized(const Tensor& self, const Tensor& layout) {
    const auto capacity = static_cast<std::int64_t>(self.storage()->bytes() / item_size(self.dtype())) - self.offset();
    if (layout.numel() <= capacity) return self.as_strided(layout.shape(), layout.strides(), self.offset());
    const Tensor grown = Tensor::zeros({layout.numel()}, self.dtype());
    if (capacity > 0) grown.narrow(0, 0, capacity).copy_from(self.as_strided({capacity}, {1}, self.offset()));
    return grown.as_strided(layout.shape(), layout.strides(), 0);
}

Tensor clone_preserve_strides(In self) {
    if (is_expanded(self) || self.is_dense()) return self.clone();
    // Elements might still overlap (unfold): a copy of the whole window keeps that too.
    std::int64_t extent = self.numel() == 0 ? 0 : 1;
    for (std::size_t i = 0; extent && i < self.shape().size(); ++i) extent += (self.shape()[i] - 1) * self.strides()[i];
    return self.as_strided({extent}, {1}, self.offset()).clone().as_strided(self.shape(), self.strides(), 0);
}

void register_view_copy(Registry& r) {
    r.add("view_copy(Tensor self, SymInt[] size) -> Tensor",
          [](In self, const Ints& size) { return copy(view(self, size)); });
    r.add("view_copy.dtype(Tensor self, ScalarType dtype) -> Tensor",
          [](In self, DType dtype) { return copy(view_dtype(self, dtype)); });
    r.add("_reshape_copy(Tensor self, SymInt[] size) -> Tensor",
          [](In self, const Ints& size) { return copy(view(self, size)); });
    r.add("_reshape_alias_copy(Tensor self, SymInt[] size, SymInt[] stride) -> Tensor",
          [](In self, const Ints& size, const Ints&) { return copy(view(self, size)); });
    r.add("transpose_copy.int(Tensor self, int dim0, int dim1) -> Tensor",
          [](In self, std::int64_t dim0, std::int64_t dim1) { return copy(self.transpose(dim0, dim1)); });
    r.add("t_copy(Tensor self) -> Tensor", [](In self) { return copy(t(self)); });
    r.add("permute_copy(Tensor self, int[] dims) -> Tensor",
          [](In self, const Ints& dims) { return copy(self.permute(dims)); });
    r.add("expand_copy(Tensor self, SymInt[] size, *, bool implicit=False) -> Tensor",
          [](In self, const Ints& size, bool) { return copy(self.expand(size)); });
    r.add("squeeze_copy(Tensor self) -> Tensor", [](In self) { return copy(squeeze_all(self)); });
    r.add("squeeze_copy.dim(Tensor self, int dim) -> Tensor",
          [](In self, std::int64_t dim) { return copy(self.squeeze(dim)); });
    r.add("squeeze_copy.dims(Tensor self, int[] dim) -> Tensor",
          [](In self, const Ints& dim) { return copy(squeeze_dims(self, dim)); });
    r.add("unsqueeze_copy(Tensor self, int dim) -> Tensor",
          [](In self, std::int64_t dim) { return copy(self.unsqueeze(dim)); });
    r.add("select_copy.int(Tensor self, int dim, SymInt index) -> Tensor",
          [](In self, std::int64_t dim, std::int64_t index) { return copy(self.select(dim, index)); });
    r.add("slice_copy.Tensor(Tensor self, int dim=0, SymInt? start=None, SymInt? end=None, SymInt step=1) -> Tensor",
          [](In self, std::int64_t dim, OptInt start, OptInt end, std::int64_t step) {
              return copy(slice(self, dim, start, end, step));
          });
    r.add("narrow_copy(Tensor self, int dim, SymInt start, SymInt length) -> Tensor",
          [](In self, std::int64_t dim, std::int64_t start, std::int64_t length) {
              return copy(narrow(self, dim, start, length));
          });
    r.add("diagonal_copy(Tensor self, int offset=0, int dim1=0, int dim2=1) -> Tensor",
          [](In self, std::int64_t offset, std::int64_t dim1, std::int64_t dim2) {
              return copy(diagonal(self, offset, dim1, dim2));
          });
    r.add("unfold_copy(Tensor self, int dimension, int size, int step) -> Tensor",
          [](In self, std::int64_t dimension, std::int64_t size, std::int64_t step) {
              return copy(unfold(self, dimension, size, step));
          });
    r.add("as_strided_copy(Tensor self, SymInt[] size, SymInt[] stride, SymInt? storage_offset=None) -> Tensor",
          [](In self, const Ints& size, const Ints& stride, OptInt storage_offset) {
              return copy(as_strided(self, size, stride, storage_offset));
          });
    r.add("view_as_real_copy(Tensor self) -> Tensor", [](In self) { return copy(view_as_real(self)); });
    r.add("view_as_complex_copy(Tensor self) -> Tensor", [](In self) { return copy(view_as_complex(self)); });
    r.add("alias_copy(Tensor self) -> Tensor", copy);
    r.add("detach_copy(Tensor self) -> Tensor", copy);
    r.add("lift_fresh_copy(Tensor self) -> Tensor", copy);
    r.add("_conj_copy(Tensor self) -> Tensor", [](In self) { return copy(conj(self)); });
    r.add("_fw_primal_copy(Tensor self, int level) -> Tensor", [](In self, std::int64_t) { return copy(self); });

    r.add(
        "slice_scatter(Tensor self, Tensor src, int dim=0, SymInt? start=None, SymInt? end=None, SymInt step=1) -> "
        "Tensor",
        slice_scatter);
    r.add("select_scatter(Tensor self, Tensor src, int dim, SymInt index) -> Tensor", select_scatter);
    r.add("diagonal_scatter(Tensor self, Tensor src, int offset=0, int dim1=0, int dim2=1) -> Tensor",
          diagonal_scatter);
    r.add(
        "as_strided_scatter(Tensor self, Tensor src, SymInt[] size, SymInt[] stride, SymInt? storage_offset=None) -> "
        "Tensor",
        as_strided_scatter);
    r.add(
        "slice_inverse(Tensor(a) self, Tensor src, int dim=0, SymInt? start=None, SymInt? end=None, SymInt step=1) -> "
        "Tensor(a)",
        [](In self, In src, std::int64_t dim, OptInt start, OptInt end, std::int64_t step) {
            return slice_scatter(self, src, dim, start, end, step);
        });
    r.add(
        "slice_backward(Tensor grad_output, SymInt[] input_sizes, int dim, SymInt start, SymInt end, SymInt step) -> "
        "Tensor",
        slice_backward);
    r.add("unfold_backward(Tensor grad_in, SymInt[] input_sizes, int dim, int size, int step) -> Tensor",
          unfold_backward);
    r.add("trace_backward(Tensor grad, SymInt[] sizes) -> Tensor", trace_backward);
    r.add("select_backward(Tensor grad_output, SymInt[] input_sizes, int dim, SymInt index) -> Tensor",
          select_backward);
    r.add("diagonal_backward(Tensor grad_output, SymInt[] input_sizes, int offset, int dim1, int dim2) -> Tensor",
          diagonal_backward);

    r.add("squeeze_(Tensor(a!) self) -> Tensor(a!)", [](In self) { return become(self, squeeze_all(self)); });
    r.add("squeeze_.dim(Tensor(a!) self, int dim) -> Tensor(a!)",
          [](In self, std::int64_t dim) { return become(self, self.squeeze(dim)); });
    r.add("squeeze_.dims(Tensor(a!) self, int[] dim) -> Tensor(a!)",
          [](In self, const Ints& dim) { return become(self, squeeze_dims(self, dim)); });
    r.add("unsqueeze_(Tensor(a!) self, int dim) -> Tensor(a!)",
          [](In self, std::int64_t dim) { return become(self, self.unsqueeze(dim)); });
    r.add("transpose_(Tensor(a!) self, int dim0, int dim1) -> Tensor(a!)",
          [](In self, std::int64_t dim0, std::int64_t dim1) { return become(self, self.transpose(dim0, dim1)); });
    r.add("swapaxes_(Tensor(a!) self, int axis0, int axis1) -> Tensor(a!)",
          [](In self, std::int64_t axis0, std::int64_t axis1) { return become(self, self.transpose(axis0, axis1)); });
    r.add("swapdims_(Tensor(a!) self, int dim0, int dim1) -> Tensor(a!)",
          [](In self, std::int64_t dim0, std::int64_t dim1) { return become(self, self.transpose(dim0, dim1)); });
    r.add("t_(Tensor(a!) self) -> Tensor(a!)", [](In self) { return become(self, t(self)); });
    r.add("as_strided_(Tensor(a!) self, SymInt[] size, SymInt[] stride, SymInt? storage_offset=None) -> Tensor(a!)",
          [](In self, const Ints& size, const Ints& stride, OptInt storage_offset) {
              return become(self, as_strided(self, size, stride, storage_offset));
          });
    r.add("detach_(Tensor(a!) self) -> Tensor(a!)", [](In self) { return self; });
    r.add("set_(Tensor(a!) self) -> Tensor(a!)",
          [](In self) { return become(self, Tensor::empty({0}, self.dtype())); });
    r.add("set_.source_Tensor(Tensor(a!) self, Tensor source) -> Tensor(a!)",
          [](In self, In source) { return become(self, source); });
    r.add(
        "set_.source_Tensor_storage_offset(Tensor(a!) self, Tensor source, SymInt storage_offset, SymInt[] size, "
        "SymInt[] stride=[]) -> Tensor(a!)",
        [](In self, In source, std::int64_t storage_offset, const Ints& size, const Ints& stride) {
            return become(self,
                          as_strided(source, size, stride.empty() ? contiguous_strides(size) : stride, storage_offset));
        });
    r.add("resize_(Tensor(a!) self, SymInt[] size, *, MemoryFormat? memory_format=None) -> Tensor(a!)", resize);
    r.add("resize_as_(Tensor(a!) self, Tensor the_template, *, MemoryFormat? memory_format=None) -> Tensor(a!)",
          [](In self, In the_template, std::optional<MemoryFormat> memory_format) {
              return resize(self, the_template.shape(), memory_format);
          });
    r.add("resize(Tensor self, SymInt[] size, *, MemoryFormat? memory_format=None) -> Tensor",
          [](In self, const Ints& size, std::optional<MemoryFormat> memory_format) {
              return resize(self.clone(), size, memory_format);
          });
    r.add("resize_as(Tensor self, Tensor the_template, *, MemoryFormat? memory_format=None) -> Tensor",
          [](In self, In the_template, std::optional<MemoryFormat> memory_format) {
              return resize(self.clone(), the_template.shape(), memory_format);
          });
}

}  // namespace torch_ir::kernels
