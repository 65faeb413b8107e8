// SPDX-License-Identifier: MIT
#include "torch_ir/text.hpp"

#include <doctest/doctest.h>

using namespace torch_ir;

TEST_SUITE("text") {
    TEST_CASE("of many items the first few are listed, and only they are asked for their text") {
        std::vector<int> asked;
        const auto text = [&](int item) {
            asked.push_back(item);
            return std::to_string(item);
        };
        CHECK(first_few(std::vector<int>{}, 2, ", ", text) == "");
        CHECK(first_few(std::vector{1, 2}, 2, "; ", text) == "1; 2");
        asked.clear();
        CHECK(first_few(std::vector{1, 2, 3, 4}, 2, ", ", text) == "1, 2 and 2 more");
        CHECK(asked == std::vector{1, 2});
    }

    TEST_CASE("UTF-8 is valid without overlong forms, surrogates and cut sequences") {
        for (const char* valid : {"", "plain", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"})
            CHECK(is_utf8(valid));
        for (const char* invalid : {"\xff", "\x80", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80",
                                    "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\xc3("})
            CHECK_FALSE(is_utf8(invalid));
    }

    TEST_CASE("the edit distance is Levenshtein's") {
        CHECK(edit_distance("kitten", "sitting") == 3);
        CHECK(edit_distance("", "abc") == 3);
        CHECK(edit_distance("abc", "") == 3);
        CHECK(edit_distance("same", "same") == 0);
    }

    TEST_CASE("the closest name is suggested only when it is close") {
        const std::vector<std::string> names{"layer1.weight", "layer1.bias", "head.weight"};
        CHECK(closest("layer1.wieght", names) == "layer1.weight");
        CHECK(closest("layer.bias", names) == "layer1.bias");
        CHECK(closest("encoder.embedding", names) == "");
        CHECK(closest("x", std::vector<std::string>{}) == "");
        CHECK(closest(std::string(100'000, 'x'), names) == "");
    }
}
