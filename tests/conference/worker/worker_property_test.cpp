// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "worker_fixture.hpp"

#include <escqrs/sqlite/message_queue.hpp>
#include <escqrs/testing/catch2.hpp>

#include <algorithm>
#include <iterator>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace conference;
using namespace conference::test;
using namespace std::chrono_literals;

namespace {

std::size_t draw(std::mt19937& chance, std::size_t below)
{
    return std::uniform_int_distribution<std::size_t>{0, below - 1}(chance);
}

/// Loses settlements before or after they took effect, and hands out batches of any size.
struct UnreliableReceiver {
    std::vector<escqrs::ReceivedMessage> receive(std::size_t at_most, escqrs::Duration wait, std::stop_token stop)
    {
        return queue->receive(1 + draw(*chance, at_most), wait, std::move(stop));
    }
    void settle(const escqrs::ReceivedMessage& message, const escqrs::Disposition& disposition)
    {
        queue->settle(message, disposition);
    }
    std::vector<escqrs::SettlementResult> settle(std::span<const escqrs::Settlement> settlements)
    {
        const std::size_t luck = draw(*chance, 8);
        if (luck == 0) throw escqrs::TransportError{"lost before"};
        auto results = queue->settle(settlements);
        if (luck == 1) throw escqrs::TransportError{"lost after"};
        return results;
    }
    void renew_lock(escqrs::ReceivedMessage& message) { queue->renew_lock(message); }

    escqrs::in_memory::MessageQueue* queue;
    std::mt19937* chance;
};

/// Moves messages about a little, as several senders and redelivery would.
void disturb(std::vector<escqrs::Message>& messages, std::mt19937& chance)
{
    const std::size_t count = messages.size();
    for (std::size_t index = 0; index < count / 3; ++index) { // duplicates
        const auto copy = messages[draw(chance, messages.size())];
        messages.insert(messages.begin() + static_cast<std::ptrdiff_t>(draw(chance, messages.size() + 1)), copy);
    }
    for (std::size_t index = 0; index < count; ++index) { // reordering
        const std::size_t at = draw(chance, messages.size());
        std::swap(messages[at], messages[std::min(messages.size() - 1, at + draw(chance, 10))]);
    }
}

} // namespace

TEST_CASE("worker: the read model is the fold of the store, whatever happens to the messages")
{
    const unsigned seed = GENERATE(range(1U, 13U));
    CAPTURE(seed);
    std::mt19937 chance{seed};
    TemporaryFolder folder;
    escqrs::testing::ManualClock clock;
    auto options = queue_options(clock);
    options.max_delivery_count = 1'000'000;
    escqrs::in_memory::MessageQueue queue{options};
    UnreliableReceiver receiver{&queue, &chance};
    History history;
    for (int step = 0; step < 150; ++step) history.happen(chance);
    auto messages = history.messages();
    const bool in_sessions = seed % 3 != 0;
    if (!in_sessions) {
        for (auto& message : messages) message.session_id.clear();
    }
    disturb(messages, chance);
    queue.send(messages);

    const std::string path = folder.file("read-model.db");
    SeenModel model{path};
    for (int life = 0; queue.counts() != escqrs::MessageQueueCounts{}; ++life) {
        REQUIRE(life < 5'000);
        // Now and then the worker is another process.
        Worker worker{path, receiver, clock, nullptr, 1'000'000};
        const auto unlucky = worker.bus.subscribe_to_all([&](const escqrs::PublishedEvent&) {
            const std::size_t luck = draw(chance, 40);
            if (luck == 0) throw std::runtime_error{"a passing fault"};
            if (luck == 1) throw escqrs::StoreError{"the disk is full for a moment"};
            if (luck == 2) clock.advance(70s); // the locks run out
        });
        try {
            for (std::size_t batches = draw(chance, 5); batches > 0; --batches) worker.worker.work_once();
        } catch (const escqrs::Error&) {
            clock.advance(70s);
        }
        // Nobody ever sees a mail without its request, or a state that never was.
        REQUIRE(model.mails().size() <= history.owed_mails().size());
    }
    CHECK(model.attendees() == history.fold());
    CHECK(model.mails() == history.owed_mails());
    CHECK(model.queries.progress().events == history.messages().size()); // however often each was delivered
    CHECK(queue.dead_letters(0, 1).empty());
}

TEST_CASE("worker: hostile messages are dead-lettered, and do no harm")
{
    const unsigned seed = GENERATE(range(1U, 6U));
    CAPTURE(seed);
    std::mt19937 chance{seed};
    Workplace place;
    for (int step = 0; step < 60; ++step) place.history.happen(chance);
    const auto good = place.history.messages();
    std::vector<escqrs::Message> messages;
    for (std::size_t index = 0; index < good.size(); ++index) {
        for (std::size_t copies = draw(chance, 4); copies > 0; --copies) {
            auto forged = good[draw(chance, good.size())];
            forged.message_id = "forged" + std::to_string(messages.size());
            forged.session_id = "forged" + std::to_string(draw(chance, 3));
            // It claims to be of another attendee, so whatever it does, it does not concern our attendees.
            const std::string stranger = "attendee-" + escqrs::to_string(escqrs::random_uuid());
            // A queue takes texts in UTF-8 only, and any bytes as the body.
            const auto spoil = [&](std::string& text, std::size_t first, std::size_t last) {
                const auto any = [&] { return static_cast<char>(first + draw(chance, last - first + 1)); };
                switch (draw(chance, 4)) {
                case 0: text.clear(); break;
                case 1: text.resize(draw(chance, text.size() + 1)); break;
                case 2: text.insert(draw(chance, text.size() + 1), 1, any()); break;
                default:
                    if (!text.empty()) text[draw(chance, text.size())] = any();
                }
            };
            const auto properties = std::exchange(forged.properties, {});
            for (const auto& [name, value] : properties) {
                std::string text{name == "cloudEvents:subject" ? stranger : value};
                if (draw(chance, 6) == 0 && name != "cloudEvents:subject") spoil(text, 1, 127);
                forged.properties.add(name, text);
            }
            if (draw(chance, 4) == 0) {
                const auto lost = static_cast<std::ptrdiff_t>(draw(chance, forged.properties.size()));
                forged.properties.erase((*std::next(forged.properties.begin(), lost)).first);
            }
            if (draw(chance, 3) == 0) spoil(forged.body, 0, 255);
            if (draw(chance, 8) == 0) spoil(forged.content_type, 1, 127);
            messages.push_back(forged);
        }
        messages.push_back(good[index]);
    }
    place.send(messages);
    place.work();
    CHECK(place.queue.counts().active == 0);
    CHECK(place.queue.counts().locked == 0);
    auto views = place.model.attendees();
    for (const auto& [id, expected] : place.history.fold()) CHECK(views.at(id) == expected);
    for (const auto& letter : place.dead_letters()) {
        CHECK(letter.message.message_id.starts_with("forged"));
        CHECK_FALSE(letter.reason.empty());
    }
    CHECK_FALSE(place.dead_letters().empty());
}

TEST_CASE("worker: numbers at the edge of what they can be")
{
    Workplace place;
    place.history.register_attendee();
    const auto good = place.history.messages().front();
    const auto forged = [&](const std::string& attribute, const std::string& value) {
        auto message = good;
        message.message_id = attribute + value;
        message.properties.set("cloudEvents:" + attribute, value);
        message.session_id = message.message_id;
        return message;
    };
    const std::string highest = "18446744073709551615";
    const std::string upper_case = "attendee-AAAAAAAA-AAAA-4AAA-8AAA-AAAAAAAAAAAA";
    const std::string lower_case = "attendee-aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa";
    auto far = forged("position", highest);
    far.properties.set("cloudEvents:subject", "attendee-" + escqrs::to_string(escqrs::random_uuid()));
    place.send({far, forged("streamversion", "0"), forged("streamversion", highest), forged("schemaversion", highest),
                forged("subject", "speaker-1"), forged("subject", lower_case), forged("subject", upper_case), good});
    place.work();
    std::map<std::string, std::string> reasons;
    for (const auto& letter : place.dead_letters()) reasons[letter.message.message_id] = letter.reason;
    CHECK(reasons == std::map<std::string, std::string>{{"position" + highest, "HandlerFailed"},
                                                        {"streamversion0", "CodecError"},
                                                        {"streamversion" + highest, "OutOfOrder"},
                                                        {"schemaversion" + highest, "CodecError"},
                                                        {"subjectspeaker-1", "HandlerFailed"},
                                                        {"subject" + upper_case, "HandlerFailed"}});
    CHECK(place.model.attendees().size() == 2);
    CHECK(place.model.queries.progress().position == escqrs::GlobalPosition{1});
}

TEST_CASE("worker: several on one queue and one read model", "[integration]")
{
    std::mt19937 chance{7};
    TemporaryFolder folder;
    const std::string path = folder.file("read-model.db");
    escqrs::MessageQueueOptions options;
    options.lock_duration = 200ms; // some run out
    options.duplicate_detection_window = 0us;
    options.max_delivery_count = 1'000'000;
    escqrs::sqlite::MessageQueueSettings settings;
    settings.database.synchronous = escqrs::sqlite::Synchronous::normal;
    History history;
    for (int step = 0; step < 1500; ++step) history.happen(chance);
    escqrs::sqlite::MessageQueue queue{folder.file("queue.db"), options, settings};

    std::vector<std::jthread> threads;
    for (unsigned index = 0; index < 4; ++index) {
        threads.emplace_back([&, index](std::stop_token stop) {
            std::mt19937 luck{index};
            escqrs::sqlite::MessageQueue own{folder.file("queue.db"), options, settings};
            Worker worker{path, own, escqrs::system_clock(), nullptr, 1'000'000, 30s};
            const auto slow = worker.bus.subscribe_to_all([&](const escqrs::PublishedEvent&) {
                if (draw(luck, 500) == 0) std::this_thread::sleep_for(300ms);
            });
            worker.worker.run(std::move(stop));
        });
    }
    auto messages = history.messages();
    disturb(messages, chance);
    queue.send(messages);
    for (int tries = 0; queue.counts() != escqrs::MessageQueueCounts{} && tries < 6000; ++tries) {
        std::this_thread::sleep_for(10ms);
    }
    threads.clear();
    SeenModel model{path};
    CHECK(queue.counts() == escqrs::MessageQueueCounts{});
    CHECK(model.attendees() == history.fold());
    CHECK(model.mails() == history.owed_mails());
}
