// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/codec/archive/binary.hpp>
#include <escqrs/codec/detail/metadata_rules.hpp>
#include <escqrs/config.hpp>
#include <escqrs/core/error.hpp>
#include <escqrs/core/metadata.hpp>
#include <escqrs/store/recorded_event.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

// Metadata to bytes and back.
namespace escqrs::inline v0 {

/// Appends `metadata` to `out`; nothing is appended for empty metadata.
/// @throws CodecError naming what no message could carry: text that is not UTF-8, a header twice, without a name, or
///         named like a CloudEvents attribute
ESCQRS_INLINE void encode_metadata(const Metadata& metadata, std::vector<std::byte>& out);

/// @throws CodecError if the bytes are not what `encode_metadata` writes
ESCQRS_INLINE Metadata decode_metadata(Bytes bytes);

#if ESCQRS_HAS_BODIES

namespace detail {

/// Metadata in the binary format: a mask of the fields that are set, then these fields.
struct StoredMetadata {
    Metadata& metadata;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        std::uint8_t present = 0;
        if constexpr (Archive::is_saving::value) {
            visit([&](unsigned bit, const auto& member) {
                if (!is_empty(member)) present |= static_cast<std::uint8_t>(1U << bit);
            });
        }
        archive & present;
        if ((present & ~0x3FU) != 0) throw CodecError{"metadata holds fields this program does not know"};
        visit([&](unsigned bit, auto& member) {
            if ((present & (1U << bit)) != 0) archive & member;
        });
    }

private:
    template <class Tag>
    static bool is_empty(const Id<Tag>& id) noexcept
    {
        return id.is_nil();
    }
    template <class Container>
    static bool is_empty(const Container& container) noexcept
    {
        return container.empty();
    }

    template <class Visitor>
    void visit(Visitor&& visit)
    {
        visit(0U, metadata.correlation_id);
        visit(1U, metadata.causation_id);
        visit(2U, metadata.command_id);
        visit(3U, metadata.actor);
        visit(4U, metadata.traceparent);
        visit(5U, metadata.headers);
    }
};

} // namespace detail

ESCQRS_INLINE void encode_metadata(const Metadata& metadata, std::vector<std::byte>& out)
{
    if (metadata == Metadata{}) return;
    detail::check_metadata(metadata);
    Metadata copy = metadata;
    detail::StoredMetadata stored{copy};
    archive::BinaryOutput{out}.root(stored, 0);
}

ESCQRS_INLINE Metadata decode_metadata(Bytes bytes)
{
    Metadata metadata;
    if (bytes.empty()) return metadata;
    detail::StoredMetadata stored{metadata};
    archive::BinaryInput input{bytes};
    input.root(stored, 0);
    input.finish();
    return metadata;
}

#endif // ESCQRS_HAS_BODIES

} // namespace escqrs::inline v0
