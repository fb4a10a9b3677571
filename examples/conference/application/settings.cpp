// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "settings.hpp"

#include "../postgres/address.hpp"

#include <escqrs/core/id_generator.hpp>

#include <boost/program_options.hpp>

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cctype>
#include <charconv>
#include <initializer_list>
#include <ostream>
#include <string_view>
#include <vector>

namespace conference {
namespace {

namespace po = boost::program_options;

constexpr std::string_view environment_prefix = "CONFERENCE_";

constexpr std::string_view usage = R"(Conference registration: a worked example of CQRS and event sourcing with escqrs.

  conference web     serves the page and the API, stores events, and relays them to the queue
  conference worker  takes events off the queue, keeps the read model, hands out the mails
  conference all     both roles in one process

Every option can also be given as an environment variable: --read-model is CONFERENCE_READ_MODEL.

)";

po::options_description options()
{
    po::options_description description{"Options"};
    // clang-format off
    description.add_options()
        ("help,h", "show this text")
        ("listen", po::value<std::string>()->default_value("127.0.0.1:8080"), "address and port of the page; port 0 takes a free one")
        ("behind-proxy", po::value<std::string>()->default_value("no"), "whether a proxy stands before the page that appends its client's address to X-Forwarded-For: yes or no")
        ("worker-listen", po::value<std::string>(), "address and port of the worker's health and metrics; port 0 takes a free one; none: they are not served (default: 127.0.0.1:0 for role worker; none for role all, where the page's address has them)")
        ("store", po::value<std::string>()->default_value("sqlite:conference-data/events.db"), "events: sqlite:PATH, postgres://[user[:password]@]host[:port]/database, or memory: (lost at exit, role all only)")
        ("queue", po::value<std::string>()->default_value("sqlite:conference-data/queue.db"), "from web to worker: sqlite:PATH, memory: (lost at exit, role all only), sb://NAMESPACE.servicebus.windows.net[/QUEUE] with an Azure identity, a Service Bus connection string 'Endpoint=sb://...' with a key, or amqp[s]://[user:password@]host[:port]/queue")
        ("azure-identity", po::value<std::string>(), "who asks Microsoft Entra ID for tokens, for --queue sb://...: managed, workload, secret or certificate, each as Azure's tools read it from AZURE_TENANT_ID, AZURE_CLIENT_ID and so on; or default (the default), the one that these variables tell")
        ("queue-name", po::value<std::string>()->default_value("conference-events"), "the queue at the broker, unless --queue names it")
        ("queue-sessions", po::value<std::string>()->default_value("yes"), "whether the Service Bus queue requires sessions: yes or no")
        ("queue-management", po::value<std::string>()->default_value(""), "address of the Service Bus REST API (default: https:// and the host of --queue)")
        ("queue-certificates", po::value<std::string>()->default_value(""), "PEM file of the authorities trusted for the broker (default: the system's)")
        ("read-model", po::value<std::string>()->default_value("sqlite:conference-data/read-model.db"), "what queries see: sqlite:PATH or postgres://... as above")
        ("rebuild", po::bool_switch(), "worker and all: build the read model anew from --store first, and send no mail for it; then work as usual")
        ("mail", po::value<std::string>()->default_value("dir:conference-data/mail"), "where mails go: dir:PATH, or smtp://[user:password@]host[:port]")
        ("public-url", po::value<std::string>(), "how people reach the page, for links in mails: http[s]://HOST (default: http:// and --listen, if role all listens where a browser can go)")
        ("organiser-token", po::value<std::string>(), "bearer token of the organiser's routes (default: a new one at each start)")
        ("durability", po::value<std::string>()->default_value("full"), "of the SQLite files: full (survives power loss) or normal (survives a crash of the program)");
    // clang-format on
    return description;
}

/// CONFERENCE_READ_MODEL -> read-model; variables that are not ours -> "".
std::string option_of_variable(const std::string& variable, const po::options_description& known)
{
    if (!variable.starts_with(environment_prefix)) return {};
    std::string name = variable.substr(environment_prefix.size());
    std::ranges::transform(name, name.begin(),
                           [](unsigned char c) { return c == '_' ? '-' : static_cast<char>(std::tolower(c)); });
    // Others may set variables of that prefix too, such as an orchestrator for a service of that name.
    if (name == "help" || known.find_nothrow(name, false) == nullptr) return {};
    return name;
}

/// What comes after a scheme.
const char* rest_of(std::string_view scheme)
{
    if (scheme == "memory") return ":";
    return scheme == "postgres" ? "://HOST/DATABASE" : ":PATH";
}

Location parse_postgres(const std::string& text, const char* option)
{
    try {
        (void)postgres::shown(text);
        return {"postgres", text};
    } catch (const postgres::AddressError& error) {
        throw SettingsError{std::string{"--"} + option + ": " + error.what()};
    }
}

Location parse_location(const po::variables_map& values, const char* option,
                        std::initializer_list<std::string_view> schemes)
{
    const auto& text = values[option].as<std::string>();
    if (std::ranges::find(schemes, "postgres") != schemes.end() && postgres::is_address(text)) {
        return parse_postgres(text, option);
    }
    const auto colon = text.find(':');
    Location location{text.substr(0, colon), colon == std::string::npos ? "" : text.substr(colon + 1)};
    const bool known = std::ranges::find(schemes, location.scheme) != schemes.end();
    const bool complete =
        location.scheme == "memory" ? location.rest.empty() : location.scheme != "postgres" && !location.rest.empty();
    if (colon == std::string::npos || !known || !complete) {
        std::string expected;
        for (const auto scheme : schemes) {
            expected.append(expected.empty() ? "" : " or ").append(scheme).append(rest_of(scheme));
        }
        // The scheme only: what follows it might hold a secret.
        throw SettingsError{std::string{"--"} + option + ": expected " + expected + ", found '" + location.scheme +
                            "'"};
    }
    return location;
}

/// A Service Bus queue by its address alone: an identity must come with it.
bool has_no_key(const std::string& text) { return text.starts_with("sb://"); }

/// A connection string is not `scheme:path`; what it says is the broker's business.
bool is_connection_string(const std::string& text)
{
    constexpr std::string_view endpoint = "endpoint=";
    const bool names_endpoint =
        text.size() > endpoint.size() && std::equal(endpoint.begin(), endpoint.end(), text.begin(), [](char a, char b) {
            return a == std::tolower(static_cast<unsigned char>(b));
        });
    return names_endpoint || has_no_key(text) || text.starts_with("amqp://") || text.starts_with("amqps://");
}

bool parse_yes_or_no(const po::variables_map& values, const char* option)
{
    const auto& text = values[option].as<std::string>();
    if (text != "yes" && text != "no")
        throw SettingsError{std::string{"--"} + option + ": expected yes or no, found '" + text + "'"};
    return text == "yes";
}

void parse_queue(const po::variables_map& values, Settings& settings)
{
    const auto& queue = values["queue"].as<std::string>();
    settings.queue =
        is_connection_string(queue) ? Location{"broker", queue} : parse_location(values, "queue", {"sqlite", "memory"});
    const bool is_given = values.contains("azure-identity");
    if (has_no_key(queue)) settings.azure_identity = is_given ? values["azure-identity"].as<std::string>() : "default";
    else if (is_given) throw SettingsError{"--azure-identity: expected --queue sb://HOST[/QUEUE] with it"};
    settings.queue_name = values["queue-name"].as<std::string>();
    settings.queue_has_sessions = parse_yes_or_no(values, "queue-sessions");
    settings.queue_management = values["queue-management"].as<std::string>();
    settings.queue_certificates = values["queue-certificates"].as<std::string>();
}

ListenAddress parse_listen(const std::string& option, const std::string& text)
{
    ListenAddress listen;
    const auto colon = text.rfind(':');
    const auto port = colon == std::string::npos ? std::string_view{} : std::string_view{text}.substr(colon + 1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), listen.port);
    if (port.empty() || error != std::errc{} || end != port.data() + port.size() || colon == 0) {
        throw SettingsError{"--" + option + ": expected ADDRESS:PORT such as 127.0.0.1:8080, found '" + text + "'"};
    }
    listen.address = text.substr(0, colon);
    if (listen.address.front() == '[' && listen.address.back() == ']') { // [::1]:8080
        listen.address = listen.address.substr(1, listen.address.size() - 2);
    }
    return listen;
}

/// Any number of workers may run on one host, so that no port is right for all of them.
std::optional<ListenAddress> parse_worker_listen(const po::variables_map& values, Role role)
{
    if (role == Role::web) return std::nullopt;
    const std::string text = values.contains("worker-listen") ? values["worker-listen"].as<std::string>()
                             : role == Role::worker           ? "127.0.0.1:0"
                                                              : "none";
    if (text == "none") return std::nullopt;
    return parse_listen("worker-listen", text);
}

Role parse_role(const std::string& text)
{
    if (text == "web") return Role::web;
    if (text == "worker") return Role::worker;
    if (text == "all") return Role::all;
    throw SettingsError{"expected web, worker or all, found '" + text + "'; see --help"};
}

/// Whether it stands for all addresses of the machine, in any spelling.
bool is_unspecified(const std::string& address)
{
    std::array<unsigned char, 16> bytes{};
    const bool is_address = ::inet_pton(AF_INET, address.c_str(), bytes.data()) == 1 ||
                            ::inet_pton(AF_INET6, address.c_str(), bytes.data()) == 1;
    const bool is_mapped = bytes[10] == 0xFF && bytes[11] == 0xFF; // ::ffff:0.0.0.0
    if (is_mapped) bytes[10] = bytes[11] = 0;
    return is_address && std::ranges::all_of(bytes, [](unsigned char byte) { return byte == 0; });
}

/// The links in mails begin with it. Only the web role can do without, for it sends no mails.
std::string parse_public_url(const po::variables_map& values, const Settings& settings)
{
    const std::string needed = "--public-url is needed for the links in mails, such as https://conference.example: ";
    std::string url;
    if (values.contains("public-url")) {
        url = values["public-url"].as<std::string>();
        const auto scheme = url.find("://");
        const auto host = scheme == std::string::npos ? url.size() : scheme + 3;
        if (!(url.starts_with("http://") || url.starts_with("https://")) || host == url.size() || url[host] == '/' ||
            url.find_first_of("?# ") != std::string::npos) {
            throw SettingsError{"--public-url: expected http://HOST or https://HOST, found '" + url + "'"};
        }
    } else if (settings.role == Role::worker) {
        throw SettingsError{needed + "a worker does not know where the page is"};
    } else {
        url = "http://" + values["listen"].as<std::string>();
        if (settings.role == Role::web) return url;
        if (settings.listen.port == 0) throw SettingsError{needed + "--listen has port 0, where no link can lead"};
        if (is_unspecified(settings.listen.address)) {
            throw SettingsError{needed + "--listen has " + settings.listen.address + ", where no link can lead"};
        }
    }
    while (url.ends_with('/')) url.pop_back();
    return url;
}

std::string without_password(const std::string& url)
{
    const auto at = url.rfind('@');
    const auto scheme_end = url.find("://");
    if (at == std::string::npos || scheme_end == std::string::npos) return url;
    return url.substr(0, scheme_end + 3) + "***" + url.substr(at);
}

/// Host and queue of a connection string; nothing of what follows them can be told without looking for secrets.
std::string without_secrets(const std::string& connection_string)
{
    if (connection_string.starts_with("amqp")) return without_password(connection_string);
    return connection_string.substr(0, connection_string.find(';'));
}

Settings interpret(const po::variables_map& values)
{
    Settings settings;
    settings.role = parse_role(values["role"].as<std::string>());
    settings.listen = parse_listen("listen", values["listen"].as<std::string>());
    settings.is_behind_proxy = parse_yes_or_no(values, "behind-proxy");
    settings.worker_listen = parse_worker_listen(values, settings.role);
    settings.store = parse_location(values, "store", {"sqlite", "postgres", "memory"});
    parse_queue(values, settings);
    settings.read_model = parse_location(values, "read-model", {"sqlite", "postgres"});
    settings.rebuild = values["rebuild"].as<bool>();
    if (settings.rebuild && settings.role == Role::web)
        throw SettingsError{"--rebuild: expected role worker or all, found web, which keeps no read model"};
    if (settings.rebuild && settings.store.scheme == "memory")
        throw SettingsError{"--rebuild: expected a --store that outlives the process, found memory:"};
    settings.mail = values["mail"].as<std::string>();
    if (!settings.mail.starts_with("dir:") && !settings.mail.starts_with("smtp://") &&
        !settings.mail.starts_with("smtps://")) {
        throw SettingsError{"--mail: expected dir:PATH, smtp://HOST or smtps://HOST, found '" +
                            settings.mail.substr(0, settings.mail.find(':')) + "'"};
    }
    for (const Location* location : {&settings.store, &settings.queue}) {
        if (location->scheme == "memory" && settings.role != Role::all) {
            throw SettingsError{"memory: cannot be shared by two processes; it serves 'conference all' only"};
        }
    }
    const auto& durability = values["durability"].as<std::string>();
    if (durability != "full" && durability != "normal") {
        throw SettingsError{"--durability: expected full or normal, found '" + durability + "'"};
    }
    settings.durable = durability == "full";
    settings.public_url = parse_public_url(values, settings);
    settings.is_token_generated = !values.contains("organiser-token");
    settings.organiser_token = values.contains("organiser-token") ? values["organiser-token"].as<std::string>()
                                                                  : escqrs::to_string(escqrs::random_uuid());
    if (settings.organiser_token.size() < 8) {
        throw SettingsError{"--organiser-token: expected at least 8 characters, found " +
                            std::to_string(settings.organiser_token.size())};
    }
    return settings;
}

} // namespace

std::optional<Settings> read_settings(int argc, const char* const* argv, std::ostream& out)
{
    const auto visible = options();
    po::options_description all;
    all.add(visible).add_options()("role", po::value<std::string>()->default_value("all"));
    po::positional_options_description positional;
    positional.add("role", 1);
    try {
        po::variables_map values;
        po::store(po::command_line_parser{argc, argv}.options(all).positional(positional).run(), values);
        if (values.contains("help") || argc < 2) {
            out << usage << visible;
            return std::nullopt;
        }
        po::store(
            po::parse_environment(visible, [&](const std::string& name) { return option_of_variable(name, visible); }),
            values);
        po::notify(values);
        return interpret(values);
    } catch (const po::error& error) {
        throw SettingsError{std::string{error.what()} + "; see --help"};
    }
}

void print(const Settings& settings, std::ostream& out)
{
    constexpr std::array roles{"web", "worker", "all"};
    const auto shown = [](const Location& location) {
        if (location.scheme == "postgres") return postgres::shown(location.rest);
        return location.scheme == "broker" ? without_secrets(location.rest) : location.scheme + ":" + location.rest;
    };
    out << "role         " << roles.at(static_cast<std::size_t>(settings.role)) << '\n'
        << "listen       " << settings.listen.address << ':' << settings.listen.port << '\n';
    if (const auto& worker = settings.worker_listen) {
        out << "worker       " << worker->address << ':' << worker->port << '\n';
    }
    out << "store        " << shown(settings.store) << '\n'
        << "queue        " << shown(settings.queue) << '\n'
        << "read model   " << shown(settings.read_model) << '\n'
        << "mail         " << without_password(settings.mail) << '\n';
    if (settings.role != Role::web) out << "public url   " << settings.public_url << '\n';
    out << "durability   " << (settings.durable ? "full" : "normal") << '\n';
}

} // namespace conference
