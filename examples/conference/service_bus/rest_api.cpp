// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "rest_api.hpp"

#include "sas_token.hpp"
#include "shown_text.hpp"

#include <escqrs/core/error.hpp>

#include <boost/property_tree/xml_parser.hpp>

#include <chrono>
#include <cstddef>
#include <sstream>
#include <string_view>
#include <utility>

namespace service_bus {
namespace {

using Tree = boost::property_tree::ptree;

constexpr const char* api_version = "2021-05";
constexpr std::chrono::seconds answer_timeout{15};
constexpr std::chrono::minutes token_lifetime{5};
constexpr const char* atom_schema = "http://www.w3.org/2005/Atom";
constexpr const char* service_bus_schema = "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect";

std::string to_entry(const char* kind, Tree description)
{
    description.put("<xmlattr>.xmlns", service_bus_schema);
    Tree document;
    document.put("entry.<xmlattr>.xmlns", atom_schema);
    document.put("entry.content.<xmlattr>.type", "application/xml");
    document.put_child(std::string{"entry.content."} + kind, description);
    std::ostringstream text;
    boost::property_tree::write_xml(text, document);
    return text.str();
}

/// Whether the parser, which follows the nesting, might need much stack. Counts too much rather than too little.
bool is_too_deep(std::string_view xml)
{
    constexpr int deepest = 100;
    int depth = 0;
    for (std::size_t at = 0; at + 1 < xml.size(); ++at) {
        if (xml[at] == '<') depth += xml[at + 1] == '/' ? -1 : 1;
        else if (xml[at] == '/' && xml[at + 1] == '>') --depth;
        if (depth > deepest) return true;
    }
    return false;
}

/// The first element of that name, whatever its namespace's prefix, anywhere below.
const Tree* find_element(const Tree& tree, std::string_view name)
{
    for (const auto& [key, child] : tree) {
        const std::string_view full{key};
        const auto colon = full.find(':');
        if (full == name || (colon != std::string_view::npos && full.substr(colon + 1) == name)) return &child;
        if (const Tree* const found = find_element(child, name)) return found;
    }
    return nullptr;
}

std::uint64_t number_of(const Tree& document, const char* name)
{
    const Tree* const element = find_element(document, name);
    return element != nullptr ? element->get_value<std::uint64_t>(0) : 0;
}

} // namespace

std::string to_iso8601(escqrs::Duration duration)
{
    return "PT" + std::to_string(std::chrono::ceil<std::chrono::seconds>(duration).count()) + "S";
}

RestApi::RestApi(const Broker& broker, std::string endpoint, std::string certificate_authorities,
                 const escqrs::Clock& clock, TokenSource tokens)
    : host_{broker.host}, endpoint_{endpoint.empty() ? "https://" + broker.host : std::move(endpoint)},
      certificate_authorities_{std::move(certificate_authorities)},
      tokens_{tokens ? std::move(tokens) : make_sas_token_source(broker, token_lifetime, clock)}
{
    require_private(endpoint_, "address of the Service Bus REST API");
    while (endpoint_.ends_with('/')) endpoint_.pop_back();
}

EntityCreation RestApi::create_if_missing(const std::string& path, const char* kind, const Tree& description) const
{
    const HttpResponse answer = request("PUT", path, to_entry(kind, description));
    if (answer.status == 201 || answer.status == 200) return EntityCreation::created;
    if (answer.status == 409) return EntityCreation::existed;
    if (answer.status == 401 || answer.status == 403) return EntityCreation::not_allowed;
    throw escqrs::TransportError{"creating '" + path + "' at " + endpoint_ + ": expected 201 or 409, found " +
                                 std::to_string(answer.status) + ": " + answer.body};
}

bool RestApi::remove(const std::string& path) const
{
    const HttpResponse answer = request("DELETE", path, {});
    if (answer.status == 404) return false;
    if (answer.status != 200)
        throw escqrs::TransportError{"deleting '" + path + "' at " + endpoint_ + ": expected 200 or 404, found " +
                                     std::to_string(answer.status) + ": " + answer.body};
    return true;
}

escqrs::MessageQueueCounts RestApi::counts(const std::string& path, const std::stop_token& stop) const
{
    const HttpResponse answer = request("GET", path, {}, stop);
    if (answer.status != 200)
        throw escqrs::TransportError{"asking for '" + path + "' at " + endpoint_ + ": expected 200, found " +
                                     std::to_string(answer.status)};
    Tree document;
    std::istringstream text{answer.body};
    if (is_too_deep(answer.body)) throw escqrs::TransportError{"the answer of " + endpoint_ + " is nested too deeply"};
    try {
        boost::property_tree::read_xml(text, document);
    } catch (const boost::property_tree::xml_parser_error& error) {
        throw escqrs::TransportError{"the answer of " + endpoint_ + " is no XML: " + error.what()};
    }
    const Tree* const details = find_element(document, "CountDetails");
    if (details == nullptr) // so it answers for what is not there
        throw escqrs::TransportError{"there is no queue or subscription '" + path + "' at " + endpoint_};
    escqrs::MessageQueueCounts counts;
    counts.active = number_of(*details, "ActiveMessageCount");
    counts.scheduled = number_of(*details, "ScheduledMessageCount");
    counts.dead_lettered = number_of(*details, "DeadLetterMessageCount");
    return counts;
}

HttpResponse RestApi::request(const char* method, const std::string& path, const std::string& body,
                              const std::stop_token& stop) const
{
    const AccessToken token = tokens_({"https://" + host_ + "/" + path, {}, stop});
    const char* const scheme = token.type == TokenType::jwt ? "Bearer " : ""; // a signature names its own
    HttpResponse answer = send_http({method,
                                     endpoint_ + "/" + path + "?api-version=" + api_version,
                                     {"Authorization: " + std::string{scheme} + token.text,
                                      "Content-Type: application/atom+xml;type=entry;charset=utf-8"},
                                     body,
                                     certificate_authorities_},
                                    answer_timeout, stop);
    if (answer.status != 200) answer.body = shown(answer.body, secrets_of(token)); // it is for people
    return answer;
}

} // namespace service_bus
