// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/domain/aggregate_root.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

// A small domain for tests of the library: a bank account.
namespace account {

struct AccountOpened {
    static constexpr std::string_view event_name = "AccountOpened";
    std::string owner;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("owner", owner);
    }
    friend bool operator==(const AccountOpened&, const AccountOpened&) = default;
};

/// Version 1 added the note.
struct MoneyDeposited {
    static constexpr std::string_view event_name = "MoneyDeposited";
    static constexpr unsigned schema_version = 1;
    std::int64_t cents = 0;
    std::string note;

    template <class Archive>
    void serialize(Archive& archive, unsigned version)
    {
        archive & escqrs::field("cents", cents);
        if (version >= 1) archive & escqrs::field("note", note);
    }
    friend bool operator==(const MoneyDeposited&, const MoneyDeposited&) = default;
};

struct StatementSent {
    static constexpr std::string_view event_name = "StatementSent";
    std::uint32_t month = 0;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("month", month);
    }
    friend bool operator==(const StatementSent&, const StatementSent&) = default;
};

class Account
    : public escqrs::AggregateRoot<Account, AccountOpened, MoneyDeposited, escqrs::NoStateChange<StatementSent>> {
public:
    static constexpr std::string_view category = "account";

    explicit Account(const Id& id) : AggregateRoot{id} {}

    static Account open(const Id& id, std::string owner)
    {
        Account account{id};
        account.raise(AccountOpened{std::move(owner)});
        return account;
    }

    void deposit(std::int64_t cents, std::string note = {})
    {
        if (cents <= 0) throw std::invalid_argument{"a deposit is positive"};
        raise(MoneyDeposited{cents, std::move(note)});
    }

    void send_statement(std::uint32_t month) { raise(StatementSent{month}); }

    const std::string& owner() const noexcept { return owner_; }
    std::int64_t balance() const noexcept { return balance_; }
    const std::string& last_note() const noexcept { return last_note_; }

private:
    friend escqrs::Access;

    void apply(const AccountOpened& event) { owner_ = event.owner; }
    void apply(const MoneyDeposited& event)
    {
        balance_ += event.cents;
        last_note_ = event.note;
    }

    std::string owner_;
    std::int64_t balance_ = 0;
    std::string last_note_;
};

} // namespace account
