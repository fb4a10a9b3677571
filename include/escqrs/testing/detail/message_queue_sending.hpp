// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/testing/detail/message_queue_fixture.hpp>

namespace escqrs::inline v0::testing {

/// Checks scheduled messages, duplicate detection, what `send` refuses, and what outlives the process.
/// @param make  makes a fixture for the options that a test wants
template <class MakeFixture>
void check_message_sending(MakeFixture make)
{
    MessageQueueOptions wished;
    wished.duplicate_detection_window = wished.lock_duration * 4;
    auto fixture = make(wished);
    static_assert(MessageQueueFixture<decltype(fixture)>);
    auto& queue = fixture.queue();
    const MessageQueueOptions options = fixture.options();
    const Duration step = options.lock_duration / 4;

    SECTION("a scheduled message is handed out from its time on, as if it had been sent then")
    {
        Message later = detail::make_message("later");
        later.scheduled_enqueue_time = fixture.now() + 2 * step;
        Message soon = detail::make_message("soon");
        soon.scheduled_enqueue_time = fixture.now() + step;
        Message past = detail::make_message("past");
        past.scheduled_enqueue_time = fixture.now() - step;
        queue.send(std::vector{later, soon, past});
        CHECK(queue.counts() == MessageQueueCounts{.active = 1, .scheduled = 2});
        const auto at_once = detail::receive(fixture);
        CHECK(detail::ids_of(at_once) == std::vector<std::string>{"past"});
        fixture.advance(2 * step);
        CHECK(queue.counts() == MessageQueueCounts{.active = 2, .locked = 1});
        const auto due = detail::receive(fixture);
        REQUIRE(detail::ids_of(due) == std::vector<std::string>{"soon", "later"});
        CHECK(due[0].message.scheduled_enqueue_time == soon.scheduled_enqueue_time);
        CHECK(due[0].enqueued_at >= *soon.scheduled_enqueue_time);
        CHECK(due[0].sequence_number > at_once[0].sequence_number);
    }
    SECTION("a waiting receiver is woken when a scheduled message is due, also by one sent while it waits")
    {
        detail::WaitingReceiver receiver{queue, 1, options.lock_duration * 1000};
        CHECK_FALSE(receiver.is_done_within(std::chrono::milliseconds{20}));
        Message message = detail::make_message("due");
        message.scheduled_enqueue_time = fixture.now() + 4 * step;
        detail::send_one(queue, message);
        CHECK_FALSE(receiver.is_done_within(std::chrono::milliseconds{20}));
        fixture.advance(4 * step);
        CHECK(detail::ids_of(receiver.result()) == std::vector<std::string>{"due"});
    }
    SECTION("a repeated message id is accepted and dropped, within a batch, while queued, and when completed")
    {
        queue.send(std::vector{detail::make_message("1", "", "first"), detail::make_message("1", "", "second")});
        detail::send_one(queue, detail::make_message("1", "other session", "third"));
        const auto received = detail::receive(fixture);
        REQUIRE(received.size() == 1);
        CHECK(received[0].message.body == "first");
        queue.settle(received[0], Complete{});
        detail::send_all(queue, {"1", "2"});
        CHECK(detail::ids_of(detail::receive(fixture)) == std::vector<std::string>{"2"});
    }
    SECTION("a scheduled or dead-lettered message makes its repeats duplicates too")
    {
        Message scheduled = detail::make_message("1");
        scheduled.scheduled_enqueue_time = fixture.now() + step;
        detail::send_one(queue, scheduled);
        detail::send_all(queue, {"1", "2"});
        queue.settle(detail::receive_one(fixture), DeadLetter{});
        detail::send_all(queue, {"1", "2"});
        CHECK(queue.counts() == MessageQueueCounts{.scheduled = 1, .dead_lettered = 1});
    }
    SECTION("after the window, counted from the message that was taken, an id is new again")
    {
        const Duration window = options.duplicate_detection_window;
        detail::send_all(queue, {"1"});
        queue.settle(detail::receive_one(fixture), Complete{});
        fixture.advance(window * 3 / 4);
        detail::send_all(queue, {"1"});
        CHECK(queue.counts() == MessageQueueCounts{});
        fixture.advance(window / 4);
        detail::send_all(queue, {"1"});
        detail::send_all(queue, {"1"});
        CHECK(queue.counts() == MessageQueueCounts{.active = 1});
    }
    SECTION("what is invalid is refused with its id, field, limit and size, and nothing of its batch is sent")
    {
        const auto refuses = [&](const Message& bad, const std::vector<std::string>& parts) {
            const std::vector<Message> batch{detail::make_message("good"), bad};
            try {
                queue.send(batch);
                FAIL("expected a MessageRefused");
            } catch (const MessageRefused& error) {
                CHECK(error.message_id() == bad.message_id);
                for (const std::string& part : parts) CHECK_THAT(error.what(), Catch::Matchers::Contains(part));
            }
            CHECK(queue.counts() == MessageQueueCounts{});
        };
        refuses(detail::make_message(""), {"message_id", "at least 1", "0 bytes"});
        refuses(detail::make_message(std::string(129, 'i')), {std::string(128, 'i'), "message_id", "128", "129"});
        refuses(detail::make_message("bad", std::string(140, 's')), {"'bad'", "session_id", "128", "140"});
        Message large = detail::make_message("large", "", std::string(options.max_message_size, 'x'));
        large.properties = {{"k", "v"}};
        refuses(large, {"'large'", "body", std::to_string(options.max_message_size),
                        std::to_string(options.max_message_size + 2)});
        Message twice = detail::make_message("twice");
        twice.properties = {{"name", "1"}, {"other", "2"}, {"name", "3"}};
        refuses(twice, {"'twice'", "properties", "'name'"});
        Message nameless = detail::make_message("nameless");
        nameless.properties = {{"", "text"}};
        refuses(nameless, {"'nameless'", "property has no name"});
        for (const std::string& text : {std::string{"Andr\xE9"}, std::string{"\xED\xA0\x80"}, std::string(1, '\0')}) {
            const char* const what = text[0] == '\0' ? "NUL" : "not UTF-8";
            refuses(detail::make_message("x" + text), {"message_id", what});
            refuses(detail::make_message("bad", text), {"'bad'", "session_id", what});
            for (std::string Message::*field : {&Message::subject, &Message::correlation_id, &Message::content_type}) {
                Message bad = detail::make_message("bad");
                bad.*field = text;
                refuses(bad, {"'bad'", what});
            }
            if (text[0] == '\0') continue;
            Message bad = detail::make_message("bad");
            bad.properties = {{"name", text}};
            refuses(bad, {"'bad'", "'name'", what});
            bad.properties = {{text, "text"}};
            refuses(bad, {"'bad'", "name of a property", what});
        }
        detail::send_all(queue, {"good"});
        CHECK(queue.counts() == MessageQueueCounts{.active = 1});
    }
    SECTION("what is as large as allowed is taken")
    {
        detail::send_one(queue, detail::make_message(std::string(128, 'i'), std::string(128, 's'),
                                                     std::string(options.max_message_size, 'x')));
        CHECK(detail::receive_one(fixture).message.body.size() == options.max_message_size);
    }
    SECTION("a durable queue is after it was closed and opened again as it was")
    {
        detail::send_all(queue, {"dead"});
        queue.settle(detail::receive_one(fixture), DeadLetter{"why", "because"});
        detail::send_all(queue, {"abandoned"}, "a");
        queue.settle(detail::receive_one(fixture), Abandon{{{"tried", "once"}}});
        const ReceivedMessage held = detail::receive_one(fixture);
        detail::send_all(queue, {"locked", "behind"}, "l");
        const ReceivedMessage locked = detail::receive_one(fixture);
        detail::send_all(queue, {"done"}, "d");
        const ReceivedMessage done = detail::receive_one(fixture);
        queue.settle(done, Complete{});
        Message scheduled = detail::make_message("scheduled");
        scheduled.scheduled_enqueue_time = fixture.now() + step;
        detail::send_one(queue, scheduled);
        if (!fixture.reopen()) return;

        auto& opened = fixture.queue();
        CHECK(opened.counts() == MessageQueueCounts{.active = 1, .locked = 2, .scheduled = 1, .dead_lettered = 1});
        detail::send_all(opened, {"dead", "abandoned", "locked", "behind", "scheduled", "done"});
        CHECK(detail::receive(fixture).empty());
        opened.settle(held, Abandon{});
        const ReceivedMessage abandoned = detail::receive_one(fixture);
        CHECK(abandoned.delivery_count == 3);
        CHECK(abandoned.message.properties == MessageProperties{{"tried", "once"}});
        opened.settle(locked, Complete{});
        const ReceivedMessage behind = detail::receive_one(fixture);
        CHECK(behind.message.message_id == "behind");
        const auto dead = opened.dead_letters(0, 10);
        REQUIRE(detail::ids_of(dead) == std::vector<std::string>{"dead"});
        CHECK(dead[0].description == "because");
        fixture.advance(step);
        const ReceivedMessage last = detail::receive_one(fixture);
        CHECK(last.message == scheduled);
        CHECK(last.sequence_number > done.sequence_number);
    }
}

} // namespace escqrs::inline v0::testing
