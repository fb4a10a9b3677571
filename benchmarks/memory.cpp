// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// memory escqrs|by_hand STREAMS EVENTS   prints how much memory a process takes for a store in memory with so many streams
//                                        of so many events each, in megabytes for each million streams
// Events have 200 bytes with 100 bytes of metadata, and streams grow side by side.
#include "support/memory_by_hand.hpp"
#include "support/payload.hpp"

#include <escqrs/in_memory/event_store.hpp>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <string_view>
#include <unistd.h>

namespace {

using namespace benchmarks;

double resident_bytes()
{
    std::ifstream statm{"/proc/self/statm"};
    double all = 0;
    double resident = 0;
    statm >> all >> resident;
    return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

/// Calls `append(stream)` for each event.
template <class Append>
double megabytes_for_each_million(std::uint64_t streams, std::uint64_t events, Append append)
{
    const double before = resident_bytes();
    for (std::uint64_t event = 0; event < events; ++event) {
        for (std::uint64_t stream = 0; stream < streams; ++stream) append(stream);
    }
    return (resident_bytes() - before) / static_cast<double>(streams);
}

} // namespace

int main(int argc, char** argv)
{
    const std::string_view contestant = argc == 4 ? argv[1] : "";
    if (contestant != "escqrs" && contestant != "by_hand") {
        std::cerr << "memory escqrs|by_hand STREAMS EVENTS\n";
        return 2;
    }
    const std::uint64_t streams = std::strtoull(argv[2], nullptr, 10);
    const std::uint64_t events = std::strtoull(argv[3], nullptr, 10);
    escqrs::in_memory::EventStore store;
    MemoryByHand by_hand;
    std::cout << (contestant == "escqrs"
                      ? megabytes_for_each_million(streams, events, [&](auto stream) { append_to(store, stream); })
                      : megabytes_for_each_million(streams, events, [&](auto stream) { by_hand.append(stream); }))
              << '\n';
    return 0;
}
