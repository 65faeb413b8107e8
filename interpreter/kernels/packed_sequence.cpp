// SPDX-License-Identifier: MIT
// Packed sequences: batches of sequences of falling lengths without their padding, time step by time step, as
// torch.nn.utils.rnn has them.
#include "kernels/families.hpp"

namespace torch_ir::kernels {
namespace {

using Two = std::tuple<Tensor, Tensor>;

Ints to_ints(const char* op, const char* what, In t) {
    if (t.dim() != 1 || t.dtype() != DType::Int64)
        throw ArgumentError(std::string(op) + ": expected '" + what + "' to be a 1-d int64 tensor, found " +
                            describe(t));
    const Tensor values = t.contiguous();
    const auto* data = values.data<std::int64_t>();
    return {data, data + values.numel()};
}

/// How many sequences reach each time step.
Ints check_batch_sizes(const char* op, In batch_sizes, std::int64_t rows) {
    Ints sizes = to_ints(op, "batch_sizes", batch_sizes);
    std::int64_t total = 0;
    for (std::size_t t = 0; t < sizes.size(); ++t) {
        if (sizes[t] < 1 || (t > 0 && sizes[t] > sizes[t - 1]) || sizes[t] > rows - total)
            throw ArgumentError(std::string(op) +
                                ": expected 'batch_sizes' to be positive, not to rise and to add up to " +
                                std::to_string(rows) + ", found " + to_string(sizes));
        total += sizes[t];
    }
    if (sizes.empty() || total != rows)
        throw ArgumentError(std::string(op) + ": expected 'batch_sizes' to add up to " + std::to_string(rows) +
                            ", found " + to_string(sizes));
    return sizes;
}

Two pack_padded_sequence(In input, In lengths_tensor, bool batch_first) {
    const char* op = "_pack_padded_sequence";
    const Ints lengths = to_ints(op, "lengths", lengths_tensor);
    if (input.dim() < 2)
        throw ArgumentError(std::string(op) + ": expected at least 2 dimensions, found " + describe(input));
    const Tensor x = batch_first ? input.transpose(0, 1) : input;
    if (static_cast<std::int64_t>(lengths.size()) != x.size(1))
        throw ArgumentError(std::string(op) + ": expected a length for each of " + std::to_string(x.size(1)) +
                            " sequences, found " + std::to_string(lengths.size()));
    std::int64_t rows = 0;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
        if (lengths[i] < 1 || lengths[i] > x.size(0) || (i > 0 && lengths[i] > lengths[i - 1]))
            throw ArgumentError(std::string(op) + ": expected 'lengths' of 1 to " + std::to_string(x.size(0)) +
                                " in falling order, found " + to_string(lengths));
        rows += lengths[i];
    }
    if (lengths.empty()) throw ArgumentError(std::string(op) + ": expected at least one sequence");
    Ints shape{rows};
    shape.insert(shape.end(), x.shape().begin() + 2, x.shape().end());
    const Tensor data = Tensor::empty(shape, x.dtype());
    Ints sizes;
    std::int64_t row = 0;
    for (std::int64_t t = 0; t < lengths[0]; ++t) {
        std::int64_t count = 0;
        while (count < x.size(1) && lengths[static_cast<std::size_t>(count)] > t) ++count;
        data.narrow(0, row, count).copy_from(x.select(0, t).narrow(0, 0, count));
        sizes.push_back(count);
        row += count;
    }
    return {data, Tensor::from_ints(sizes)};
}

Tensor pack_padded_sequence_backward(In grad, const Ints& input_size, In batch_sizes, bool batch_first) {
    const char* op = "_pack_padded_sequence_backward";
    const Ints sizes = check_batch_sizes(op, batch_sizes, grad.size(0));
    if (input_size.size() < 2) throw ArgumentError(std::string(op) + ": expected 'input_size' of at least 2 numbers");
    Ints shape = input_size;
    if (batch_first) std::swap(shape[0], shape[1]);
    const Tensor out = Tensor::zeros(shape, grad.dtype());
    std::int64_t row = 0;
    for (std::size_t t = 0; t < sizes.size(); ++t) {
        out.select(0, static_cast<std::int64_t>(t)).narrow(0, 0, sizes[t]).copy_from(grad.narrow(0, row, sizes[t]));
        row += sizes[t];
    }
    return batch_first ? out.transpose(0, 1) : out;
}

Two pad_packed_sequence(In data, In batch_sizes, bool batch_first, const Scalar& padding_value,
                        std::int64_t total_length) {
    const char* op = "_pad_packed_sequence";
    if (data.dim() < 1)
        throw ArgumentError(std::string(op) + ": expected at least 1 dimension, found " + describe(data));
    const Ints sizes = check_batch_sizes(op, batch_sizes, data.size(0));
    const auto steps = static_cast<std::int64_t>(sizes.size());
    if (total_length > 0 && total_length < steps)
        throw ArgumentError(std::string(op) + ": expected 'total_length' of at least " + std::to_string(steps) +
                            ", found " + std::to_string(total_length));
    Ints shape{std::max(steps, total_length), sizes[0]};
    shape.insert(shape.end(), data.shape().begin() + 1, data.shape().end());
    const Tensor out = Tensor::full(shape, padding_value, data.dtype());
    Ints lengths(static_cast<std::size_t>(sizes[0]), 0);
    std::int64_t row = 0;
    for (std::size_t t = 0; t < sizes.size(); ++t) {
        out.select(0, static_cast<std::int64_t>(t)).narrow(0, 0, sizes[t]).copy_from(data.narrow(0, row, sizes[t]));
        row += sizes[t];
        for (std::int64_t i = 0; i < sizes[t]; ++i)
            lengths[static_cast<std::size_t>(i)] = static_cast<std::int64_t>(t) + 1;
    }
    return {batch_first ? out.transpose(0, 1) : out, Tensor::from_ints(lengths)};
}

}  // namespace

void register_packed_sequence(Registry& r) {
    r.add("_pack_padded_sequence(Tensor input, Tensor lengths, bool batch_first) -> (Tensor, Tensor)",
          pack_padded_sequence);
    r.add(
        "_pack_padded_sequence_backward(Tensor grad, SymInt[] input_size, Tensor batch_sizes, bool batch_first) -> "
        "Tensor",
        pack_padded_sequence_backward);
    r.add(
        "_pad_packed_sequence(Tensor data, Tensor batch_sizes, bool batch_first, Scalar padding_value, int "
        "total_length) -> (Tensor, Tensor)",
        pad_packed_sequence);
}

}  // namespace torch_ir::kernels
