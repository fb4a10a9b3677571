// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/function_ref.hpp>
#include <escqrs/core/identifiers.hpp>
#include <escqrs/messaging/stream_read_model.hpp>

#include <map>
#include <utility>

namespace escqrs::inline v0::in_memory {

/// How far each stream has been applied to a read model in memory, for a `MessageProcessor`.
///
/// It cannot undo what handlers have written: a handler that fails is called again with the same event. The read model
/// and this end with the process, and a queue does not deliver again what was completed: for tests, and for what is
/// built anew at each start.
/// @par Thread safety  one thread at a time
class StreamReadModel {
public:
    /// As `StreamReadModel` describes it.
    /// @{
    static constexpr bool is_transactional = false;

    static void transact(FunctionRef<bool()> work) { (void)work(); }
    void attempt(FunctionRef<void()> part)
    {
        advanced_ = versions_.end();
        try {
            part();
        } catch (...) {
            if (advanced_ != versions_.end()) advanced_->second = StreamVersion{advanced_->second.value() - 1};
            throw;
        }
    }
    static bool in_transaction() noexcept { return true; }
    Advance advance(const StreamId& stream, StreamVersion version)
    {
        const StreamVersion last = version_of(stream);
        if (version <= last) return Advance::duplicate;
        if (version != last.next()) return Advance::gap;
        advanced_ = versions_.insert_or_assign(stream, version).first;
        return Advance::apply;
    }
    StreamVersion version_of(const StreamId& stream) const
    {
        const auto found = versions_.find(stream);
        return found == versions_.end() ? StreamVersion{} : found->second;
    }
    void check_writable() const noexcept {}
    /// @}

private:
    using Versions = std::map<StreamId, StreamVersion>;

    Versions versions_;
    Versions::iterator advanced_ = versions_.end(); ///< by the part under way
};

static_assert(escqrs::StreamReadModel<StreamReadModel>);

} // namespace escqrs::inline v0::in_memory
