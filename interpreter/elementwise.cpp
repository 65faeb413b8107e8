// SPDX-License-Identifier: MIT
#include "elementwise.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

#include "parallel.hpp"
#include "promote.hpp"
#include "vmath.hpp"

namespace torch_ir {
namespace {

constexpr std::int64_t block_size = 1024;
constexpr std::size_t max_operands = 8;
constexpr std::size_t max_compute_size = sizeof(std::complex<double>);
/// Rows shorter than this are gathered, several to a block.
constexpr std::int64_t short_row = 64;

/// The iteration space: sizes outermost first, and for every operand a stride (in elements) per dimension.
struct Loops {
    Ints sizes;
    std::vector<Ints> strides;  // [operand][dimension]

    std::int64_t count() const { return numel_of(sizes); }
};

/// Strides of a tensor of `own_shape` and `own_strides`, broadcast to `shape`.
Ints broadcast_strides(const Ints& own_shape, const Ints& own_strides, const Ints& shape) {
    Ints strides(shape.size(), 0);
    const std::size_t added = shape.size() - own_shape.size();
    for (std::size_t i = added; i < shape.size(); ++i)
        if (own_shape[i - added] != 1) strides[i] = own_strides[i - added];
    return strides;
}

/// Puts the dimensions in the order in which the first operand lies in memory, drops those of size 1 and merges
/// neighbours that all operands walk as one.
void simplify(Loops& loops) {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < loops.sizes.size(); ++i)
        if (loops.sizes[i] != 1) order.push_back(i);
    const Ints& lead = loops.strides.front();
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return lead[a] > lead[b]; });

    Loops merged;
    merged.strides.resize(loops.strides.size());
    for (const std::size_t i : order) {
        bool mergeable = !merged.sizes.empty();
        for (std::size_t k = 0; mergeable && k < loops.strides.size(); ++k)
            mergeable = merged.strides[k].back() == loops.strides[k][i] * loops.sizes[i];
        if (mergeable) {
            merged.sizes.back() *= loops.sizes[i];
            for (std::size_t k = 0; k < loops.strides.size(); ++k) merged.strides[k].back() = loops.strides[k][i];
        } else {
            merged.sizes.push_back(loops.sizes[i]);
            for (std::size_t k = 0; k < loops.strides.size(); ++k) merged.strides[k].push_back(loops.strides[k][i]);
        }
    }
    if (merged.sizes.empty()) {
        merged.sizes.push_back(1);
        for (Ints& strides : merged.strides) strides.push_back(1);
    }
    loops = std::move(merged);
}

/// A position in the iteration space with every operand's element offset there.
class Cursor {
  public:
    Cursor(const Loops& loops, std::int64_t position)
        : loops_(&loops), index_(loops.sizes.size()), offsets_(loops.strides.size(), 0) {
        for (std::size_t d = loops.sizes.size(); d-- > 0;) {
            index_[d] = position % loops.sizes[d];
            position /= loops.sizes[d];
            for (std::size_t k = 0; k < offsets_.size(); ++k) offsets_[k] += index_[d] * loops.strides[k][d];
        }
    }

    std::int64_t offset(std::size_t operand) const { return offsets_[operand]; }
    /// Elements left in the innermost row.
    std::int64_t row_left() const { return loops_->sizes.back() - index_.back(); }

    /// Whole rows left in the second dimension from the inside.
    std::int64_t rows_left() const { return index_.size() < 2 ? 1 : *(loops_->sizes.end() - 2) - *(index_.end() - 2); }

    /// Moves on by `n` elements, at most to the end of the row.
    void advance(std::int64_t n) { advance(index_.size() - 1, n); }
    /// By `n` rows, at most to the end of the second dimension from the inside.
    void advance_rows(std::int64_t n) { advance(index_.size() - 2, n); }

  private:
    void advance(std::size_t d, std::int64_t n) {
        index_[d] += n;
        for (std::size_t k = 0; k < offsets_.size(); ++k) offsets_[k] += n * loops_->strides[k][d];
        while (d > 0 && index_[d] == loops_->sizes[d]) {
            for (std::size_t k = 0; k < offsets_.size(); ++k)
                offsets_[k] += loops_->strides[k][d - 1] - loops_->sizes[d] * loops_->strides[k][d];
            index_[d] = 0;
            ++index_[--d];
        }
    }

    const Loops* loops_;
    Ints index_;
    Ints offsets_;
};

Loops make_loops(const Ints& shape, std::span<const detail::Operand> outputs, std::span<const detail::Operand> inputs) {
    Loops loops{shape, {}};
    for (const auto operands : {outputs, inputs})
        for (const detail::Operand& operand : operands)
            loops.strides.push_back(broadcast_strides(operand.tensor->shape(), operand.tensor->strides(), shape));
    simplify(loops);
    return loops;
}

/// One thread's part of a walk. A slot is an operand: the outputs come first.
class BlockRunner {
  public:
    BlockRunner(const Loops& loops, std::span<const detail::Operand> outputs, std::span<const detail::Operand> inputs)
        : loops_(loops), outputs_(outputs), inputs_(inputs), scratch_(outputs.size() + inputs.size()) {
        for (const detail::Operand& operand : outputs)
            add_place(*operand.tensor, operand.as_bool ? DType::Bool : dtype_of(operand.compute));
        for (const detail::Operand& operand : inputs) add_place(*operand.tensor, dtype_of(operand.compute));
    }

    void run(std::int64_t begin, std::int64_t end, detail::BlockFn block, const void* f) {
        if (loops_.sizes.back() < short_row && loops_.sizes.size() > 1)
            run_gathered(begin, end, block, f);
        else if (std::all_of(places_.begin(), places_.end(), [](const Place& place) { return place.has_blocks; }))
            run_in_place(begin, end, block, f);
        else
            run_rows(begin, end, block, f);
    }

  private:
    /// Where an operand lies, and what its blocks hold.
    struct Place {
        std::byte* first;
        std::int64_t size;  // of an element there
        DType dtype;
        DType block_dtype;
        std::int64_t next_row;  // bytes to the next row
        bool has_blocks;        // rows lie there as blocks have them
    };

    void add_place(const Tensor& tensor, DType block_dtype) {
        const Ints& strides = loops_.strides[places_.size()];
        const auto size = static_cast<std::int64_t>(item_size(tensor.dtype()));
        const std::int64_t next = strides.size() > 1 ? *(strides.end() - 2) : 0;
        places_.push_back({tensor.raw(), size, tensor.dtype(), block_dtype, next * size,
                           strides.back() == 1 && tensor.dtype() == block_dtype});
    }

    std::byte* at(std::size_t slot, const Cursor& cursor) const {
        return places_[slot].first + cursor.offset(slot) * places_[slot].size;
    }

    /// Whole rows where they lie.
    void run_in_place(std::int64_t begin, std::int64_t end, detail::BlockFn block, const void* f) const {
        Cursor cursor(loops_, begin);
        std::array<std::byte*, max_operands> out{};
        std::array<const std::byte*, max_operands> in{};
        for_rows(cursor, end - begin, [&](std::int64_t, std::int64_t rows, std::int64_t n) {
            for (std::size_t k = 0; k < outputs_.size(); ++k) out[k] = at(k, cursor);
            for (std::size_t k = 0; k < inputs_.size(); ++k) in[k] = at(outputs_.size() + k, cursor);
            for (std::int64_t row = 0;;) {
                block(f, out.data(), in.data(), n);
                if (++row == rows) break;
                for (std::size_t k = 0; k < outputs_.size(); ++k) out[k] += places_[k].next_row;
                for (std::size_t k = 0; k < inputs_.size(); ++k) in[k] += places_[outputs_.size() + k].next_row;
            }
        });
    }

    /// Blocks within a row.
    void run_rows(std::int64_t begin, std::int64_t end, detail::BlockFn block, const void* f) {
        Cursor cursor(loops_, begin);
        std::array<std::byte*, max_operands> out{};
        std::array<const std::byte*, max_operands> in{};
        for (std::int64_t position = begin; position < end;) {
            const std::int64_t n = std::min({block_size, end - position, cursor.row_left()});
            for (std::size_t k = 0, slot = outputs_.size(); k < inputs_.size(); ++k, ++slot)
                in[k] = places_[slot].has_blocks ? at(slot, cursor) : row_input(k, at(slot, cursor), n);
            for (std::size_t k = 0; k < outputs_.size(); ++k)
                out[k] = places_[k].has_blocks ? at(k, cursor) : scratch(k);
            block(f, out.data(), in.data(), n);
            for (std::size_t k = 0; k < outputs_.size(); ++k)
                if (!places_[k].has_blocks) store_output(k, at(k, cursor), out[k], n);
            position += n;
            cursor.advance(n);
        }
    }

    /// Blocks of several short rows. What lies as the blocks have it is not gathered, what is the same in all rows is
    /// gathered once.
    void run_gathered(std::int64_t begin, std::int64_t end, detail::BlockFn block, const void* f) {
        Cursor reading(loops_, begin);
        Cursor writing(loops_, begin);
        const std::int64_t row = loops_.sizes.back();
        std::array<bool, 2 * max_operands> lies{};
        std::array<bool, 2 * max_operands> alike{};
        std::array<std::int64_t, 2 * max_operands> ready{};  // elements that are there since an earlier block
        for (std::size_t slot = 0; slot < loops_.strides.size(); ++slot) {
            lies[slot] = lies_as_blocks(slot);
            alike[slot] = rows_are_alike(slot);
        }
        const bool scatters = !std::all_of(lies.begin(), lies.begin() + outputs_.size(), [](bool x) { return x; });
        std::array<std::byte*, max_operands> out{};
        std::array<const std::byte*, max_operands> in{};
        for (std::int64_t position = begin; position < end;) {
            const bool whole_rows = position % row == 0;
            const std::int64_t n = std::min(whole_rows ? block_size / row * row : reading.row_left(), end - position);
            for (std::size_t k = 0; k < outputs_.size(); ++k) out[k] = lies[k] ? at(k, reading) : scratch(k);
            for (std::size_t k = 0; k < inputs_.size(); ++k) {
                const std::size_t slot = outputs_.size() + k;
                in[k] = lies[slot] ? at(slot, reading) : scratch(slot);
            }
            for_rows(reading, n, [&](std::int64_t done, std::int64_t rows, std::int64_t piece) {
                for (std::size_t k = 0; k < inputs_.size(); ++k)
                    if (!lies[outputs_.size() + k] && done >= ready[outputs_.size() + k])
                        gather(k, reading, done, rows, piece);
            });
            for (std::size_t slot = outputs_.size(); whole_rows && slot < loops_.strides.size(); ++slot)
                if (alike[slot]) ready[slot] = std::max(ready[slot], n);
            block(f, out.data(), in.data(), n);
            if (scatters)
                for_rows(writing, n, [&](std::int64_t done, std::int64_t rows, std::int64_t piece) {
                    for (std::size_t k = 0; k < outputs_.size(); ++k)
                        if (!lies[k]) scatter(k, writing, done, rows, piece);
                });
            position += n;
        }
    }

    struct Scratch {
        std::unique_ptr<std::byte[]> memory;
        std::byte* aligned = nullptr;
        const std::byte* constant = nullptr;  // the element that fills the whole block, when one does
    };

    std::byte* scratch(std::size_t slot) {
        Scratch& s = scratch_[slot];
        if (!s.memory) {
            s.memory = std::make_unique_for_overwrite<std::byte[]>(block_size * max_compute_size + 64);
            const auto address = reinterpret_cast<std::uintptr_t>(s.memory.get());
            s.aligned = s.memory.get() + (64 - address % 64) % 64;
        }
        return s.aligned;
    }

    /// A row of an input as a block.
    const std::byte* row_input(std::size_t k, const std::byte* source, std::int64_t n) {
        const std::size_t slot = outputs_.size() + k;
        const std::int64_t stride = loops_.strides[slot].back();
        Scratch& s = scratch_[slot];
        std::byte* memory = scratch(slot);
        if (stride != 0 || s.constant != source)
            load(inputs_[k].compute, memory, places_[slot].dtype, source, stride, stride == 0 ? block_size : n);
        s.constant = stride == 0 ? source : nullptr;
        return memory;
    }

    /// Stores a block to a row of an output.
    void store_output(std::size_t k, std::byte* destination, const std::byte* block, std::int64_t n) const {
        const detail::Operand& operand = outputs_[k];
        const std::int64_t stride = loops_.strides[k].back();
        if (operand.as_bool)
            convert(places_[k].dtype, destination, stride, DType::Bool, block, 1, n);
        else
            store(places_[k].dtype, destination, stride, operand.compute, block, n);
    }

    /// Calls `f(done, rows, n)` for the neighbouring rows, or the piece of one, that make up the next `total` elements,
    /// and moves on.
    template <class F>
    void for_rows(Cursor& cursor, std::int64_t total, F&& f) const {
        const std::int64_t row = loops_.sizes.back();
        for (std::int64_t done = 0; done < total;) {
            const std::int64_t n = std::min(total - done, cursor.row_left());
            const std::int64_t rows = n < row ? 1 : std::min((total - done) / row, cursor.rows_left());
            f(done, rows, n);
            if (rows == 1)
                cursor.advance(n);
            else
                cursor.advance_rows(rows);
            done += rows * n;
        }
    }

    /// Does a whole operand lie in memory as the blocks have it, one after the other?
    bool lies_as_blocks(std::size_t slot) const {
        if (places_[slot].dtype != places_[slot].block_dtype) return false;
        std::int64_t expected = 1;
        for (std::size_t d = loops_.sizes.size(); d-- > 0; expected *= loops_.sizes[d])
            if (loops_.strides[slot][d] != expected) return false;
        return true;
    }

    bool rows_are_alike(std::size_t slot) const {
        const Ints& strides = loops_.strides[slot];
        return std::all_of(strides.begin(), strides.end() - 1, [](std::int64_t stride) { return stride == 0; });
    }

    /// Puts rows of `n` elements of an input into its block, from position `done` of the block on.
    void gather(std::size_t k, const Cursor& cursor, std::int64_t done, std::int64_t rows, std::int64_t n) {
        const std::size_t slot = outputs_.size() + k;
        const Place& place = places_[slot];
        const std::int64_t stride = loops_.strides[slot].back();
        const std::byte* source = at(slot, cursor);
        const auto size = static_cast<std::int64_t>(item_size(place.block_dtype));
        std::byte* to = scratch(slot) + done * size;
        if (place.dtype == DType::Float32 && place.block_dtype == DType::Float32)  // without calls
            gather_floats(reinterpret_cast<float*>(to), reinterpret_cast<const float*>(source),
                          place.next_row / place.size, rows, stride, n);
        else
            for (std::int64_t row = 0; row < rows; ++row)
                load(inputs_[k].compute, to + row * n * size, place.dtype, source + row * place.next_row, stride, n);
    }

    static void gather_floats(float* to, const float* from, std::int64_t next, std::int64_t rows, std::int64_t stride,
                              std::int64_t n) {
        constexpr std::int64_t lanes = 8;
        using Vector = vmath::Vector<float, lanes>;
        for (std::int64_t row = 0; row < rows; ++row, to += n, from += next) {
            std::int64_t i = 0;
            if (stride == 0)
                for (; i + lanes <= n; i += lanes) std::fill_n(to + i, lanes, *from);
            else if (stride == 1)
                for (; i + lanes <= n; i += lanes)
                    *reinterpret_cast<Vector*>(to + i) = *reinterpret_cast<const Vector*>(from + i);
            for (; i < n; ++i) to[i] = from[i * stride];
        }
    }

    /// Stores rows of `n` elements of an output's block, from position `done` of the block on.
    void scatter(std::size_t k, const Cursor& cursor, std::int64_t done, std::int64_t rows, std::int64_t n) {
        const auto size = static_cast<std::int64_t>(item_size(places_[k].block_dtype));
        for (std::int64_t row = 0; row < rows; ++row)
            store_output(k, at(k, cursor) + row * places_[k].next_row, scratch(k) + (done + row * n) * size, n);
    }

    const Loops& loops_;
    std::span<const detail::Operand> outputs_;
    std::span<const detail::Operand> inputs_;
    std::vector<Place> places_;
    std::vector<Scratch> scratch_;
};

/// Calls `f(cursor, n)` for every row, rows in parallel; an element takes the time of `cost` plain ones.
template <class F>
void for_each_row(const Loops& loops, F&& f, std::int64_t cost = 1) {
    const std::int64_t row = loops.sizes.back();
    const std::int64_t grain = std::max<std::int64_t>(1, parallel_grain / cost);
    if (loops.sizes.size() == 1) {
        parallel_for(row, grain, [&](std::int64_t begin, std::int64_t end) {
            Cursor cursor(loops, begin);
            f(cursor, end - begin);
        });
        return;
    }
    const std::int64_t rows = loops.count() / row;
    parallel_for(rows, std::max<std::int64_t>(1, grain / row), [&](std::int64_t begin, std::int64_t end) {
        Cursor cursor(loops, begin * row);
        for (std::int64_t i = begin; i < end; ++i) {
            f(cursor, row);
            if (i + 1 < end) cursor.advance(row);
        }
    });
}

/// Rows that lie in memory as they are: copied whole, by an inner loop over neighbouring rows.
void copy_rows(Loops loops, std::byte* to, const std::byte* from, std::int64_t item) {
    const std::int64_t row = loops.sizes.back() * item;
    loops.sizes.pop_back();
    for (Ints& strides : loops.strides) strides.pop_back();
    for_each_row(
        loops,
        [&](const Cursor& cursor, std::int64_t rows) {
            std::byte* target = to + cursor.offset(0) * item;
            const std::byte* source = from + cursor.offset(1) * item;
            for (std::int64_t i = 0; i < rows; ++i)
                std::memcpy(target + i * loops.strides[0].back() * item, source + i * loops.strides[1].back() * item,
                            static_cast<std::size_t>(row));
        },
        row);
}

/// Weights lie in read-only memory; a graph that writes to them gets copies (alias.hpp), so this is a fault of that
/// analysis.
void check_writable(const Tensor& destination) {
    if (destination.storage()->is_constant()) throw Error("a weight that was not expected to change is written to");
}

}  // namespace

namespace detail {

void walk(std::span<const Operand> outputs, std::span<const Operand> inputs, BlockFn block, const void* f) {
    const Ints& shape = outputs.front().tensor->shape();
    if (outputs.front().tensor->numel() == 0) return;
    for (const Operand& output : outputs) check_writable(*output.tensor);
    const Loops loops = make_loops(shape, outputs, inputs);
    parallel_for(loops.count(), parallel_grain, [&](std::int64_t begin, std::int64_t end) {
        BlockRunner(loops, outputs, inputs).run(begin, end, block, f);
    });
}

}  // namespace detail

namespace {

/// Dense strides in the order in which operands of these strides lie.
Ints dense_strides(const Ints& shape, const std::vector<Ints>& strides) {
    // TensorIteratorBase::reorder_dimensions: dimensions are sorted by the inputs' strides, ambiguous ones keep their
    // order.
    std::vector<std::size_t> perm(shape.size());  // innermost first
    std::iota(perm.rbegin(), perm.rend(), std::size_t{0});
    const auto should_swap = [&](std::size_t a, std::size_t b) {  // 1: a is outer of b, -1: inner, 0: cannot tell
        for (const Ints& s : strides) {
            if (s[a] == 0 || s[b] == 0) continue;
            if (s[a] != s[b]) return s[a] < s[b] ? -1 : 1;
            if (shape[a] > shape[b]) return 1;
        }
        return 0;
    };
    for (std::size_t i = 1; i < perm.size(); ++i) {
        std::size_t dim1 = i;
        for (std::size_t dim0 = i; dim0-- > 0;) {
            const int comparison = should_swap(perm[dim0], perm[dim1]);
            if (comparison > 0) {
                std::swap(perm[dim0], perm[dim1]);
                dim1 = dim0;
            } else if (comparison < 0) {
                break;
            }
        }
    }
    Ints out(shape.size());
    std::int64_t stride = 1;
    for (const std::size_t d : perm) {
        out[d] = stride;
        stride *= std::max<std::int64_t>(shape[d], 1);
    }
    return out;
}

}  // namespace

Tensor elementwise_output(DType dtype, std::span<const Tensor* const> inputs) {
    Ints shape = inputs.front()->shape();
    bool same_shape = true;
    for (const Tensor* input : inputs.subspan(1)) {
        same_shape = same_shape && input->shape() == shape;
        if (!same_shape) shape = broadcast_shapes(shape, input->shape());
    }
    const bool contiguous = std::all_of(inputs.begin(), inputs.end(), [&](const Tensor* t) {
        return t->is_contiguous() && (t->numel() == 1 || t->shape() == shape);
    });
    if (contiguous) return Tensor::empty(std::move(shape), dtype);
    // All inputs of the full shape agree on a dense layout: the output has it too.
    if (same_shape && inputs.front()->is_dense() && std::all_of(inputs.begin(), inputs.end(), [&](const Tensor* t) {
            return t->strides() == inputs.front()->strides();
        }))
        return Tensor::empty_strided(std::move(shape), inputs.front()->strides(), dtype);

    std::vector<Ints> strides;
    const DType common = dtype == DType::Bool ? result_type(inputs) : dtype;
    for (const Tensor* input : inputs) {
        // What is converted lies densely before its strides count; masks are not converted.
        const bool converted = input->dtype() != common && input->dtype() != DType::Bool && !input->is_dense();
        const Ints& own = input->shape();
        strides.push_back(broadcast_strides(
            own, converted ? dense_strides(own, {broadcast_strides(own, input->strides(), own)}) : input->strides(),
            shape));
    }
    Ints out = dense_strides(shape, strides);
    return Tensor::empty_strided(std::move(shape), std::move(out), dtype);
}

namespace {

/// Copies between tensors of one dtype of which one is contiguous along dimension `d_inner`, the other along another
/// one, tile by tile, so that both sides use whole cache lines.
template <class T>
void copy_transposed(const Loops& loops, std::size_t s_inner, T* destination, const T* source) {
    constexpr std::int64_t tile = 32;
    const std::size_t d_inner = loops.sizes.size() - 1;
    const Ints& d = loops.strides[0];
    const Ints& s = loops.strides[1];
    const std::int64_t columns = loops.sizes[d_inner];
    const std::int64_t rows = loops.sizes[s_inner];
    const std::int64_t row_tiles = (rows + tile - 1) / tile;
    Loops outer{{}, {{}, {}}};
    for (std::size_t i = 0; i < d_inner; ++i) {
        if (i == s_inner) continue;
        outer.sizes.push_back(loops.sizes[i]);
        outer.strides[0].push_back(d[i]);
        outer.strides[1].push_back(s[i]);
    }
    const std::int64_t grain = std::max<std::int64_t>(1, parallel_grain / (tile * columns));
    parallel_for(outer.count() * row_tiles, grain, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t piece = begin; piece < end; ++piece) {
            std::int64_t index = piece / row_tiles;
            const std::int64_t row = piece % row_tiles * tile;
            const std::int64_t row_end = std::min(rows, row + tile);
            T* to = destination;
            const T* from = source;
            for (std::size_t i = outer.sizes.size(); i-- > 0;) {
                to += index % outer.sizes[i] * outer.strides[0][i];
                from += index % outer.sizes[i] * outer.strides[1][i];
                index /= outer.sizes[i];
            }
            for (std::int64_t column = 0; column < columns; column += tile) {
                const std::int64_t column_end = std::min(columns, column + tile);
                if (column_end - column < 8) {  // the few channels of an image
                    for (std::int64_t c = column; c < column_end; ++c)
                        for (std::int64_t r = row; r < row_end; ++r) to[r * d[s_inner] + c] = from[r + c * s[d_inner]];
                    continue;
                }
                for (std::int64_t r = row; r < row_end; ++r)
                    for (std::int64_t c = column; c < column_end; ++c)
                        to[r * d[s_inner] + c] = from[r + c * s[d_inner]];
            }
        }
    });
}

/// Whether the copy was such a transposition.
bool try_copy_transposed(const Loops& loops, const Tensor& destination, const Tensor& source) {
    const std::size_t d_inner = loops.sizes.size() - 1;
    if (destination.dtype() != source.dtype() || loops.strides[0][d_inner] != 1 || loops.strides[1][d_inner] < 2)
        return false;
    const auto found = std::find(loops.strides[1].begin(), loops.strides[1].end(), 1);
    if (found == loops.strides[1].end()) return false;
    const auto s_inner = static_cast<std::size_t>(found - loops.strides[1].begin());
    const auto copy = [&]<class T>(T) {
        copy_transposed(loops, s_inner, destination.data<T>(), source.data<T>());
        return true;
    };
    switch (item_size(source.dtype())) {
        case 1:
            return copy(std::uint8_t{});
        case 2:
            return copy(std::uint16_t{});
        case 4:
            return copy(std::uint32_t{});
        case 8:
            return copy(std::uint64_t{});
        default:
            return false;
    }
}

}  // namespace

void copy_elements(const Tensor& destination, const Tensor& source) {
    check_writable(destination);
    if (destination.dim() < source.dim() ||
        broadcast_shapes(destination.shape(), source.shape()) != destination.shape())
        throw ArgumentError("a tensor of shape " + to_string(source.shape()) + " cannot be copied into one of shape " +
                            to_string(destination.shape()));
    if (destination.numel() == 0) return;
    const detail::Operand outs[] = {{&destination, Compute::Int64}};
    const detail::Operand ins[] = {{&source, Compute::Int64}};
    const Loops loops = make_loops(destination.shape(), outs, ins);
    if (try_copy_transposed(loops, destination, source)) return;
    const auto d_size = static_cast<std::int64_t>(item_size(destination.dtype()));
    const auto s_size = static_cast<std::int64_t>(item_size(source.dtype()));
    if (loops.sizes.size() > 1 && destination.dtype() == source.dtype() && loops.strides[0].back() == 1 &&
        loops.strides[1].back() == 1)
        return copy_rows(loops, destination.raw(), source.raw(), d_size);
    for_each_row(loops, [&](const Cursor& cursor, std::int64_t n) {
        convert(destination.dtype(), destination.raw() + cursor.offset(0) * d_size, loops.strides[0].back(),
                source.dtype(), source.raw() + cursor.offset(1) * s_size, loops.strides[1].back(), n);
    });
}

void fill_elements(const Tensor& destination, const std::byte* element) {
    check_writable(destination);
    if (destination.numel() == 0) return;
    const detail::Operand outs[] = {{&destination, Compute::Int64}};
    const Loops loops = make_loops(destination.shape(), outs, {});
    const DType dtype = destination.dtype();
    const auto size = static_cast<std::int64_t>(item_size(dtype));
    for_each_row(loops, [&](const Cursor& cursor, std::int64_t n) {
        convert(dtype, destination.raw() + cursor.offset(0) * size, loops.strides[0].back(), dtype, element, 0, n);
    });
}

}  // namespace torch_ir
