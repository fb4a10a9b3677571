// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <compare>
#include <cstddef>
#include <cstring>
#include <string_view>
#include <vector>

namespace escqrs::inline v0::archive::detail {

/// Appends to a vector through a pointer. The vector grows in steps, and `commit` and the destructor cut it to what was
/// written, so that one field costs a comparison and a copy.
class ByteSink {
public:
    explicit ByteSink(std::vector<std::byte>& out) noexcept
        : out_{&out}, start_{out.size()}, cursor_{out.data() + out.size()}, end_{cursor_}
    {
    }

    ~ByteSink() { commit(); }
    ByteSink(const ByteSink&) = delete;
    ByteSink& operator=(const ByteSink&) = delete;

    /// Makes room for `length` bytes and returns their place; `wrote` says how many were used.
    std::byte* room_for(std::size_t length)
    {
        if (static_cast<std::size_t>(end_ - cursor_) < length) [[unlikely]]
            grow(length);
        return cursor_;
    }

    void wrote(std::size_t length) noexcept { cursor_ += length; }

    void append(const void* from, std::size_t length)
    {
        std::byte* const to = room_for(length);
        if (length != 0) std::memcpy(to, from, length);
        cursor_ += length;
    }

    /// @param from  may point to bytes of the vector itself
    void append_again(const void* from, std::size_t length)
    {
        const auto* const bytes = static_cast<const std::byte*>(from);
        const std::compare_three_way compare; // orders all pointers, as `<` need not
        const bool is_inside = std::is_gteq(compare(bytes, data())) && std::is_lt(compare(bytes, data() + size()));
        const std::ptrdiff_t offset = is_inside ? bytes - data() : 0;
        room_for(length);
        append(is_inside ? data() + offset : bytes, length);
    }

    void append(std::string_view text) { append(text.data(), text.size()); }

    void append(char character)
    {
        *room_for(1) = static_cast<std::byte>(character);
        ++cursor_;
    }

    /// Bytes in the vector up to here, including those that were in it before.
    std::size_t size() const noexcept { return static_cast<std::size_t>(cursor_ - out_->data()); }

    const std::byte* data() const noexcept { return out_->data(); }

    void commit() noexcept
    {
        out_->resize(size());
        end_ = cursor_;
    }

private:
    [[gnu::noinline]] void grow(std::size_t length)
    {
        const std::size_t used = size();
        const std::size_t written = used - start_;
        std::size_t step = written < first_step ? first_step : written;
        if (step > last_step) step = last_step;
        if (step < length) step = length;
        out_->resize(used + step);
        cursor_ = out_->data() + used;
        end_ = cursor_ + step;
    }

    static constexpr std::size_t first_step = 128;
    static constexpr std::size_t last_step = 65536;

    std::vector<std::byte>* out_;
    std::size_t start_;
    std::byte* cursor_;
    std::byte* end_;
};

} // namespace escqrs::inline v0::archive::detail
