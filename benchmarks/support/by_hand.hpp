// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "attendee.hpp"

#include <cstddef>
#include <cstring>
#include <span>
#include <stdexcept>
#include <vector>

// The events' bytes written and read by hand, each with what a careful program checks: the least that the work costs.
namespace benchmarks::by_hand {

inline std::byte* write(const std::string& text, std::byte* to)
{
    *to++ = static_cast<std::byte>(text.size());
    std::memcpy(to, text.data(), text.size());
    return to + text.size();
}

inline std::size_t size_of(const std::string& text)
{
    if (text.size() > 127) throw std::length_error{"text"};
    return 1 + text.size();
}

inline void encode(const Registered& event, std::vector<std::byte>& out)
{
    const std::size_t begin = out.size();
    out.resize(begin + 16 + size_of(event.name) + size_of(event.email));
    std::byte* const to = out.data() + begin;
    std::memcpy(to, event.conference.data, 16);
    write(event.email, write(event.name, to + 16));
}

inline void encode(const EmailChanged& event, std::vector<std::byte>& out)
{
    const std::size_t begin = out.size();
    out.resize(begin + size_of(event.email) + 8);
    std::memcpy(write(event.email, out.data() + begin), &event.code, 8);
}

class Reader {
public:
    explicit Reader(std::span<const std::byte> bytes) : bytes_{bytes} {}

    void read(void* to, std::size_t size)
    {
        if (bytes_.size() < size) throw std::out_of_range{"bytes"};
        std::memcpy(to, bytes_.data(), size);
        bytes_ = bytes_.subspan(size);
    }
    void read(std::string& text)
    {
        std::uint8_t size = 0;
        read(&size, 1);
        if (bytes_.size() < size) throw std::out_of_range{"text"};
        text.assign(reinterpret_cast<const char*>(bytes_.data()), size); // NOLINT: char aliases
        bytes_ = bytes_.subspan(size);
    }

private:
    std::span<const std::byte> bytes_;
};

inline void decode(Reader reader, Registered& event)
{
    reader.read(event.conference.data, 16);
    reader.read(event.name);
    reader.read(event.email);
}
inline void decode(Reader reader, EmailChanged& event)
{
    reader.read(event.email);
    reader.read(&event.code, 8);
}
inline void decode(Reader reader, EmailConfirmed& event) { reader.read(&event.code, 8); }
inline void decode(Reader reader, Unregistered& event) { reader.read(&event.reason, 4); }

} // namespace benchmarks::by_hand
