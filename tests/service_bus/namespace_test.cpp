// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// The adapter with a namespace in Azure, if there is one; and with the emulator in its place, so that this test is
// itself tried. From the environment:
//   ESCQRS_SERVICEBUS_CONNECTION_STRING  with a key that may Send and Listen; queue: EntityPath's, else escqrs-test
//   ESCQRS_SERVICEBUS_MANAGEMENT         the REST API's endpoint, if it is not https:// and the host
// The queue must require sessions and detect duplicates. A missing one is created, if the key may Manage, and stays.
#include "emulator_queue.hpp"

#include <escqrs/core/id_generator.hpp>
#include <escqrs/testing/catch2.hpp>

#include <service_bus/queue_administration.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace service_bus;
using namespace service_bus_test;

/// Where the queue is, and who is trusted there; an empty text leaves it to the adapter.
struct Place {
    std::string connection_string;
    std::string management;
    std::string certificate_authorities;
};

std::string environment(const char* name)
{
    const char* const value = std::getenv(name); // NOLINT(concurrency-mt-unsafe): nothing sets any
    return value == nullptr ? "" : value;
}

QueueSettings settings_of(const Place& place)
{
    QueueSettings settings;
    settings.connection.broker = parse_broker(place.connection_string);
    settings.connection.certificate_authorities = place.certificate_authorities;
    if (settings.connection.broker.entity.empty()) settings.connection.broker.entity = "escqrs-test";
    return settings;
}

/// @return nothing if the credentials are none to create queues with
std::optional<EntityCreation> create_queue(const Place& place)
{
    const Broker broker = settings_of(place).connection.broker;
    if (!std::holds_alternative<SharedAccessKey>(broker.credentials)) return std::nullopt;
    return QueueAdministration{broker, place.management, place.certificate_authorities}.create_if_missing({});
}

/// Messages that others have in the queue are held until the run ends. Closing a session does not count as a delivery
/// of what was not settled, see https://learn.microsoft.com/azure/service-bus-messaging/message-sessions
class Run {
public:
    explicit Run(const Place& place) : queue_{settings_of(place)} {}

    MessageQueue& queue() { return queue_; }

    /// A message of this run, which no other run has: id and session begin with what is its own.
    escqrs::Message make(const std::string& name, const std::string& session) const
    {
        return make_message(prefix_ + name, prefix_ + session);
    }

    std::string name_of(const escqrs::ReceivedMessage& message) const
    {
        return message.message.message_id.substr(prefix_.size());
    }

    /// The next messages of this run; none if none comes for half a minute.
    std::vector<escqrs::ReceivedMessage> receive(std::size_t at_most)
    {
        const auto end = std::chrono::steady_clock::now() + 30s;
        do {
            auto batch = queue_.receive(at_most, 5s, {});
            std::erase_if(batch, [this](const escqrs::ReceivedMessage& received) {
                return !received.message.message_id.starts_with(prefix_);
            });
            if (!batch.empty()) return batch;
        } while (std::chrono::steady_clock::now() < end);
        return {};
    }

    escqrs::ReceivedMessage receive_one()
    {
        auto batch = receive(1);
        REQUIRE(batch.size() == 1);
        return std::move(batch.front());
    }

private:
    MessageQueue queue_;
    std::string prefix_ = escqrs::to_string(escqrs::random_uuid()) + "/";
};

void check_order_and_duplicates(Run& run)
{
    constexpr std::size_t sessions = 10;
    std::vector<escqrs::Message> sent;
    for (std::size_t at = 0; at < 200; ++at)
        sent.push_back(run.make(std::to_string(at), "session-" + std::to_string(at % sessions)));
    run.queue().send(sent);
    send(run.queue(), sent.front()); // the queue has it: this one is dropped
    std::map<std::size_t, std::size_t> next;
    for (std::size_t session = 0; session < sessions; ++session) next[session] = session;
    for (std::size_t completed = 0; completed < sent.size();) {
        const auto batch = run.receive(50);
        REQUIRE_FALSE(batch.empty());
        std::vector<escqrs::Settlement> settlements;
        for (const auto& received : batch) {
            const std::size_t number = std::stoul(run.name_of(received));
            CHECK(received.message == sent.at(number));
            CHECK(received.delivery_count == 1);
            CHECK(number == std::exchange(next[number % sessions], number + sessions));
            settlements.push_back({received, escqrs::Complete{}});
        }
        const auto results = run.queue().settle(settlements);
        CHECK(std::ranges::count(results, escqrs::SettlementResult::settled) == std::ssize(batch));
        completed += batch.size();
    }
    send(run.queue(), run.make("behind", "session-0")); // where the duplicate would come first
    const auto behind = run.receive_one();
    CHECK(run.name_of(behind) == "behind");
    run.queue().settle(behind, escqrs::Complete{});
}

void check_abandon_and_renew(Run& run)
{
    send(run.queue(), run.make("abandoned", "abandoned"));
    const auto first = run.receive_one();
    CHECK(first.delivery_count == 1);
    run.queue().settle(first, escqrs::Abandon{{{"lastError", "not yet"}}});
    auto again = run.receive_one();
    CHECK(run.name_of(again) == "abandoned");
    CHECK(again.delivery_count == 2);
    CHECK(again.message.properties == escqrs::MessageProperties{{"lastError", "not yet"}});
    const auto locked_until = again.locked_until;
    std::this_thread::sleep_for(1s);
    run.queue().renew_lock(again);
    CHECK(again.locked_until > locked_until);
    run.queue().settle(again, escqrs::Complete{});
}

/// The dead letter with that id, wherever among others it is.
std::optional<escqrs::DeadLetteredMessage> find_dead_letter(MessageQueue& queue, const std::string& id)
{
    std::uint64_t after = 0;
    for (auto page = queue.dead_letters(after, 100); !page.empty(); page = queue.dead_letters(after, 100)) {
        const auto found = std::ranges::find_if(page, [&](const auto& dead) { return dead.message.message_id == id; });
        if (found != page.end()) return *found;
        after = page.back().sequence_number;
    }
    return std::nullopt;
}

void check_dead_letter(Run& run)
{
    const escqrs::Message sent = run.make("dead", "dead");
    send(run.queue(), sent);
    run.queue().settle(run.receive_one(), escqrs::DeadLetter{"why", "because"});
    const auto dead = find_dead_letter(run.queue(), sent.message_id);
    REQUIRE(dead);
    CHECK(dead->reason == "why");
    CHECK(dead->description == "because");
    CHECK(run.queue().resubmit(sent.message_id));
    const auto again = run.receive_one();
    CHECK(again.message.message_id == sent.message_id);
    CHECK(again.message.body == sent.body);
    CHECK(again.delivery_count == 1);
    run.queue().settle(again, escqrs::Complete{});
    CHECK_FALSE(find_dead_letter(run.queue(), sent.message_id));
}

void check_schedule(Run& run)
{
    escqrs::Message message = run.make("scheduled", "scheduled");
    const auto due = escqrs::system_clock().now() + 2s;
    message.scheduled_enqueue_time = due;
    send(run.queue(), message);
    const auto received = run.receive_one();
    CHECK(run.name_of(received) == "scheduled");
    CHECK(escqrs::system_clock().now() >= due - 500ms); // as far as the two clocks agree
    run.queue().settle(received, escqrs::Complete{});
}

void check_adapter(const Place& place)
{
    Run run{place};
    check_order_and_duplicates(run);
    check_abandon_and_renew(run);
    check_dead_letter(run);
    check_schedule(run);
    CHECK(run.queue().health().problem().value_or("none") == "none");
}

} // namespace

TEST_CASE("a real namespace")
{
    const Place place{
        environment("ESCQRS_SERVICEBUS_CONNECTION_STRING"), environment("ESCQRS_SERVICEBUS_MANAGEMENT"), {}};
    if (place.connection_string.empty()) {
        std::cout << "skipped: ESCQRS_SERVICEBUS_CONNECTION_STRING is not set\n"; // ctest looks for this
        return;
    }
    const auto creation = create_queue(place);
    if (!creation || *creation == EntityCreation::not_allowed)
        WARN("these credentials may not create queues: the queue has to be there");
    check_adapter(place);
}

TEST_CASE("the emulator in the place of a namespace", "[.]")
{
    constexpr std::size_t others = 40; // more sessions than one receive takes
    Emulator& emulator = Emulator::shared();
    const std::string name = emulator.new_name();
    const Place place{emulator.connection_string(name, true), emulator.rest_endpoint(), emulator.certificate()};
    REQUIRE(create_queue(place) == EntityCreation::created);
    CHECK(create_queue(place) == EntityCreation::existed);
    {
        MessageQueue queue{settings_of(place)};
        queue.send(make_messages(others, others));
    }
    SECTION("with a key that may do everything, over TLS") { check_adapter(place); }
    SECTION("with a key that may not create queues")
    {
        const Place limited{emulator.connection_string_with(name, R"(["Send", "Listen"])"), place.management,
                            place.certificate_authorities};
        CHECK(create_queue(limited) == EntityCreation::not_allowed);
        check_adapter(limited);
    }
    CHECK(emulator.counts(name).dead_lettered == 0);
    MessageQueue queue{settings_of(place)};
    const auto left = receive_all(queue, others);
    CHECK(left.size() == others);
    CHECK(std::ranges::all_of(left, [](const auto& received) { return received.delivery_count == 1; }));
    for (const auto& received : left) queue.settle(received, escqrs::Complete{});
    CHECK(emulator.counts(name).active == 0);
}
