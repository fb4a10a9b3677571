// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "transport.hpp"

#include <chrono>
#include <string>

namespace mail {

/// Puts each mail into a folder as `<id>.eml`: whole or not at all, and once, however often it is delivered.
class Folder final : public Transport {
public:
    /// Creates the folder if there is none.
    /// @throws Error
    explicit Folder(std::string path);

    void deliver(const Message& mail, const std::stop_token& stop) override;
    std::chrono::seconds time_limit() const noexcept override { return std::chrono::seconds{3}; }

private:
    std::string path_;
};

} // namespace mail
