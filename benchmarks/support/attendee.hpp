// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/identifiers.hpp>
#include <escqrs/domain/aggregate_root.hpp>

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

// The domain of the benchmarks: small events, with strings in them.
namespace benchmarks {

struct Registered {
    static constexpr std::string_view event_name = "AttendeeRegistered";
    escqrs::Uuid conference{};
    std::string name;
    std::string email;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("conference", conference) & escqrs::field("name", name) & escqrs::field("email", email);
    }
};

struct EmailChanged {
    static constexpr std::string_view event_name = "AttendeeEmailChanged";
    std::string email;
    std::uint64_t code = 0;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("email", email) & escqrs::field("code", code);
    }
};

struct EmailConfirmed {
    static constexpr std::string_view event_name = "AttendeeEmailConfirmed";
    std::uint64_t code = 0;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("code", code);
    }
};

struct Unregistered {
    static constexpr std::string_view event_name = "AttendeeUnregistered";
    std::uint32_t reason = 0;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("reason", reason);
    }
};

/// What the events change, and how: the same for all contestants.
struct State {
    std::string email;
    std::uint64_t code = 0;
    std::uint64_t changes = 0;
    bool is_confirmed = false;
    bool is_registered = false;

    void apply(const Registered& event)
    {
        email = event.email;
        is_registered = true;
    }
    void apply(const EmailChanged& event)
    {
        email = event.email;
        code = event.code;
        is_confirmed = false;
        ++changes;
    }
    void apply(const EmailConfirmed& event) { is_confirmed = event.code == code; }
    void apply(const Unregistered& event)
    {
        is_registered = false;
        changes += event.reason;
    }
};

class Attendee : public escqrs::AggregateRoot<Attendee, Registered, EmailChanged, EmailConfirmed, Unregistered> {
public:
    static constexpr std::string_view category = "attendee";

    explicit Attendee(const Id& id) : AggregateRoot{id} {}

    void register_as(const std::string& name, const std::string& email)
    {
        raise(Registered{id().value(), name, email});
    }
    void change_email(const std::string& email, std::uint64_t code) { raise(EmailChanged{email, code}); }

    const State& state() const noexcept { return state_; }

private:
    friend escqrs::Access;

    template <class E>
    void apply(const E& event)
    {
        state_.apply(event);
    }

    State state_;
};

/// A history with events of all kinds, the same each time.
inline std::vector<Attendee::Event> history(std::size_t count)
{
    std::mt19937_64 random{42}; // NOLINT: the same each time
    std::vector<Attendee::Event> events;
    for (std::size_t number = 0; number < count; ++number) {
        const std::string email = "visitor" + std::to_string(random() % 100'000) + "@example.org";
        switch (random() % 4) {
        case 0: events.emplace_back(Registered{{}, "Ada Lovelace, Countess", email}); break;
        case 1: events.emplace_back(EmailChanged{email, number}); break;
        case 2: events.emplace_back(EmailConfirmed{number - 1}); break;
        default: events.emplace_back(Unregistered{1}); break;
        }
    }
    return events;
}

} // namespace benchmarks
