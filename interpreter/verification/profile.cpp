// SPDX-License-Identifier: MIT
#include "verification/profile.hpp"

#include <nlohmann/json.hpp>

#include "torch_ir/error.hpp"
#include "torch_ir/file.hpp"

namespace torch_ir {
namespace {

/// profiles/*.json, put in when the tool is built.
struct BuiltIn {
    const char* name;
    const char* json;
};
constexpr BuiltIn built_in[] = {
#include "profiles.inc"
};

RoundingProfile parse(const std::string& text, const std::string& fallback_name) {
    const auto json = nlohmann::json::parse(text, nullptr, false);
    if (!json.is_object()) throw ParseError("expected a JSON object");
    RoundingProfile profile;
    profile.name = fallback_name;
    for (const auto& [key, value] : json.items()) {
        double* target = key == "accumulator"   ? &profile.accumulator
                         : key == "operand"     ? &profile.operand
                         : key == "storage"     ? &profile.storage
                         : key == "convolution" ? &profile.convolution
                                                : nullptr;
        if (target) {
            if (!value.is_number() || !(value.get<double>() >= 0))
                throw ParseError("'" + key + "': expected a number of at least 0");
            *target = value.get<double>();
        } else if (key == "name" && value.is_string()) {
            profile.name = value.get<std::string>();
        } else if (key != "description") {
            throw ParseError("unknown key '" + key +
                             "'; expected name, description, accumulator, operand, storage or convolution");
        }
    }
    if (profile.accumulator == 0) throw ParseError("'accumulator': expected a unit roundoff above 0");
    return profile;
}

}  // namespace

RoundingProfile load_profile(const std::string& name_or_file) {
    for (const BuiltIn& profile : built_in)
        if (name_or_file == profile.name) return parse(profile.json, profile.name);
    if (name_or_file.find('.') == std::string::npos && name_or_file.find('/') == std::string::npos) {
        std::string names;
        for (const std::string& name : profile_names()) names += (names.empty() ? "" : ", ") + name;
        throw ArgumentError("there is no profile '" + name_or_file + "'; expected one of " + names +
                            ", or a JSON file");
    }
    return with_context(name_or_file, [&] {
        const auto mapped = map_file(name_or_file);
        return parse({reinterpret_cast<const char*>(mapped->bytes().data()), mapped->bytes().size()}, name_or_file);
    });
}

std::vector<std::string> profile_names() {
    std::vector<std::string> names;
    for (const BuiltIn& profile : built_in) names.emplace_back(profile.name);
    return names;
}

}  // namespace torch_ir
