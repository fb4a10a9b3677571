// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "entra_tokens.hpp"

#include "client_assertion.hpp"
#include "encoding.hpp"
#include "http_request.hpp"
#include "shown_text.hpp"
#include "token_cache.hpp"

#include <escqrs/core/error.hpp>

#include <boost/property_tree/json_parser.hpp>
#include <boost/property_tree/ptree.hpp>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <utility>

namespace service_bus {
namespace {

using Tree = boost::property_tree::ptree;

constexpr std::string_view resource = "https://servicebus.azure.net";
constexpr const char* assertion_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
constexpr std::size_t longest_file = std::size_t{1} << 20U;

constexpr std::array<std::pair<std::string_view, EntraIdentity>, 4> identities{{
    {"managed", EntraIdentity::managed},
    {"workload", EntraIdentity::workload},
    {"secret", EntraIdentity::secret},
    {"certificate", EntraIdentity::certificate},
}};

void take_variable(const char* name, std::string& setting)
{
    const char* const value = std::getenv(name); // NOLINT(concurrency-mt-unsafe): nothing sets variables
    if (value != nullptr && *value != '\0') setting = value;
}

void require(const std::string& setting, const char* variable, EntraIdentity identity)
{
    if (setting.empty())
        throw escqrs::TransportError{std::string{"Azure identity '"} + std::string{to_text(identity)} + "': expected " +
                                     variable + " in the environment, found none"};
}

std::string read_file(const std::string& path, const char* variable)
{
    std::ifstream file{path, std::ios::binary};
    std::string content;
    for (std::array<char, 4096> page{}; file && content.size() <= longest_file;) {
        file.read(page.data(), page.size());
        content.append(page.data(), static_cast<std::size_t>(file.gcount()));
    }
    if (!file.eof() || content.empty() || content.size() > longest_file)
        throw TokenError{std::string{variable} + ": cannot read '" + path + "'"};
    return content;
}

/// Without the line's end that editors leave.
std::string trimmed(std::string text)
{
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.pop_back();
    return text;
}

/// The members of an answer. One of deep nesting, which the parser would follow, is none of ours.
Tree parse_answer(const std::string& body)
{
    constexpr int deepest = 32;
    const auto opens = std::ranges::count_if(body, [](char c) { return c == '{' || c == '['; });
    Tree answer;
    if (opens > deepest) return answer;
    std::istringstream text{body};
    try {
        boost::property_tree::read_json(text, answer);
    } catch (const boost::property_tree::json_parser_error&) { // what a proxy says, perhaps
    }
    return answer;
}

/// 404 and 410 are what a virtual machine's metadata service answers while it is updated.
bool may_pass(long status) { return status == 404 || status == 408 || status == 410 || status == 429 || status >= 500; }

/// The moment that the answer names as the token's end: the earlier one, for a server may keep a token, and name the
/// life it had at first. A moment in the past may result from a clock that is wrong. Seconds come as numbers or texts.
escqrs::Timestamp expiry_in(const Tree& answer, escqrs::Timestamp now)
{
    constexpr std::int64_t longest = 86'400 * 366;
    std::optional<escqrs::Timestamp> by_life;
    if (const auto seconds = answer.get_optional<std::int64_t>("expires_in"))
        by_life = now + std::chrono::seconds{std::clamp<std::int64_t>(*seconds, 0, longest)};
    if (const auto moment = answer.get_optional<std::int64_t>("expires_on")) {
        constexpr std::int64_t last_second = 253'402'300'799; // of the year 9999
        const escqrs::Timestamp by_clock{std::chrono::seconds{std::clamp<std::int64_t>(*moment, 0, last_second)}};
        if (!by_life) return by_clock;
        if (by_clock > now) return std::min(*by_life, by_clock);
    }
    if (by_life) return *by_life;
    throw TokenError{"the answer does not say when the token ends"};
}

/// Asks for a token. @param secret  what must not be shown, should the server repeat it
AccessToken fetch(const HttpRequest& request, const EntraSettings& settings, const std::string& secret,
                  const std::stop_token& stop, const escqrs::Clock& clock)
{
    const escqrs::Timestamp asked_at = clock.now();
    const HttpResponse response = send_http(request, settings.timeout, stop);
    const Tree answer = parse_answer(response.body);
    const std::string where = request.url.substr(0, request.url.find('?'));
    if (response.status != 200) {
        std::string reason = answer.get("error", std::string{});
        if (const auto description = answer.get_optional<std::string>("error_description"))
            reason += (reason.empty() ? "" : ": ") + *description;
        else if (const auto message = answer.get_optional<std::string>("message")) reason += *message; // App Service
        throw TokenError{where + " answers " + std::to_string(response.status) + (reason.empty() ? "" : ": ") +
                             shown(reason, {&secret, 1}),
                         response.retry_after, !may_pass(response.status)};
    }
    AccessToken token{answer.get("access_token", std::string{}), TokenType::jwt, {}, {}};
    if (token.text.empty()) throw TokenError{where + " answers 200, and no access_token"};
    token.expires_at = expiry_in(answer, asked_at);
    return token;
}

std::string form(std::initializer_list<std::pair<std::string_view, std::string_view>> fields)
{
    std::string text;
    for (const auto& [name, value] : fields) {
        if (!text.empty()) text += '&';
        text.append(name).append("=").append(percent_encoded(value));
    }
    return text;
}

std::string token_endpoint(const EntraSettings& settings)
{
    std::string host = settings.authority_host;
    while (host.ends_with('/')) host.pop_back();
    return host + "/" + percent_encoded(settings.tenant_id) + "/oauth2/v2.0/token";
}

HttpRequest token_request(const EntraSettings& settings, const std::string& proof)
{
    const std::string scope = std::string{resource} + "/.default";
    HttpRequest request{
        "POST",
        token_endpoint(settings),
        {"Content-Type: application/x-www-form-urlencoded", "Accept: application/json"},
        form({{"client_id", settings.client_id}, {"grant_type", "client_credentials"}, {"scope", scope}}) + "&" +
            proof};
    return request;
}

std::string proof_by_assertion(const std::string& assertion)
{
    return form({{"client_assertion_type", assertion_type}, {"client_assertion", assertion}});
}

bool has_endpoint(const EntraSettings& settings)
{
    return !settings.identity_endpoint.empty() && !settings.identity_header.empty();
}

/// https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference, and, without an
/// endpoint in the environment,
/// https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
HttpRequest managed_identity_request(const EntraSettings& settings)
{
    const bool has_endpoint = service_bus::has_endpoint(settings);
    HttpRequest request;
    request.plain_http = has_endpoint ? PlainHttp::private_network_too : PlainHttp::link_local_too;
    std::string metadata = settings.metadata_host;
    while (metadata.ends_with('/')) metadata.pop_back();
    request.url = has_endpoint ? settings.identity_endpoint : metadata + "/metadata/identity/oauth2/token";
    request.url += request.url.find('?') == std::string::npos ? "?" : "&";
    request.url += form({{"api-version", has_endpoint ? "2019-08-01" : "2018-02-01"}, {"resource", resource}});
    if (!settings.client_id.empty()) request.url += "&" + form({{"client_id", settings.client_id}});
    request.headers = {has_endpoint ? "X-IDENTITY-HEADER: " + settings.identity_header : "Metadata: true",
                       "Accept: application/json"};
    return request;
}

TokenSource make_source(EntraIdentity identity, EntraSettings settings, const escqrs::Clock& clock)
{
    switch (identity) {
    case EntraIdentity::managed:
        return [settings = std::move(settings), &clock](const TokenRequest& request) {
            return fetch(managed_identity_request(settings), settings, settings.identity_header, request.stop, clock);
        };
    case EntraIdentity::workload:
        return [settings = std::move(settings), &clock](const TokenRequest& request) {
            const std::string assertion =
                trimmed(read_file(settings.federated_token_file, "AZURE_FEDERATED_TOKEN_FILE"));
            return fetch(token_request(settings, proof_by_assertion(assertion)), settings, assertion, request.stop,
                         clock);
        };
    case EntraIdentity::secret:
        return [settings = std::move(settings), &clock](const TokenRequest& request) {
            return fetch(token_request(settings, form({{"client_secret", settings.client_secret}})), settings,
                         settings.client_secret, request.stop, clock);
        };
    case EntraIdentity::certificate:
        return [settings = std::move(settings), &clock](const TokenRequest& request) {
            const ClientCertificate certificate{read_file(settings.certificate_path, "AZURE_CLIENT_CERTIFICATE_PATH"),
                                                settings.certificate_password};
            const std::string assertion =
                make_client_assertion(certificate, settings.client_id, token_endpoint(settings), clock.now());
            return fetch(token_request(settings, proof_by_assertion(assertion)), settings, assertion, request.stop,
                         clock);
        };
    }
    throw escqrs::TransportError{"no such Azure identity"};
}

} // namespace

EntraSettings entra_settings_from_environment()
{
    EntraSettings settings;
    take_variable("AZURE_TENANT_ID", settings.tenant_id);
    take_variable("AZURE_CLIENT_ID", settings.client_id);
    take_variable("AZURE_CLIENT_SECRET", settings.client_secret);
    take_variable("AZURE_CLIENT_CERTIFICATE_PATH", settings.certificate_path);
    take_variable("AZURE_CLIENT_CERTIFICATE_PASSWORD", settings.certificate_password);
    take_variable("AZURE_FEDERATED_TOKEN_FILE", settings.federated_token_file);
    take_variable("AZURE_AUTHORITY_HOST", settings.authority_host);
    take_variable("AZURE_POD_IDENTITY_AUTHORITY_HOST", settings.metadata_host);
    take_variable("IDENTITY_ENDPOINT", settings.identity_endpoint);
    take_variable("IDENTITY_HEADER", settings.identity_header);
    return settings;
}

EntraIdentity parse_entra_identity(std::string_view name, const EntraSettings& settings)
{
    if (name == "default") {
        const bool is_application = !settings.tenant_id.empty() && !settings.client_id.empty();
        if (is_application && !settings.client_secret.empty()) return EntraIdentity::secret;
        if (is_application && !settings.certificate_path.empty()) return EntraIdentity::certificate;
        if (is_application && !settings.federated_token_file.empty()) return EntraIdentity::workload;
        return EntraIdentity::managed;
    }
    for (const auto& [known, identity] : identities) {
        if (known == name) return identity;
    }
    throw escqrs::TransportError{"expected default, managed, workload, secret or certificate, found '" +
                                 std::string{name} + "'"};
}

std::string_view to_text(EntraIdentity identity) noexcept
{
    return std::ranges::find(identities, identity, &std::pair<std::string_view, EntraIdentity>::second)->first;
}

TokenSource make_entra_token_source(EntraIdentity identity, EntraSettings settings, escqrs::Clock& clock,
                                    escqrs::Jitter jitter)
{
    if (identity != EntraIdentity::managed) {
        require(settings.tenant_id, "AZURE_TENANT_ID", identity);
        require(settings.client_id, "AZURE_CLIENT_ID", identity);
        require_private(settings.authority_host, "AZURE_AUTHORITY_HOST");
    } else if (has_endpoint(settings)) {
        require_private(settings.identity_endpoint, "IDENTITY_ENDPOINT", PlainHttp::private_network_too);
    } else {
        require_private(settings.metadata_host, "AZURE_POD_IDENTITY_AUTHORITY_HOST", PlainHttp::link_local_too);
    }
    if (identity == EntraIdentity::workload)
        require(settings.federated_token_file, "AZURE_FEDERATED_TOKEN_FILE", identity);
    if (identity == EntraIdentity::secret) require(settings.client_secret, "AZURE_CLIENT_SECRET", identity);
    if (identity == EntraIdentity::certificate)
        require(settings.certificate_path, "AZURE_CLIENT_CERTIFICATE_PATH", identity);
    return cached(make_source(identity, std::move(settings), clock), clock, std::move(jitter));
}

} // namespace service_bus
