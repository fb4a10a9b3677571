// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "growth.hpp"
#include "payload.hpp"

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace benchmarks {

/// An event store of this library in a growth benchmark.
template <class Store>
class GrowingStore {
public:
    GrowingStore(std::unique_ptr<Store> store, const Shape& shape)
        : store_{std::move(store)}, versions_(shape.streams, shape.events_per_stream)
    {
    }

    std::int64_t append(std::uint64_t stream)
    {
        append_to(*store_, stream);
        ++versions_[stream];
        return 1;
    }

    std::int64_t load(std::uint64_t stream)
    {
        const escqrs::StreamVersion from{last_ten(versions_[stream])};
        return count([&](auto show) { store_->read_stream(stream_id(stream), from, show); });
    }

    std::int64_t read_page(std::uint64_t position)
    {
        return count([&](auto show) { store_->read_log(escqrs::GlobalPosition{position}, page_size, show); });
    }

private:
    template <class Read>
    static std::int64_t count(Read read)
    {
        std::int64_t seen = 0;
        read([&](const escqrs::RecordedEvent& event) {
            seen += event.payload.front() == std::byte{'p'} ? 1 : 0;
            return true;
        });
        return seen;
    }

    std::unique_ptr<Store> store_;
    std::vector<std::uint64_t> versions_;
};

} // namespace benchmarks
