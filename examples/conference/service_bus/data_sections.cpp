// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "data_sections.hpp"

#include <cstddef>
#include <optional>

namespace service_bus {
namespace {

constexpr unsigned char data_section = 0x75;
constexpr std::string_view data_section_symbol = "amqp:data:binary";
constexpr unsigned char small_ulong = 0x53;
constexpr unsigned char ulong = 0x80;
constexpr unsigned char small_binary = 0xA0;
constexpr unsigned char large_binary = 0xB0;

unsigned char byte_at(std::string_view bytes, std::size_t at) { return static_cast<unsigned char>(bytes[at]); }

/// A value that begins with its constructor. The upper half of the constructor says how many bytes follow, or how many tell
/// how many follow (AMQP 1.0, 1.2).
struct Value {
    unsigned char constructor = 0;
    std::string_view content; ///< without constructor and size
    std::size_t end = 0;      ///< of it, in the bytes
};

std::optional<Value> value_at(std::string_view bytes, std::size_t at)
{
    if (at >= bytes.size()) return std::nullopt;
    const unsigned char constructor = byte_at(bytes, at++);
    std::size_t width = 0;
    std::size_t size = 0;
    switch (constructor >> 4U) {
    case 0x4: break;
    case 0x5: size = 1; break;
    case 0x6: size = 2; break;
    case 0x7: size = 4; break;
    case 0x8: size = 8; break;
    case 0x9: size = 16; break;
    case 0xA:
    case 0xC:
    case 0xE: width = 1; break;
    case 0xB:
    case 0xD:
    case 0xF: width = 4; break;
    default: return std::nullopt;
    }
    if (bytes.size() - at < width) return std::nullopt;
    for (std::size_t byte = 0; byte < width; ++byte) size = size << 8U | byte_at(bytes, at++);
    if (bytes.size() - at < size) return std::nullopt;
    return Value{constructor, bytes.substr(at, size), at + size};
}

bool names_data(const Value& descriptor)
{
    const std::string_view content = descriptor.content;
    if (descriptor.constructor == small_ulong) return byte_at(content, 0) == data_section;
    if (descriptor.constructor == ulong)
        return content.substr(0, 7) == std::string_view{"\0\0\0\0\0\0\0", 7} && byte_at(content, 7) == data_section;
    return content == data_section_symbol;
}

} // namespace

std::vector<std::string_view> data_sections(std::string_view bytes)
{
    std::vector<std::string_view> found;
    std::size_t at = 0;
    while (at < bytes.size() && bytes[at] == '\0') { // the constructor of a described value: descriptor, then value
        const auto descriptor = value_at(bytes, at + 1);
        const auto value = descriptor ? value_at(bytes, descriptor->end) : std::nullopt;
        if (!value) break;
        const bool is_binary = value->constructor == small_binary || value->constructor == large_binary;
        if (is_binary && names_data(*descriptor)) found.push_back(value->content);
        at = value->end;
    }
    return found;
}

} // namespace service_bus
