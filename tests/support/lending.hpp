// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/domain/decider.hpp>

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

// A small domain for tests of the library, as deciders: a book that is lent, and the readers who wait for it.
namespace lending {

struct Lending;
struct Queue;

struct BookLent {
    static constexpr std::string_view event_name = "BookLent";
    std::string reader;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("reader", reader);
    }
};

struct BookReturned {
    static constexpr std::string_view event_name = "BookReturned";
    std::string reader;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("reader", reader);
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

struct QueueCleared {
    static constexpr std::string_view event_name = "QueueCleared";

    template <class Archive>
    void serialize(Archive&, unsigned /*version*/)
    {
    }
};

struct Refused : std::domain_error {
    using std::domain_error::domain_error;
};

struct Lend {
    escqrs::DeciderId<Lending> book_id;
    std::string reader;
};
struct Return {
    escqrs::DeciderId<Lending> book_id;
};
struct PassOn {
    escqrs::DeciderId<Lending> book_id;
    std::string reader;
};
struct Toggle {
    escqrs::DeciderId<Lending> book_id;
    std::string reader;
};
struct Look {
    escqrs::DeciderId<Lending> book_id;
};

/// Each `decide` returns its events in another form.
struct Lending {
    static constexpr std::string_view category = "lending";

    struct State {
        std::string reader;
        int times_lent = 0;
    };
    using Events = escqrs::EventList<BookLent, BookReturned>;

    static State initial() { return {}; }

    static BookLent decide(const Lend& command, const State& state)
    {
        if (!state.reader.empty()) throw Refused{"the book is with " + state.reader};
        return {command.reader};
    }
    static std::optional<BookReturned> decide(const Return&, const State& state)
    {
        if (state.reader.empty()) return std::nullopt;
        return BookReturned{state.reader};
    }
    static std::tuple<BookReturned, BookLent> decide(const PassOn& command, const State& state)
    {
        return {BookReturned{state.reader}, BookLent{command.reader}};
    }
    static std::variant<std::monostate, BookLent, BookReturned> decide(const Toggle& command, const State& state)
    {
        if (command.reader.empty()) return {};
        if (state.reader.empty()) return BookLent{command.reader};
        return BookReturned{state.reader};
    }
    static void decide(const Look&, const State&) {}

    static State evolve(State state, const BookLent& event)
    {
        state.reader = event.reader;
        ++state.times_lent;
        return state;
    }
    static State evolve(State state, const BookReturned&)
    {
        state.reader.clear();
        return state;
    }
};

struct Enqueue {
    std::vector<std::string> readers;
};
struct ReplaceQueue {
    std::vector<std::string> readers;
};

struct Queue {
    static constexpr std::string_view category = "queue";

    using State = std::vector<std::string>;
    using Events = escqrs::EventList<ReaderQueued, QueueCleared>;

    static State initial() { return {}; }

    static std::vector<ReaderQueued> decide(const Enqueue& command, const State&)
    {
        std::vector<ReaderQueued> events;
        for (const auto& reader : command.readers) events.push_back({reader});
        return events;
    }
    static std::vector<std::variant<QueueCleared, ReaderQueued>> decide(const ReplaceQueue& command, const State&)
    {
        std::vector<std::variant<QueueCleared, ReaderQueued>> events{QueueCleared{}};
        for (const auto& reader : command.readers) events.emplace_back(ReaderQueued{reader});
        return events;
    }

    static State evolve(State state, const ReaderQueued& event)
    {
        state.push_back(event.reader);
        return state;
    }
    static State evolve(State, const QueueCleared&) { return {}; }
};

/// The book and the readers who wait for it, in one stream.
struct Desk : escqrs::Compose<Lending, Queue> {
    static constexpr std::string_view category = "desk";
};

} // namespace lending
