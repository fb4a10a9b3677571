// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/config.hpp>
#include <escqrs/core/error.hpp>
#include <escqrs/core/metadata.hpp>
#include <escqrs/core/text.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace escqrs::inline v0::detail {

/// Names of message properties that begin so are CloudEvents attributes (AMQP protocol binding, section 3.1.3.1).
inline constexpr std::string_view cloud_events_prefix = "cloudEvents:";
inline constexpr std::string_view other_cloud_events_prefix = "cloudEvents_";

inline bool is_named_like_attribute(std::string_view name) noexcept
{
    return name.starts_with(cloud_events_prefix) || name.starts_with(other_cloud_events_prefix);
}

/// Refuses metadata that no message could carry.
/// @throws CodecError naming the field or header
ESCQRS_INLINE void check_metadata(const Metadata& metadata);

#if ESCQRS_HAS_BODIES

ESCQRS_INLINE void check_metadata(const Metadata& metadata)
{
    const auto require_utf8 = [](std::string_view text, const char* field, const std::string& header = {}) {
        if (archive::detail::is_utf8(text)) return;
        throw CodecError{"metadata: " + (header.empty() ? field : field + (" '" + header + "'")) +
                         " is not valid UTF-8 at its byte " + std::to_string(archive::detail::valid_utf8_length(text))};
    };
    require_utf8(metadata.actor, "actor");
    require_utf8(metadata.traceparent, "traceparent");
    if (metadata.headers.empty()) return;
    std::vector<std::string_view> names;
    names.reserve(metadata.headers.size());
    for (const auto& [name, text] : metadata.headers) {
        if (name.empty()) throw CodecError{"metadata: a header has no name"};
        require_utf8(name, "the name of a header");
        require_utf8(text, "header", name);
        if (is_named_like_attribute(name))
            throw CodecError{"metadata: header '" + name + "' is named like a CloudEvents attribute"};
        names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end())
        throw CodecError{"metadata: header '" + std::string{*twice} + "' comes more than once, expected at most once"};
}

#endif // ESCQRS_HAS_BODIES

} // namespace escqrs::inline v0::detail
