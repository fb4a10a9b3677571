// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// The adapter with a namespace in Azure, for whoever has one: ESCQRS_SERVICEBUS_CONNECTION_STRING is its connection string,
// with a key that may Manage, Send and Listen; "emulator" starts the emulator in its place. The queue is that of EntityPath,
// else escqrs-test; it is created if it is missing, and messages of others in it are left alone.
#include "emulator_queue.hpp"

#include <escqrs/id_generator.hpp>
#include <escqrs/testing/catch2.hpp>

#include <service_bus/queue_administration.hpp>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace conference::service_bus;
using namespace service_bus_test;

std::optional<std::string> connection_string()
{
    const char* const found = std::getenv("ESCQRS_SERVICEBUS_CONNECTION_STRING"); // NOLINT(concurrency-mt-unsafe)
    if (found == nullptr || *found == '\0') return std::nullopt;
    return std::string{found} == "emulator" ? Emulator::shared().connection_string("escqrs-test") : std::string{found};
}

QueueSettings settings_of(const std::string& connection_string)
{
    QueueSettings settings;
    settings.connection.broker = parse_broker(connection_string);
    if (settings.connection.broker.entity.empty()) settings.connection.broker.entity = "escqrs-test";
    return settings;
}

void create_queue(const Broker& broker)
{
    Broker administered = broker;
    if (broker.is_emulator) administered.host = "localhost";
    QueueAdministration administration{administered, broker.is_emulator ? Emulator::shared().rest_endpoint() : "",
                                       broker.is_emulator ? Emulator::shared().certificate() : ""};
    CHECK(administration.create_if_missing({}) != QueueCreation::not_allowed);
}

/// Messages of this run, by what their ids begin with.
class Run {
public:
    explicit Run(MessageQueue& queue) : queue_{&queue} {}

    escqrs::Message make(const std::string& name, const std::string& session) const
    {
        return make_message(prefix_ + name, prefix_ + session);
    }

    bool is_ours(const escqrs::ReceivedMessage& message) const
    {
        return message.message.message_id.starts_with(prefix_);
    }

    /// The next ones of this run; those of others keep their locks until these end.
    std::vector<escqrs::ReceivedMessage> receive(std::size_t at_most) const
    {
        for (int attempt = 0; attempt < 20; ++attempt) {
            auto batch = queue_->receive(at_most, 10s, {});
            std::erase_if(batch, [this](const auto& message) { return !is_ours(message); });
            if (!batch.empty()) return batch;
        }
        return {};
    }

    std::string name_of(const escqrs::ReceivedMessage& message) const
    {
        return message.message.message_id.substr(prefix_.size());
    }

private:
    MessageQueue* queue_;
    std::string prefix_ = escqrs::to_string(escqrs::random_uuid()).substr(0, 8) + "/";
};

} // namespace

TEST_CASE("a namespace")
{
    const auto text = connection_string();
    if (!text) {
        std::cout << "skipped: ESCQRS_SERVICEBUS_CONNECTION_STRING is not set\n";
        return;
    }
    const QueueSettings settings = settings_of(*text);
    create_queue(settings.connection.broker);
    MessageQueue queue{settings};
    const Run run{queue};

    SECTION("messages come as they were sent, each session's in order, and a duplicate does not come")
    {
        std::vector<escqrs::Message> sent;
        for (int at = 0; at < 200; ++at)
            sent.push_back(run.make(std::to_string(at), "session-" + std::to_string(at % 10)));
        queue.send(sent);
        send(queue, sent.front());
        std::map<int, int> last;
        for (std::size_t done = 0; done < sent.size();) {
            const auto batch = run.receive(50);
            REQUIRE_FALSE(batch.empty());
            for (const auto& received : batch) {
                const int number = std::stoi(run.name_of(received));
                CHECK(received.message == sent[static_cast<std::size_t>(number)]);
                CHECK((!last.contains(number % 10) || last[number % 10] < number));
                last[number % 10] = number;
                queue.settle(received, escqrs::Complete{});
                ++done;
            }
        }
        send(queue, run.make("end", "session-0"));
        const auto behind = run.receive(1);
        REQUIRE(behind.size() == 1);
        CHECK(run.name_of(behind[0]) == "end");
        queue.settle(behind[0], escqrs::Complete{});
    }
    SECTION("abandoned, renewed, dead-lettered, resubmitted")
    {
        send(queue, run.make("troubled", "session"));
        auto received = run.receive(1);
        REQUIRE(received.size() == 1);
        queue.settle(received[0], escqrs::Abandon{{{"lastError", "not yet"}}});
        received = run.receive(1);
        REQUIRE(received.size() == 1);
        CHECK(received[0].delivery_count == 2);
        CHECK(received[0].message.properties == escqrs::MessageProperties{{"lastError", "not yet"}});
        const auto locked_until = received[0].locked_until;
        std::this_thread::sleep_for(50ms);
        queue.renew_lock(received[0]);
        CHECK(received[0].locked_until > locked_until);
        queue.settle(received[0], escqrs::DeadLetter{"why", "because"});
        const std::string id = received[0].message.message_id;
        bool is_listed = false;
        std::uint64_t after = 0;
        for (auto page = queue.dead_letters(after, 100); !page.empty(); page = queue.dead_letters(after, 100)) {
            for (const auto& dead : page) is_listed |= dead.message.message_id == id && dead.reason == "why";
            after = page.back().sequence_number;
        }
        CHECK(is_listed);
        CHECK(queue.resubmit(id));
        received = run.receive(1);
        REQUIRE(received.size() == 1);
        CHECK(received[0].message.message_id == id);
        queue.settle(received[0], escqrs::Complete{});
    }
    SECTION("a scheduled message does not come before its time")
    {
        escqrs::Message message = run.make("scheduled", "session");
        const auto due = escqrs::system_clock().now() + 3s;
        message.scheduled_enqueue_time = due;
        send(queue, message);
        const auto received = run.receive(1);
        REQUIRE(received.size() == 1);
        CHECK(escqrs::system_clock().now() >= due - 1s); // as far as the clocks agree
        queue.settle(received[0], escqrs::Complete{});
    }
    CHECK_FALSE(queue.health().problem());
}
