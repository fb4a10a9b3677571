// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <stdexcept>
#include <string>

namespace conference {

/// The command line or the environment does not make sense. The text names the setting, what was expected and found.
class SettingsError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// `scheme:rest`, as in `sqlite:conference-data/events.db`. A message broker has the scheme `broker` and, as its rest,
/// the whole connection string, which may hold a secret; so does a PostgreSQL database, with the scheme `postgres`.
struct Location {
    std::string scheme;
    std::string rest;
};

/// Where a server listens.
struct ListenAddress {
    std::string address;
    std::uint16_t port = 0; ///< 0: any free one

    friend bool operator==(const ListenAddress&, const ListenAddress&) = default;
};

enum class Role : std::uint8_t { web, worker, all };

/// What the program was asked to do. Each value comes from a flag, else from the environment, else from its default.
struct Settings {
    Role role = Role::all;
    ListenAddress listen; ///< of the page
    /// The proxy appends its client's address to X-Forwarded-For.
    bool is_behind_proxy = false;
    /// Address of the worker's health and metrics; none: they are not served.
    std::optional<ListenAddress> worker_listen;
    Location store;
    Location queue;
    /// The queue at a broker, if the connection string names none.
    std::string queue_name;
    bool queue_has_sessions = true; ///< at Service Bus
    /// How Service Bus identifies us, if the connection string has no key; empty: it has one.
    std::string azure_identity;
    /// Address of Service Bus's REST API; empty: that of its host.
    std::string queue_management;
    /// PEM file of the authorities trusted for the broker; empty: the system's.
    std::string queue_certificates;
    Location read_model;
    /// `dir:PATH` or `smtp://…`, as the mailer takes it.
    std::string mail;
    /// How people reach the page, without a slash at the end.
    std::string public_url;
    std::string organiser_token;
    bool is_token_generated = false; ///< it is still unknown, so it must be shown
    /// The worker builds the read model anew from the store before it begins.
    bool rebuild = false;
    /// An acknowledged command survives a power failure, not only the end of the process.
    bool durable = true;
};

/// Reads the settings; nothing if help was asked for, which is then written to `out`.
/// @throws SettingsError
std::optional<Settings> read_settings(int argc, const char* const* argv, std::ostream& out);

/// Writes the settings for people to read, without secrets.
void print(const Settings& settings, std::ostream& out);

} // namespace conference
