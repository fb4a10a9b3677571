// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "growth.hpp"
#include "payload.hpp"

#include <cstdint>
#include <memory>
#include <utility>

namespace benchmarks {

template <class Store>
void fill(Store& store, std::uint64_t streams)
{
    for (std::int64_t part = 0; part < events_per_stream / events_per_part; ++part) {
        for (std::uint64_t stream = 0; stream < streams; ++stream) append_to(store, stream, events_per_part);
    }
}

/// An event store of this library in a growth benchmark.
template <class Store>
class GrowingStore {
public:
    explicit GrowingStore(std::unique_ptr<Store> store) : store_{std::move(store)} {}

    std::int64_t append(std::uint64_t stream)
    {
        append_to(*store_, stream);
        return 1;
    }

    std::int64_t load(std::uint64_t stream)
    {
        return count([&](auto show) { store_->read_stream(stream_id(stream), escqrs::StreamVersion{1}, show); });
    }

    std::int64_t read_page(std::uint64_t position)
    {
        return count([&](auto show) {
            store_->read_log(escqrs::GlobalPosition{position}, static_cast<std::size_t>(page_size), show);
        });
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
};

} // namespace benchmarks
