// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/messaging/message_queue.hpp>
#include <escqrs/projections/parking_lot.hpp>
#include <escqrs/store/event_store.hpp>

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace escqrs::inline v0::detail {

/// Messages that are sent together, and the events that they are made from.
class RelayPage {
public:
    struct Origin {
        StreamId stream;
        StreamVersion version;
        GlobalPosition position;
        std::optional<std::string> problem; ///< why the event cannot become a message
    };

    template <class Translate>
    void add(const RecordedEvent& event, Translate& translate)
    {
        Message message;
        std::optional<std::string> problem;
        try {
            message = translate(event);
        } catch (...) {
            problem = problem_of_event(is_passing_fault);
        }
        origins_.push_back({event.stream, event.version, event.position, std::move(problem)});
        messages_.push_back(std::move(message));
    }

    bool empty() const noexcept { return origins_.empty(); }
    std::size_t size() const noexcept { return origins_.size(); }
    const std::vector<Message>& messages() const noexcept { return messages_; }
    const std::vector<Origin>& origins() const noexcept { return origins_; }

    /// Where the message with this id is.
    std::optional<std::size_t> find(const std::string& message_id) const
    {
        const auto found = std::find_if(messages_.begin(), messages_.end(),
                                        [&](const Message& message) { return message.message_id == message_id; });
        if (found == messages_.end()) return std::nullopt;
        return static_cast<std::size_t>(found - messages_.begin());
    }

    void erase(std::size_t index)
    {
        messages_.erase(messages_.begin() + static_cast<std::ptrdiff_t>(index));
        origins_.erase(origins_.begin() + static_cast<std::ptrdiff_t>(index));
    }

    /// Erases an event that cannot be sent, and the later ones of its stream.
    /// @return what must be parked therefore
    ParkedStream take_out(std::size_t index, std::string error)
    {
        const Origin first = origins_[index];
        ParkedStream parked{.stream = first.stream, .version = first.version, .position = first.position};
        parked.error = std::move(error);
        while (index < size()) {
            if (origins_[index].stream != first.stream) {
                ++index;
                continue;
            }
            parked.last = origins_[index].version;
            ++parked.events;
            erase(index);
        }
        return parked;
    }

    void clear() noexcept
    {
        messages_.clear();
        origins_.clear();
    }

private:
    std::vector<Message> messages_;
    std::vector<Origin> origins_; ///< as many
};

/// The parked streams of a relay that has no parking lot.
class RememberedStreams {
public:
    bool is_empty() const noexcept { return streams_.empty(); }

    std::optional<ParkedStream> find(const StreamId& stream) const
    {
        const auto found = streams_.find(stream);
        if (found == streams_.end()) return std::nullopt;
        return found->second;
    }

    std::vector<ParkedStream> all() const
    {
        std::vector<ParkedStream> all;
        all.reserve(streams_.size());
        for (const auto& [stream, parked] : streams_) all.push_back(parked);
        return all;
    }

    void put(const ParkedStream& parked) { streams_.insert_or_assign(parked.stream, parked); }
    void remove(const StreamId& stream) { streams_.erase(stream); }
    void clear() noexcept { streams_.clear(); }

    /// `position`, or the one before the first event that is parked.
    GlobalPosition sent_up_to(GlobalPosition position) const
    {
        for (const auto& [stream, parked] : streams_) {
            position = std::min(position, GlobalPosition{parked.position.value() - 1});
        }
        return position;
    }

private:
    std::map<StreamId, ParkedStream> streams_;
};

static_assert(ParkedStreams<RememberedStreams>);

} // namespace escqrs::inline v0::detail
