// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/detail/group_queue.hpp>

#include <escqrs/testing/catch2.hpp>

#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

namespace {

struct Caller : escqrs::detail::GroupQueue<Caller>::Entry {
    int times_done = 0;
};

/// Has many threads take part many times.
/// @return whether all was done once, in groups that were neither too large nor too many at once
bool does_all_once(std::size_t max_group_size, std::size_t max_groups, int threads)
{
    constexpr int rounds = 300;
    escqrs::detail::GroupQueue<Caller> queue{max_group_size, max_groups};
    std::atomic<std::size_t> groups{0};
    std::atomic<int> done{0};
    std::atomic<bool> is_right{true};
    const auto work = [&](Caller* caller) {
        if (++groups > max_groups) is_right = false;
        std::size_t size = 0;
        for (; caller != nullptr; caller = caller->next, ++size, ++done) ++caller->times_done;
        if (size > max_group_size) is_right = false;
        if (done % 5 == 0) std::this_thread::yield();
        --groups;
    };
    {
        std::vector<std::jthread> running;
        for (int thread = 0; thread < threads; ++thread) {
            running.emplace_back([&] {
                for (int round = 0; round < rounds; ++round) {
                    Caller self;
                    queue.take_part(self, work);
                    if (self.times_done != 1) is_right = false;
                }
            });
        }
    }
    return is_right && done == threads * rounds;
}

} // namespace

TEST_CASE("whatever the size and number of groups, everybody's work is done exactly once")
{
    for (const std::size_t max_group_size : {1U, 2U, 3U, 256U}) {
        for (const std::size_t max_groups : {1U, 2U, 4U}) {
            for (const int threads : {1, 2, 9, 40}) {
                CAPTURE(max_group_size, max_groups, threads);
                CHECK(does_all_once(max_group_size, max_groups, threads));
            }
        }
    }
}
