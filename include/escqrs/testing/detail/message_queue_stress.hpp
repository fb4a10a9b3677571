// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/stop_token.hpp>
#include <escqrs/testing/detail/message_queue_fixture.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <random>
#include <shared_mutex>
#include <thread>

namespace escqrs::inline v0::testing {
namespace detail {

/// Watches many senders and receivers: what was delivered and completed, in which order, and by whom it is held.
/// Receivers report at which tick a receive began, which distinguishes a stale delivery from a wrong one.
class DeliveryJournal {
public:
    DeliveryJournal(std::size_t sessions, std::size_t per_session) : total_{sessions * per_session}, sessions_(sessions)
    {
        for (Session& session : sessions_) session.completed_at.assign(per_session, 0);
    }

    static Message message(std::size_t session, std::size_t index)
    {
        const std::string name = "session-" + std::to_string(session);
        const std::string place = std::to_string(index);
        return make_message(name + "/" + place, name, std::to_string(session) + " " + place);
    }

    std::uint64_t tick()
    {
        const std::scoped_lock lock{mutex_};
        return ++tick_;
    }

    /// @param exclusively  no lock may have run out, so no one else may hold the session
    void delivered(const std::vector<ReceivedMessage>& batch, std::uint64_t receive_began, bool exclusively)
    {
        const std::scoped_lock lock{mutex_};
        std::map<std::size_t, std::size_t> previous;
        for (const ReceivedMessage& received : batch) {
            const auto [number, index] = place_of(received);
            Session& session = sessions_[number];
            if (index > session.seen) complain("delivered before its predecessor", received);
            session.seen = std::max(session.seen, index + 1);
            const std::uint64_t completed_at = session.completed_at[index];
            if (completed_at != 0 && completed_at < receive_began) complain("delivered after completion", received);
            if (const auto before = previous.find(number); before != previous.end() && index != before->second + 1) {
                complain("out of order in its batch", received);
            }
            if (exclusively && !previous.contains(number) && session.held++ > 0) complain("held twice", received);
            previous[number] = index;
        }
    }

    /// A holder is about to give back what it holds of a session.
    void releasing(const ReceivedMessage& received)
    {
        const std::scoped_lock lock{mutex_};
        --sessions_[place_of(received).first].held;
    }

    void completed(const ReceivedMessage& received)
    {
        const std::scoped_lock lock{mutex_};
        const auto [number, index] = place_of(received);
        std::uint64_t& completed_at = sessions_[number].completed_at[index];
        if (completed_at != 0) complain("completed twice", received);
        completed_at = ++tick_;
        ++completed_;
    }

    std::size_t completed() const { return completed_; }
    bool is_finished() const { return completed_ == total_; }

    void require_complete()
    {
        CHECK(failures_ == std::vector<std::string>{});
        REQUIRE(completed_ == total_);
    }

private:
    struct Session {
        std::size_t seen = 0;
        int held = 0;
        std::vector<std::uint64_t> completed_at;
    };

    std::pair<std::size_t, std::size_t> place_of(const ReceivedMessage& received) const
    {
        const std::string& body = received.message.body;
        return {std::stoul(body), std::stoul(body.substr(body.find(' ')))};
    }
    void complain(const char* what, const ReceivedMessage& received)
    {
        if (failures_.size() < 20) failures_.push_back(received.message.message_id + " " + what);
    }

    std::mutex mutex_;
    std::uint64_t tick_ = 0;
    std::size_t total_;
    std::atomic<std::size_t> completed_{0};
    std::vector<Session> sessions_;
    std::vector<std::string> failures_;
};

/// Sends every message of sessions `first`, `first + stride`, ... in batches, sessions mixed, each in order, and now
/// and then a batch twice, as after a lost answer.
/// @param time  held meanwhile by senders that send twice, because the queue recognises a message only within its
///              window
template <class Queue>
void send_sessions(Queue& queue, std::size_t first, std::size_t stride, std::size_t sessions, std::size_t per_session,
                   std::shared_mutex& time)
{
    std::minstd_rand random{static_cast<unsigned>(first + 1)};
    std::vector<Message> batch;
    const auto flush = [&] {
        if (random() % 8 == 0) {
            const std::shared_lock stands_still{time};
            queue.send(batch);
            queue.send(batch);
        } else {
            queue.send(batch);
        }
        batch.clear();
    };
    for (std::size_t index = 0; index < per_session; ++index) {
        for (std::size_t session = first; session < sessions; session += stride) {
            batch.push_back(DeliveryJournal::message(session, index));
            if (batch.size() > random() % 10) flush();
        }
    }
    flush();
}

} // namespace detail

/// Checks many senders and receivers at once: nothing lost, nothing doubled, order kept, one holder of a session.
/// @param make  makes a fixture for the options that a test wants
template <class MakeFixture>
void check_message_queue_under_load(MakeFixture make)
{
    MessageQueueOptions wished;
    wished.max_delivery_count = 1'000'000;
    auto fixture = make(wished);
    static_assert(MessageQueueFixture<decltype(fixture)>);
    auto& queue = fixture.queue();
    const Duration lock_duration = fixture.options().lock_duration;
    constexpr std::size_t sessions = 24;
    constexpr std::size_t per_session = 100;
    constexpr std::size_t senders = 4;
    constexpr unsigned receivers = 6;
    detail::DeliveryJournal journal{sessions, per_session};
    stop_source stop;
    std::shared_mutex time;
    std::vector<jthread> threads;
    const auto start_senders = [&] {
        for (std::size_t first = 0; first < senders; ++first) {
            threads.emplace_back(
                [&, first] { detail::send_sessions(queue, first, senders, sessions, per_session, time); });
        }
    };
    // Until all is completed, or 60 seconds have passed.
    const auto finish = [&](auto every_millisecond) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{60};
        while (!journal.is_finished() && std::chrono::steady_clock::now() < deadline) {
            std::this_thread::sleep_for(std::chrono::milliseconds{1});
            every_millisecond();
        }
        stop.request_stop();
        threads.clear();
        journal.require_complete();
        CHECK(queue.counts() == MessageQueueCounts{});
    };

    SECTION("without faults every message is delivered and completed once, and a session has one holder at a time")
    {
        for (unsigned seed = 0; seed < receivers; ++seed) {
            threads.emplace_back([&, seed] {
                std::minstd_rand random{seed + 100};
                while (!stop.stop_requested()) {
                    const std::uint64_t began = journal.tick();
                    const auto batch = queue.receive(1 + random() % 8, lock_duration, stop.get_token());
                    journal.delivered(batch, began, true);
                    for (std::size_t at = 0; at < batch.size(); ++at) {
                        const bool is_last =
                            at + 1 == batch.size() || batch[at + 1].message.session_id != batch[at].message.session_id;
                        if (is_last) journal.releasing(batch[at]);
                        queue.settle(batch[at], Complete{});
                        journal.completed(batch[at]);
                    }
                }
            });
        }
        start_senders();
        finish([] {});
    }
    SECTION("with abandoned messages, dead holders and locks that run out nothing is lost, and order is kept")
    {
        std::atomic<unsigned> at_work{0}; // receivers that hold something that they will settle
        for (unsigned seed = 0; seed < receivers; ++seed) {
            threads.emplace_back([&, seed] {
                std::minstd_rand random{seed + 200};
                while (!stop.stop_requested()) {
                    const std::uint64_t began = journal.tick();
                    const auto batch = queue.receive(1 + random() % 8, lock_duration, stop.get_token());
                    journal.delivered(batch, began, false);
                    if (random() % 16 == 0) continue; // as if the holder had died
                    ++at_work;
                    std::vector<Settlement> settlements;
                    for (const ReceivedMessage& message : batch) {
                        settlements.push_back({message, random() % 8 == 0 ? Disposition{Abandon{}} : Complete{}});
                    }
                    const auto results = queue.settle(settlements);
                    for (std::size_t at = 0; at < batch.size(); ++at) {
                        const bool completes = std::holds_alternative<Complete>(settlements[at].disposition);
                        if (completes && results[at] == SettlementResult::settled) journal.completed(batch[at]);
                    }
                    --at_work;
                }
            });
        }
        start_senders();
        finish([&, round = 0, completed = std::size_t{0}]() mutable {
            // On a machine that is busy enough every lock would run out before anything could be settled.
            if (++round % 5 != 0 || (at_work > 0 && journal.completed() == completed)) return;
            completed = journal.completed();
            const std::scoped_lock moves{time};
            fixture.advance(lock_duration);
        });
    }
}

} // namespace escqrs::inline v0::testing
