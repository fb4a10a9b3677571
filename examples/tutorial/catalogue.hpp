// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "book.hpp"

#include <escqrs/events/event_bus.hpp>

#include <map>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace lending {

/// A read model: what the library has, and where it is. Subscribes to the events it is made of.
class Catalogue {
public:
    /// @param bus  must outlive the catalogue
    explicit Catalogue(escqrs::EventBus& bus)
    {
        subscribe<BookAcquired>(bus, [](Line& line, const BookAcquired& event) { line.title = event.title; });
        subscribe<BookLent>(bus, [](Line& line, const BookLent& event) { line.reader = event.reader; });
        subscribe<BookReturned>(bus, [](Line& line, const BookReturned&) { line.reader.clear(); });
    }

    void clear() { lines_.clear(); }

    friend std::ostream& operator<<(std::ostream& out, const Catalogue& catalogue)
    {
        for (const auto& [stream, line] : catalogue.lines_) {
            out << "  " << line.title << ": " << (line.reader.empty() ? "on the shelf" : "with " + line.reader) << '\n';
        }
        return out;
    }

private:
    /// Of an event in its stream: the second number tells apart what an upcaster made of one stored event.
    using Place = std::pair<escqrs::StreamVersion, unsigned>;

    struct Line {
        std::string title;
        std::string reader;
        Place place;
    };

    template <class E, class Change>
    void subscribe(escqrs::EventBus& bus, Change change)
    {
        connections_.push_back(bus.subscribe<E>([this, change](const E& event, const escqrs::EventContext& context) {
            Line& line = lines_[context.stream];
            const Place place{context.version, context.part};
            if (place <= line.place) return; // a duplicate changes nothing
            change(line, event);
            line.place = place;
        }));
    }

    std::map<escqrs::StreamId, Line> lines_;
    std::vector<escqrs::EventBus::Connection> connections_;
};

} // namespace lending
