// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// From many sender's hands through the queue into the read model, while connections and links are cut at random.
#include "../conference/worker/worker_fixture.hpp"
#include "emulator_queue.hpp"

#include <escqrs/testing/catch2.hpp>

#include <atomic>
#include <chrono>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace conference;
using namespace service_bus_test;

/// Watches what is handed out: how often each message came, and whether a session's came in order.
class Witness {
public:
    explicit Witness(MessageQueue& queue) : queue_{&queue} {}

    std::vector<escqrs::ReceivedMessage> receive(std::size_t at_most, escqrs::Duration wait, std::stop_token stop)
    {
        auto batch = queue_->receive(at_most, wait, std::move(stop));
        for (const auto& message : batch) {
            ++deliveries;
            auto& last = last_completed_[message.message.session_id];
            if (message.sequence_number > last) continue;
            ++out_of_order; // what was completed comes again, or after what came later
        }
        return batch;
    }
    void settle(const escqrs::ReceivedMessage& message, const escqrs::Disposition& disposition)
    {
        queue_->settle(message, disposition);
    }
    std::vector<escqrs::SettlementResult> settle(std::span<const escqrs::Settlement> settlements)
    {
        auto results = queue_->settle(settlements);
        for (std::size_t at = 0; at < settlements.size(); ++at) {
            const escqrs::ReceivedMessage& message = settlements[at].message;
            if (results[at] == escqrs::SettlementResult::settled)
                last_completed_[message.message.session_id] = message.sequence_number;
        }
        return results;
    }
    void renew_lock(escqrs::ReceivedMessage& message) { queue_->renew_lock(message); }

    std::size_t deliveries = 0;
    std::size_t out_of_order = 0;

private:
    MessageQueue* queue_;
    std::map<std::string, std::uint64_t> last_completed_;
};

} // namespace

TEST_CASE("chaos: connections drop, links are detached, and of 50k messages none is lost, doubled or out of order")
{
    constexpr std::size_t count = 50'000;
    constexpr std::size_t senders = 4;
    conference::test::History history;
    std::mt19937 chance{20261123};
    std::vector<escqrs::Message> messages;
    std::size_t happened = 0;
    while (happened < count) {
        const int refused = history.refused;
        history.happen(chance);
        if (history.refused == refused) ++happened;
    }
    messages = history.messages();
    REQUIRE(messages.size() >= count);

    auto& emulator = Emulator::shared();
    const EmulatorQueue place{
        {{"requiresSession", true}, {"duplicateDetectionWindowMs", 3'600'000}, {"maxDeliveryCount", 1000}}};
    emulator.fault("random", {{"dropProbability", 0.0003}, {"detachProbability", 0.0003}, {"seed", 7}});

    // Each sender has whole sessions, as each relay has: their order is the sender's.
    std::vector<std::vector<escqrs::Message>> shares(senders);
    for (auto& message : messages)
        shares[std::hash<std::string>{}(message.session_id) % senders].push_back(std::move(message));
    std::atomic<std::size_t> retried{0};
    std::atomic<std::size_t> busy_senders{senders};
    std::vector<std::jthread> threads;
    for (const auto& share : shares) {
        threads.emplace_back([&] {
            MessageQueue queue{place.settings()};
            for (std::size_t at = 0; at < share.size();) {
                const std::size_t size = std::min<std::size_t>(500, share.size() - at);
                try {
                    queue.send(std::span{share}.subspan(at, size));
                    at += size;
                } catch (const escqrs::TransportError&) {
                    ++retried; // the same again, as the relay does
                }
            }
            --busy_senders;
        });
    }

    const TemporaryFolder folder;
    const std::string path = folder.file("read-model.db");
    conference::test::SeenModel model{path};
    MessageQueue queue{place.settings()};
    Witness witness{queue};
    conference::test::Worker own{path, witness, emulator.clock(), nullptr, 1000, 10s};
    const auto end = std::chrono::steady_clock::now() + 8min;
    const auto is_over = [&] {
        if (busy_senders > 0) return false;
        const auto counts = place.counts();
        return counts.active + counts.locked == 0;
    };
    std::size_t dead_lettered = 0;
    while (!is_over()) {
        try {
            dead_lettered += own.worker.work_once().dead_lettered;
        } catch (const escqrs::TransportError&) { // what was handled stays so
        }
        REQUIRE(std::chrono::steady_clock::now() < end);
    }
    threads.clear();
    const auto expected = history.fold();

    emulator.fault("random");
    const auto stats = emulator.stats();
    const auto stat = [&](const char* name) { return stats.at(name).to_number<std::uint64_t>(); };
    INFO("drops " << stat("drops") << ", detaches " << stat("detaches") << ", duplicates dropped "
                  << stat("duplicatesDropped") << ", deliveries " << witness.deliveries << ", sends repeated "
                  << retried.load());
    CHECK(stat("drops") >= 10);
    CHECK(stat("detaches") >= 10);
    CHECK(dead_lettered == 0);
    CHECK(place.counts().dead_lettered == 0);
    CHECK(witness.out_of_order == 0);
    CHECK((model.attendees() == expected)); // each attendee's events were applied, each once, and in order
    CHECK((model.mails() == history.owed_mails()));
}

TEST_CASE("a worker that is stopped with messages in hand counts no delivery of theirs", "[faults]")
{
    const EmulatorQueue place{{{"requiresSession", true}, {"lockDurationMs", 300'000}, {"maxDeliveryCount", 2}}};
    conference::test::History history;
    for (int count = 0; count < 9; ++count) history.register_attendee();
    const TemporaryFolder folder;
    const std::string path = folder.file("read-model.db");
    conference::test::SeenModel model{path};
    MessageQueue queue{place.settings()};
    queue.send(history.messages());
    for (int stops = 0; stops < 5; ++stops) {
        std::stop_source stop;
        conference::test::Worker own{path, queue, Emulator::shared().clock(), nullptr, 100, 10s};
        const auto connection =
            own.bus.subscribe<AttendeeRegistered>([&](const AttendeeRegistered&) { stop.request_stop(); });
        (void)own.worker.work_once(stop.get_token());
    }
    CHECK(place.counts().dead_lettered == 0);
    for (const auto& message : receive_all(queue, 4)) CHECK(message.delivery_count == 1);
}
