// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "transport.hpp"

#include <string>

namespace conference {

/// Puts each mail into a folder as `<event id>.eml`: whole or not at all, and once, however often it is delivered.
class MailFolder final : public MailTransport {
public:
    /// Creates the folder if there is none.
    /// @throws MailError
    explicit MailFolder(std::string path);

    void deliver(const Mail& mail, const std::stop_token& stop) override;
    escqrs::Duration time_limit() const noexcept override { return std::chrono::seconds{3}; }

private:
    std::string path_;
};

} // namespace conference
