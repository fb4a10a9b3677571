// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// An event bus in full: the order of subscribers, subscribing and leaving while an event is under way, and failures.
#include "book.hpp"

#include <escqrs/events/event_bus.hpp>

#include <iostream>
#include <memory>
#include <stdexcept>

using namespace lending;

/// Tells readers that a book is back. It is there for as long as the evening shift.
class ReturnDesk {
public:
    explicit ReturnDesk(std::string name) : name_{std::move(name)} {}

    void notice(const BookReturned& event) const
    {
        std::cout << "  " << name_ << ": thank you, " << event.reader << '\n';
    }

private:
    std::string name_;
};

int main()
{
    escqrs::EventBus bus;
    const escqrs::EventContext context{escqrs::StreamId{"book", "1"}, escqrs::StreamVersion{1},
                                       escqrs::GlobalPosition{1}, escqrs::EventId{}};

    // Lower groups come first; the default is group 0. Subscribers to every event stand in the same order.
    constexpr escqrs::SubscriberGroup journal{-10};
    constexpr escqrs::SubscriberGroup mail{10};
    const auto mails = bus.subscribe<BookReturned>(
        mail, [](const BookReturned&) { throw std::runtime_error{"the mail server is busy"}; });
    const auto lines = bus.subscribe_to_all(
        journal, [](const escqrs::PublishedEvent& event) { std::cout << "  journal: " << event.name << '\n'; });

    // This one lasts as long as its owner.
    auto desk = std::make_shared<ReturnDesk>("evening desk");
    bus.subscribe<BookReturned>(desk, [&desk = *desk](const BookReturned& event) { desk.notice(event); });

    // A failure keeps no other from the event, and reaches the publisher.
    const auto publish = [&] {
        try {
            bus.publish(BookReturned{"Ada"}, context);
        } catch (const escqrs::EventDispatchError& failures) {
            std::cout << "  " << failures.what() << '\n';
        }
    };
    std::cout << "in the evening\n";
    publish();
    desk.reset();
    std::cout << "at night\n";
    publish();
}
