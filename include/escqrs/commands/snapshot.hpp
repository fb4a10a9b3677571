// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/codec/archive/binary.hpp>
#include <escqrs/core/error.hpp>
#include <escqrs/core/hash.hpp>
#include <escqrs/domain/aggregate_root.hpp>
#include <escqrs/store/event_store.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <string>
#include <string_view>
#include <vector>

namespace escqrs::inline v0 {

/// When a repository keeps a snapshot of what it has saved.
class SnapshotPolicy {
public:
    static constexpr SnapshotPolicy never() noexcept { return {}; } ///< no snapshots are written or read

    /// After every `events` events since the last one; 1 at least.
    static constexpr SnapshotPolicy every(std::uint64_t events) noexcept
    {
        return {events, std::numeric_limits<std::uint64_t>::max()};
    }

    /// After events of `bytes` bytes since the last one, as the codec writes them.
    static constexpr SnapshotPolicy every_bytes(std::uint64_t bytes) noexcept
    {
        return {std::numeric_limits<std::uint64_t>::max(), bytes};
    }

    constexpr bool is_never() const noexcept { return *this == never(); } ///< true for `never()`

    /// True if events of this number and size, since the last snapshot, call for a new one.
    constexpr bool is_due(std::uint64_t events, std::uint64_t bytes) const noexcept
    {
        return events > 0 && (events >= events_ || bytes >= bytes_) && !is_never();
    }

    friend bool operator==(const SnapshotPolicy&, const SnapshotPolicy&) = default;

private:
    constexpr SnapshotPolicy() = default;
    constexpr SnapshotPolicy(std::uint64_t events, std::uint64_t bytes) noexcept : events_{events}, bytes_{bytes} {}

    std::uint64_t events_ = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t bytes_ = std::numeric_limits<std::uint64_t>::max();
};

/// True if `Aggregate` names the version of its snapshots: `static constexpr unsigned snapshot_version = 1;`
///
/// It then has a `serialize(Archive&, unsigned)` of its state, which may be private (`friend escqrs::Access;`). Raise
/// the version whenever the state, or what `apply` makes of the events, changes: older snapshots are then ignored, and
/// written anew.
template <class Aggregate>
concept HasSnapshots = requires {
    { Aggregate::snapshot_version } -> std::convertible_to<unsigned>;
};

namespace detail {

[[noreturn]] inline void throw_no_snapshots(std::string_view category)
{
    throw Error{"snapshots of '" + std::string{category} +
                "' were asked for, but the aggregate has none: give it a snapshot_version and a serialize"};
}

/// The state of an aggregate, for an archive.
template <class Aggregate>
struct SnapshotState {
    Aggregate& aggregate;

    template <class Archive>
    void serialize(Archive& archive, unsigned version)
    {
        static_assert(
            Access::can_serialize<Aggregate, Archive>,
            "escqrs: an aggregate that names a snapshot_version has a serialize(Archive&, unsigned) of its state; "
            "if it is private, add to the aggregate: friend escqrs::Access;");
        if constexpr (Access::can_serialize<Aggregate, Archive>) Access::serialize(aggregate, archive, version);
    }
};

inline constexpr std::size_t checksum_size = 8;

/// FNV-1a: detects damaged bytes, which may well decode to something.
inline std::array<std::byte, checksum_size> checksum_bytes(Bytes bytes) noexcept
{
    std::array<std::byte, checksum_size> result{};
    const std::uint64_t sum = fnv1a(bytes);
    for (std::size_t at = 0; at < result.size(); ++at) result[at] = static_cast<std::byte>(sum >> (8 * at));
    return result;
}

/// The state's bytes, after their checksum.
template <class Aggregate>
std::vector<std::byte> encode_snapshot(Aggregate& aggregate)
{
    std::vector<std::byte> bytes(checksum_size);
    SnapshotState<Aggregate> state{aggregate};
    archive::BinaryOutput{bytes}.root(state, Aggregate::snapshot_version);
    const auto sum = checksum_bytes(Bytes{bytes}.subspan(checksum_size));
    std::copy(sum.begin(), sum.end(), bytes.begin());
    return bytes;
}

/// How a stored snapshot can be used.
enum class SnapshotUse : std::uint8_t {
    readable,
    unreadable, ///< must be written anew
    /// A newer program's: ignored, and left to it.
    foreign
};

/// Reads the state out of a snapshot. If it cannot be read, `aggregate` may be half filled.
template <class Aggregate>
SnapshotUse decode_snapshot(const Snapshot& snapshot, Aggregate& aggregate)
{
    if (snapshot.schema_version > Aggregate::snapshot_version) return SnapshotUse::foreign;
    const bool is_ours = snapshot.schema_version == Aggregate::snapshot_version &&
                         snapshot.content_type == archive::Binary::content_type &&
                         snapshot.payload.size() >= checksum_size;
    if (!is_ours) return SnapshotUse::unreadable;
    const Bytes content = snapshot.payload.subspan(checksum_size);
    const auto sum = checksum_bytes(content);
    if (!std::equal(sum.begin(), sum.end(), snapshot.payload.begin())) return SnapshotUse::unreadable;
    try {
        SnapshotState<Aggregate> state{aggregate};
        archive::BinaryInput input{content};
        input.root(state, snapshot.schema_version);
        input.finish();
    } catch (const std::bad_alloc&) {
        throw;                        // the snapshot is not at fault
    } catch (const std::exception&) { // one of the state's rules may refuse what an earlier program kept
        return SnapshotUse::unreadable;
    }
    return SnapshotUse::readable;
}

} // namespace detail

} // namespace escqrs::inline v0
