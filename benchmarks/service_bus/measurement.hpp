// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <chrono>
#include <cstddef>
#include <ctime>

namespace service_bus_benchmark {

/// What moving some messages took.
struct Measurement {
    double per_second = 0;      ///< messages
    double cpu_per_100_000 = 0; ///< seconds of this process's processor time for 100,000 messages
};

/// Takes the time, and this process's processor time, from its construction on.
class Stopwatch {
public:
    Measurement measure(std::size_t messages) const
    {
        const double count = static_cast<double>(messages);
        const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin_;
        return {count / passed.count(), (cpu_seconds() - cpu_begin_) / count * 100'000};
    }

private:
    static double cpu_seconds()
    {
        timespec time{};
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
    }

    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
    double cpu_begin_ = cpu_seconds();
};

} // namespace service_bus_benchmark
