// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "growth.hpp"
#include "payload.hpp"

#include <boost/functional/hash.hpp>
#include <boost/uuid/uuid_hash.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace benchmarks {

/// What a store in memory needs: each event in the log, its place among its stream's, and its id, lest it is stored twice.
class MemoryByHand {
public:
    MemoryByHand() = default;
    explicit MemoryByHand(const Shape& shape)
    {
        shape.for_each_part([this](std::uint64_t stream, std::uint64_t count) {
            for (; count > 0; --count) append(stream);
        });
    }

    std::int64_t append(std::uint64_t stream)
    {
        const escqrs::Uuid id = escqrs::time_ordered_uuid();
        const std::scoped_lock lock{mutex_};
        if (!positions_.try_emplace(id, log_.size()).second) return 0;
        auto& positions = streams_["stream-" + std::to_string(stream)];
        positions.push_back(log_.size());
        std::vector<std::byte> content(payload.size() + metadata.size());
        std::memcpy(content.data(), payload.data(), payload.size());
        std::memcpy(content.data() + payload.size(), metadata.data(), metadata.size());
        log_.push_back({id, positions.size(), 0, std::chrono::system_clock::now(), std::move(content)});
        return 1;
    }

    std::int64_t load(std::uint64_t stream)
    {
        const std::scoped_lock lock{mutex_};
        std::int64_t seen = 0;
        const auto& positions = streams_.find("stream-" + std::to_string(stream))->second;
        for (std::size_t index = last_ten(positions.size()) - 1; index < positions.size(); ++index)
            seen += look_at(positions[index]);
        return seen;
    }

    std::int64_t read_page(std::uint64_t position)
    {
        const std::scoped_lock lock{mutex_};
        std::int64_t seen = 0;
        for (std::uint64_t event = 0; event < page_size && position < log_.size(); ++event) seen += look_at(position++);
        return seen;
    }

private:
    struct Event {
        escqrs::Uuid id;
        std::uint64_t version;
        std::uint32_t kind; ///< type and content type, of which there are few
        std::chrono::system_clock::time_point recorded_at;
        std::vector<std::byte> content;
    };

    std::int64_t look_at(std::uint64_t position) const
    {
        return log_[position].content.front() == std::byte{'p'} ? 1 : 0;
    }

    std::mutex mutex_;
    std::deque<Event> log_;
    std::unordered_map<std::string, std::vector<std::uint64_t>> streams_;
    std::unordered_map<escqrs::Uuid, std::uint64_t, boost::hash<escqrs::Uuid>> positions_;
};

} // namespace benchmarks
