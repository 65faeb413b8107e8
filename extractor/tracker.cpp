// SPDX-License-Identifier: MIT
#include "tracker.hpp"

#include <ATen/TensorGeometry.h>

#include <algorithm>

#include "call.hpp"
#include "convert.hpp"

namespace torch_ir::extractor {
namespace {

Argument ints(const std::vector<std::int64_t>& values) { return ArgumentList(values.begin(), values.end()); }

std::int64_t numel(const std::vector<std::int64_t>& sizes) {
    std::int64_t product = 1;
    for (const std::int64_t size : sizes) product *= size;
    return product;
}

/// False if both cover their memory and the elements lie there in another order.
bool same_order(const Tracked& tracked, const at::Tensor& tensor) {
    const at::Tensor written = at::empty_strided(tracked.sizes, tracked.strides, c10::TensorOptions(c10::kMeta));
    if (!written.is_non_overlapping_and_dense()) return true;
    for (std::int64_t i = 0; i < tensor.dim(); ++i)
        if (tensor.size(i) != 1 && tensor.stride(i) != written.stride(i)) return false;
    return true;
}

Node bound(Node step, ValueRef parent) {
    const std::function<void(Argument&)> replace = [&](Argument& argument) {
        if (auto* ref = argument.get_if<ValueRef>(); ref && *ref == parent_ref) *ref = parent;
        if (auto* list = argument.get_if<ArgumentList>()) std::ranges::for_each(*list, replace);
    };
    for (NamedArgument& named : step.args) replace(named.value);
    return step;
}

TensorMeta meta_of(const Tracked& tracked) { return extractor::meta_of(tracked.dtype, tracked.sizes, tracked.strides); }

/// Row-major from the first element of its memory: a place in it is one in the flat tensor.
bool is_flat(const Tracked& root) { return root.offset == 0 && at::geometry_is_contiguous(root.sizes, root.strides); }

}  // namespace

bool Tracked::same_geometry(const at::Tensor& tensor) const {
    return dtype == tensor.scalar_type() && conjugate == tensor.is_conj() && negative == tensor.is_neg() &&
           offset == tensor.storage_offset() && tensor.sizes() == sizes && tensor.strides() == strides;
}

Tracked& Tracker::bind(const at::Tensor& tensor, Store& store) {
    Tracked& tracked = tensors_.emplace_back();
    tracked.store = &store;
    tracked.version = store.version;
    tracked.dtype = tensor.scalar_type();
    tracked.sizes = tensor.sizes().vec();
    tracked.strides = tensor.strides().vec();
    tracked.offset = tensor.storage_offset();
    tracked.conjugate = tensor.is_conj();
    tracked.negative = tensor.is_neg();
    store.members.push_back(&tracked);
    by_impl_.insert_or_assign(tensor.unsafeGetTensorImpl(),
                              Known{c10::weak_intrusive_ptr<c10::TensorImpl>(tensor.getIntrusivePtr()), &tracked});
    return tracked;
}

Store& Tracker::add_store(const at::Tensor& tensor) {
    Store& store = stores_.emplace_back(
        Store{.storage = c10::weak_intrusive_ptr<c10::StorageImpl>(tensor.storage().getWeakStorageImpl())});
    by_storage_.insert_or_assign(tensor.storage().unsafeGetStorageImpl(), &store);
    return store;
}

Tracked* Tracker::find(const at::Tensor& tensor) {
    const auto found = by_impl_.find(tensor.unsafeGetTensorImpl());
    return found == by_impl_.end() ? nullptr : found->second.tracked;
}

Store* Tracker::find_store(const at::Tensor& tensor) {
    const auto found = by_storage_.find(tensor.storage().unsafeGetStorageImpl());
    return found == by_storage_.end() ? nullptr : found->second;
}

Tracked& Tracker::add_source(const at::Tensor& tensor, std::string name, std::string depends) {
    Store* store = find_store(tensor);
    if (store)
        store->shared = true;
    else
        store = &add_store(tensor);
    store->depends = std::move(depends);
    Tracked& tracked = bind(tensor, *store);
    if (!store->root) store->root = &tracked;
    graph_.values.push_back({.name = std::move(name), .meta = extractor::meta_of(tensor)});
    tracked.ref = ValueRef{static_cast<std::uint32_t>(graph_.values.size() - 1)};
    return tracked;
}

Tracked& Tracker::add_root(const at::Tensor& tensor, std::optional<ValueRef> ref) {
    Store& store = add_store(tensor);
    Tracked& tracked = bind(tensor, store);
    store.root = &tracked;
    tracked.ref = ref;
    return tracked;
}

Tracked& Tracker::add_view(const at::Tensor& tensor, Tracked& parent, std::optional<ValueRef> ref, Node step,
                           std::uint32_t step_output) {
    Tracked& tracked = bind(tensor, *parent.store);
    tracked.parent = &parent;
    tracked.ref = ref;
    tracked.step = std::move(step);
    tracked.step_output = step_output;
    if (!ref) tracked.version = -1;
    return tracked;
}

Tracked& Tracker::rebind(const at::Tensor& tensor, Node step, ValueRef ref) {
    Tracked& before = *find(tensor);
    return add_view(tensor, before, ref, std::move(step), 0);
}

Tracked& Tracker::track(const at::Tensor& tensor) {
    if (Tracked* tracked = find(tensor)) return *tracked;
    if (tensor.layout() != c10::kStrided || !tensor.has_storage())
        throw UnsupportedError("only strided tensors can be extracted");
    if (Store* store = find_store(tensor)) {
        // `x.data()` and the like: another handle to known memory.
        for (Tracked* member : store->members) {
            if (!member->same_geometry(tensor)) continue;
            by_impl_.insert_or_assign(
                tensor.unsafeGetTensorImpl(),
                Known{c10::weak_intrusive_ptr<c10::TensorImpl>(tensor.getIntrusivePtr()), member});
            return *member;
        }
        Tracked& root = *store->root;
        if (tensor.scalar_type() != root.dtype || tensor.is_conj() != root.conjugate ||
            tensor.is_neg() != root.negative || !is_flat(root))
            throw UnsupportedError("a tensor shares memory with another one in a way that no view describes");
        Node step{.op_type = "aten.as_strided.default",
                  .args = {{"self", parent_ref},
                           {"size", ints(tensor.sizes().vec())},
                           {"stride", ints(tensor.strides().vec())},
                           {"storage_offset", tensor.storage_offset()}}};
        return add_view(tensor, root, std::nullopt, std::move(step), 0);
    }
    Tracked& tracked = add_root(tensor, std::nullopt);
    tracked.store->known = tensor.is_cpu();
    lift(tracked, tensor);
    return tracked;
}

void Tracker::lift(Tracked& tracked, const at::Tensor& tensor) {
    const std::string target = "lifted_tensor_" + std::to_string(lifted_.size());
    graph_.values.push_back({.name = "c_" + target, .meta = extractor::meta_of(tensor)});
    const ValueRef ref{static_cast<std::uint32_t>(graph_.values.size() - 1)};
    graph_.value(ref).meta.strides.reset();
    if (tensor.is_cpu()) constants_[target] = constant_of(tensor);
    lifted_.push_back({ref, target, &tracked, tracked.store->literal});
    tracked.ref = ref;
}

at::Tensor Tracker::tensor_of(const Tracked& tracked) {
    const auto storage = tracked.store->storage.lock();
    if (!storage) throw UnsupportedError("the memory of a tensor that is still needed is gone");
    const c10::impl::ExcludeDispatchKeyGuard off(c10::DispatchKey::DeferredInit);
    at::Tensor tensor = at::empty({0}, at::TensorOptions(tracked.dtype).device(storage->device()))
                            .set_(c10::Storage(storage), tracked.offset, tracked.sizes, tracked.strides);
    if (tracked.conjugate) tensor = tensor.conj();
    return tracked.negative ? at::_neg_view(tensor) : tensor;
}

ValueRef Tracker::current(Tracked& tracked) {
    Store& store = *tracked.store;
    if (tracked.ref && tracked.version == store.version) return *tracked.ref;
    if (store.literal) {
        lift(tracked, tensor_of(tracked));
    } else {
        if (!tracked.parent) throw UnsupportedError("a tensor whose memory two weights or inputs share is written");
        Node step = bound(tracked.step, current(*tracked.parent));
        step.provenance = provenance;
        // One of several views (chunk, unbind): the others are made, too, and go unused.
        const std::size_t outputs = step.outputs.size();
        std::vector<TensorMeta> metas(std::max<std::size_t>(outputs, 1), meta_of(tracked));
        if (outputs > 0)
            for (std::size_t i = 0; i < outputs; ++i) metas[i] = graph_.value(step.outputs[i].get<ValueRef>()).meta;
        tracked.ref = emit(std::move(step), metas, outputs > 0)[tracked.step_output];
    }
    tracked.version = store.version;
    return *tracked.ref;
}

void Tracker::write(Tracked& tracked, ValueRef value) {
    if (tracked.store->shared) throw UnsupportedError("a tensor whose memory two weights or inputs share is written");
    if (!tracked.parent)
        ++tracked.store->version;
    else if (const auto base = scatter(tracked, value))
        write(*tracked.parent, *base);
    else
        write(*tracked.store->root, scatter_strided(tracked, value));
    tracked.ref = value;
    tracked.version = tracked.store->version;
}

ValueRef Tracker::as_written(Tracked& tracked, ValueRef value, const at::Tensor& computed) {
    if (computed.sizes() == tracked.sizes && !same_order(tracked, computed))
        return call("aten.copy.default", {{"self", current(tracked)}, {"src", value}}, tracked);
    if (computed.scalar_type() == tracked.dtype) return value;
    return call("aten._to_copy.default", {{"self", value}, {"dtype", dtype_of(tracked.dtype)}}, tracked);
}

ValueRef Tracker::call(const char* op_type, std::vector<NamedArgument> args, const Tracked& like) {
    return emit(Node{.op_type = op_type, .args = std::move(args), .provenance = provenance}, {meta_of(like)})[0];
}

/// The value of the parent after `value` was written to the view; none where no op undoes the view.
std::optional<ValueRef> Tracker::scatter(Tracked& view, ValueRef value) {
    Tracked& parent = *view.parent;
    const std::string_view op = aten_name(view.step.op_type);
    const auto arg = [&](const char* name) { return NamedArgument{name, view.step.arg(name)}; };
    // A part of the parent: its other elements stay.
    const auto part = [&](const char* op_type, std::vector<NamedArgument> place) {
        place.insert(place.begin(), {{"self", current(parent)}, {"src", value}});
        return call(op_type, std::move(place), parent);
    };
    if (op == "select") return part("aten.select_scatter.default", {arg("dim"), arg("index")});
    if (op == "unbind")
        return part("aten.select_scatter.default", {arg("dim"), {"index", std::int64_t{view.step_output}}});
    if (op == "slice") return part("aten.slice_scatter.default", {arg("dim"), arg("start"), arg("end"), arg("step")});
    if (op == "diagonal") return part("aten.diagonal_scatter.default", {arg("offset"), arg("dim1"), arg("dim2")});
    if (is_one_of(op, {"narrow", "chunk", "split", "split_with_sizes", "tensor_split", "hsplit", "vsplit", "dsplit"})) {
        // The one dimension that is shorter than the parent's; any, when none is.
        std::size_t dim = 0;
        for (std::size_t i = 0; i < view.sizes.size(); ++i)
            if (view.sizes[i] != parent.sizes[i]) dim = i;
        const std::int64_t start = parent.strides[dim] == 0 ? 0 : (view.offset - parent.offset) / parent.strides[dim];
        return part(
            "aten.slice_scatter.default",
            {{"dim", static_cast<std::int64_t>(dim)}, {"start", start}, {"end", start + view.sizes[dim]}, {"step", 1}});
    }
    if (parent.dtype != view.dtype)
        throw UnsupportedError("writing to a view of another dtype (" + view.step.op_type + ") cannot be extracted");
    if (numel(parent.sizes) != numel(view.sizes)) return std::nullopt;
    const auto conjugated = [&](ValueRef other) {
        return c10::isComplexType(view.dtype) ? call("aten._conj.default", {{"self", other}}, parent) : other;
    };
    if (op == "conj" || op == "_conj") return conjugated(value);
    // The same elements in another order or shape.
    if (parent.sizes == view.sizes && parent.strides == view.strides) return value;
    const auto transposed = [&](Argument dim0, Argument dim1) {
        return call("aten.transpose.int", {{"self", value}, {"dim0", std::move(dim0)}, {"dim1", std::move(dim1)}},
                    parent);
    };
    if (op == "t") return call("aten.t.default", {{"self", value}}, parent);
    if (op == "mT") return transposed(-2, -1);
    if (is_one_of(op, {"mH", "matrix_H", "adjoint"})) return conjugated(transposed(-2, -1));
    if (op == "transpose" || op == "swapdims") return transposed(arg("dim0").value, arg("dim1").value);
    if (op == "swapaxes") return transposed(arg("axis0").value, arg("axis1").value);
    if (op == "permute") {
        const auto dims = arg("dims").value.to_ints();
        const auto rank = static_cast<std::int64_t>(dims.size());
        std::vector<std::int64_t> inverse(dims.size());
        for (std::int64_t i = 0; i < rank; ++i) inverse[(dims[i] + rank) % rank] = i;
        return call("aten.permute.default", {{"self", value}, {"dims", ints(inverse)}}, parent);
    }
    if (is_one_of(op, {"view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "contiguous", "_unsafe_view",
                       "view_as", "reshape_as", "ravel", "_reshape_alias", "atleast_1d", "atleast_2d", "atleast_3d"}))
        return call("aten.reshape.default", {{"self", value}, {"shape", ints(parent.sizes)}}, parent);
    return std::nullopt;
}

/// The same for any view, by its place in the root.
ValueRef Tracker::scatter_strided(Tracked& view, ValueRef value) {
    Tracked& root = *view.store->root;
    const std::string what = "writing to a view made by " + view.step.op_type + " cannot be extracted: ";
    if (!is_flat(root) || root.dtype != view.dtype) throw UnsupportedError(what + "its base is not row-major");
    if (view.conjugate != root.conjugate || view.negative != root.negative)
        throw UnsupportedError(what +
                               "its base is conjugate or negative; call resolve_conj() or resolve_neg() on that");
    return call("aten.as_strided_scatter.default",
                {{"self", current(root)},
                 {"src", value},
                 {"size", ints(view.sizes)},
                 {"stride", ints(view.strides)},
                 {"storage_offset", view.offset}},
                root);
}

void Tracker::make_recorded(Store& store) {
    if (!store.literal) return;
    Tracked& root = *store.root;
    if (store.version == 0 && numel(root.sizes) > max_constant) {
        root.ref =
            call("aten.empty.memory_format", {{"size", ints(root.sizes)}, {"dtype", dtype_of(root.dtype)}}, root);
        root.version = 0;
    }
    current(root);
    store.literal = false;
}

at::Tensor Tracker::on_meta(Tracked& tracked, const at::Tensor& tensor) {
    if (tensor.is_meta()) return tensor;
    if (tracked.meta.defined() && tracked.same_geometry(tracked.meta)) return tracked.meta;
    Store& store = *tracked.store;
    const c10::impl::ExcludeDispatchKeyGuard off(c10::DispatchKey::DeferredInit);
    const at::TensorOptions options = at::TensorOptions(tracked.dtype).device(c10::kMeta);
    if (!store.meta) {
        const std::size_t bytes = std::max<std::size_t>(tensor.storage().nbytes(), 1);
        const at::Tensor whole =
            at::empty({static_cast<std::int64_t>(bytes)}, at::TensorOptions(c10::kByte).device(c10::kMeta));
        store.meta = whole.storage();
        by_storage_.insert_or_assign(store.meta.unsafeGetStorageImpl(), &store);
    }
    tracked.meta = at::empty({0}, options).set_(store.meta, tracked.offset, tracked.sizes, tracked.strides);
    by_impl_.insert_or_assign(
        tracked.meta.unsafeGetTensorImpl(),
        Known{c10::weak_intrusive_ptr<c10::TensorImpl>(tracked.meta.getIntrusivePtr()), &tracked});
    return tracked.meta;
}

std::vector<ValueRef> Tracker::emit(Node node, const std::vector<TensorMeta>& outputs, bool list) {
    std::vector<ValueRef> refs;
    const auto producer = static_cast<std::uint32_t>(graph_.nodes.size());
    for (std::uint32_t i = 0; i < outputs.size(); ++i) {
        refs.push_back({static_cast<std::uint32_t>(graph_.values.size())});
        graph_.values.push_back({.meta = outputs[i], .producer = producer, .producer_output_idx = i});
    }
    ArgumentList results(refs.begin(), refs.end());
    node.outputs = list ? std::vector<Argument>{std::move(results)} : std::move(results);
    graph_.nodes.push_back(std::move(node));
    return refs;
}

}  // namespace torch_ir::extractor
