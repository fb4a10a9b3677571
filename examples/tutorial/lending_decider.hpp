// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "book.hpp"

#include <escqrs/domain/decider.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The same books as values and pure functions, and a list of the readers who wait.
namespace lending {

struct Lending;
using CopyId = escqrs::DeciderId<Lending>;

struct Acquire {
    CopyId copy;
    std::string title;
};
struct Lend {
    CopyId copy;
    std::string reader;
};
struct TakeBack {
    CopyId copy;
};

/// One copy of a book.
struct Lending {
    static constexpr std::string_view category = "lending";

    struct State {
        std::string title;
        std::string reader; ///< who has it; empty: it is on the shelf
    };
    using Events = escqrs::EventList<BookAcquired, BookLent, BookReturned>;

    static State initial() { return {}; }

    static BookAcquired decide(const Acquire& command, const State& state)
    {
        if (!state.title.empty()) throw Refused{"there is a book already: " + state.title};
        return {command.title};
    }
    static BookLent decide(const Lend& command, const State& state)
    {
        if (!state.reader.empty()) throw Refused{state.title + " is with " + state.reader};
        return {command.reader};
    }
    /// Taking back what is on the shelf changes nothing.
    static std::optional<BookReturned> decide(const TakeBack&, const State& state)
    {
        if (state.reader.empty()) return std::nullopt;
        return BookReturned{state.reader};
    }

    static State evolve(State state, const BookAcquired& event)
    {
        state.title = event.title;
        return state;
    }
    static State evolve(State state, const BookLent& event)
    {
        state.reader = event.reader;
        return state;
    }
    static State evolve(State state, const BookReturned&)
    {
        state.reader.clear();
        return state;
    }
};

struct ReaderQueued {
    static constexpr std::string_view event_name = "ReaderQueued";

    std::string reader;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("reader", reader);
    }
};

struct QueueUp {
    CopyId copy;
    std::string reader;
};

/// The readers who wait for a book.
struct Waiting {
    static constexpr std::string_view category = "waiting";

    using State = std::vector<std::string>;
    using Events = escqrs::EventList<ReaderQueued>;

    static State initial() { return {}; }
    static ReaderQueued decide(const QueueUp& command, const State&) { return {command.reader}; }
    static State evolve(State state, const ReaderQueued& event)
    {
        state.push_back(event.reader);
        return state;
    }
};

/// Both in one stream: a copy, and who waits for it.
struct Copy : escqrs::Compose<Lending, Waiting> {
    static constexpr std::string_view category = "copy";
};

} // namespace lending
