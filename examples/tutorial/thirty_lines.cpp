// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/codec/describe.hpp>
#include <escqrs/escqrs.hpp>
#include <escqrs/in_memory/event_store.hpp>

#include <iostream>
#include <stdexcept>

struct GuestSigned {
    std::string guest;
    ESCQRS_EVENT(GuestSigned, (guest)) // its name, and the fields that are stored
};

class Guestbook : public escqrs::AggregateRoot<Guestbook, GuestSigned> {
public:
    static constexpr std::string_view category = "guestbook";
    explicit Guestbook(const Id& id) : AggregateRoot{id} {}

    void sign(const std::string& guest) // decides
    {
        if (guest == last_guest) throw std::domain_error{guest + " has just signed"};
        raise(GuestSigned{guest});
    }
    void apply(const GuestSigned& event) { last_guest = event.guest; } // changes the state
    std::string last_guest;
};

int main()
{
    escqrs::in_memory::EventStore store; // or escqrs::sqlite::EventStore store{"guestbooks.db"};
    const escqrs::Repository<Guestbook, escqrs::in_memory::EventStore> guestbooks{store};

    Guestbook ours{Guestbook::Id{escqrs::random_uuid()}};
    ours.sign("Ada");
    guestbooks.save(ours);

    const auto sign = [](Guestbook& book) { book.sign("Bob"); };
    const auto saved = guestbooks.execute(ours.id(), sign); // loads, decides, saves
    std::cout << guestbooks.get(ours.id()).last_guest << " signed, event " << saved.version.value() << '\n';
}
