// SPDX-License-Identifier: MIT
// Random ops give, bit for bit, the numbers of PyTorch's CPU generator. tools/make_random_cases.py writes the calls.
#include <doctest/doctest.h>

#include "generator.hpp"
#include "verification/op_case.hpp"

using namespace torch_ir;

TEST_CASE("random ops draw the numbers that PyTorch draws for a seed") {
    std::size_t count = 0;
    for (const auto& seed : std::filesystem::directory_iterator("tests/data/random"))
        for (const auto& op : std::filesystem::directory_iterator(seed))
            for (const OpCase& call : read_op_cases(op)) {
                default_generator().manual_seed(std::stoull(seed.path().filename()));
                CAPTURE(call.name);
                std::string message;
                CHECK_NOTHROW(message = run_op_case(call));
                CHECK(message == "");
                ++count;
            }
    CHECK(count > 700);
}
