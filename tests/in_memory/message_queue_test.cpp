// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/in_memory/message_queue.hpp>

#include <escqrs/messaging/any_message_queue.hpp>
#include <escqrs/testing/manual_clock.hpp>
#include <escqrs/testing/message_queue_conformance.hpp>

#include <memory>

namespace {

class Fixture {
public:
    explicit Fixture(escqrs::MessageQueueOptions options) : options_{options}
    {
        options_.clock = clock_.get();
        queue_ = std::make_unique<escqrs::in_memory::MessageQueue>(options_);
    }

    escqrs::in_memory::MessageQueue& queue() { return *queue_; }
    const escqrs::MessageQueueOptions& options() const { return options_; }
    escqrs::Timestamp now() const { return clock_->now(); }
    void advance(escqrs::Duration duration) { clock_->advance(duration); }
    void set_time_of_day(escqrs::Timestamp now) { clock_->set(now); }
    escqrs::Duration patience() const { return escqrs::Duration::zero(); }
    bool reopen() { return false; }

private:
    escqrs::MessageQueueOptions options_;
    std::unique_ptr<escqrs::testing::ManualClock> clock_ = std::make_unique<escqrs::testing::ManualClock>();
    std::unique_ptr<escqrs::in_memory::MessageQueue> queue_;
};

Fixture make_fixture(const escqrs::MessageQueueOptions& options) { return Fixture{options}; }

} // namespace

ESCQRS_MESSAGE_QUEUE_CONFORMANCE("in-memory", make_fixture)

TEST_CASE("in-memory queue: options that make no sense are refused")
{
    const auto refused = [](auto change) {
        escqrs::MessageQueueOptions options;
        change(options);
        CHECK_THROWS_AS(escqrs::in_memory::MessageQueue{options}, escqrs::InvalidOption);
    };
    refused([](auto& options) { options.lock_duration = escqrs::Duration::zero(); });
    refused([](auto& options) { options.max_delivery_count = 0; });
    refused([](auto& options) { options.duplicate_detection_window = escqrs::Duration{-1}; });
    refused([](auto& options) { options.clock = nullptr; });
}

TEST_CASE("in-memory queue: with a window of 0 no message is a duplicate")
{
    escqrs::MessageQueueOptions options;
    options.duplicate_detection_window = escqrs::Duration::zero();
    Fixture fixture{options};
    escqrs::testing::detail::send_all(fixture.queue(), {"1", "1"});
    CHECK(fixture.queue().counts().active == 2);
}

TEST_CASE("in-memory queue: lock tokens come from the generator that was handed in")
{
    escqrs::Uuid token{};
    token.data[15] = 7;
    escqrs::in_memory::MessageQueue queue{{}, [token] { return token; }};
    escqrs::testing::detail::send_all(queue, {"1"});
    const auto received = queue.receive(1, escqrs::Duration::zero());
    REQUIRE(received.size() == 1);
    CHECK(received.front().lock_token == "00000000-0000-0000-0000-000000000007");
}

TEST_CASE("in-memory queue: a wait without end is no arithmetic overflow")
{
    escqrs::in_memory::MessageQueue queue;
    escqrs::testing::detail::WaitingReceiver receiver{queue, 1, escqrs::Duration::max()};
    CHECK_FALSE(receiver.is_done_within(std::chrono::milliseconds{20}));
    escqrs::testing::detail::send_all(queue, {"1"});
    CHECK(receiver.result().size() == 1);
}

namespace {

/// The queue in memory, chosen at run time.
class AnyFixture : public Fixture {
public:
    struct Queue : escqrs::AnyMessageQueue {
        explicit Queue(escqrs::in_memory::MessageQueue& queue) : AnyMessageQueue{queue}, chosen{&queue} {}
        escqrs::MessageQueueCounts counts() const { return chosen->counts(); }
        escqrs::in_memory::MessageQueue* chosen;
    };

    explicit AnyFixture(const escqrs::MessageQueueOptions& options) : Fixture{options}, any_{Fixture::queue()} {}

    Queue& queue() { return any_; }

private:
    Queue any_;
};

} // namespace

ESCQRS_MESSAGE_QUEUE_CONFORMANCE("any", [](const escqrs::MessageQueueOptions& options) { return AnyFixture{options}; })

TEST_CASE("any queue: copies share a queue that they own, and what it cannot do is not asked of it")
{
    const auto chosen = std::make_shared<escqrs::in_memory::MessageQueue>();
    escqrs::AnyMessageQueue queue{chosen};
    {
        escqrs::AnyMessageReceiver copy = queue;
        CHECK(chosen.use_count() == 3);
        escqrs::testing::detail::send_all(queue, {"1"});
        CHECK_FALSE(copy.can_release());
        const auto received = copy.receive(1, escqrs::Duration::zero(), {});
        REQUIRE(received.size() == 1);
        copy.release(received);
        CHECK(chosen->counts().locked == 1);
        copy.settle(received[0], escqrs::DeadLetter{"reason", "description"});
        CHECK(copy.can_list_dead_letters());
        CHECK(copy.dead_letters(0, 10).size() == 1);
    }
    CHECK(chosen.use_count() == 2);
    CHECK_THROWS_AS(escqrs::AnyMessageQueue{std::shared_ptr<escqrs::in_memory::MessageQueue>{}}, escqrs::InvalidOption);
}
