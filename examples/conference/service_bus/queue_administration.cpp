// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "queue_administration.hpp"

#include "sas_token.hpp"

#include <escqrs/error.hpp>

#include <boost/property_tree/ptree.hpp>
#include <boost/property_tree/xml_parser.hpp>

#include <curl/curl.h>

#include <charconv>
#include <memory>
#include <sstream>
#include <string_view>
#include <utility>
#include <variant>

namespace service_bus {
namespace {

using Tree = boost::property_tree::ptree;

constexpr const char* api_version = "2021-05";
constexpr long timeout_seconds = 15;
constexpr std::chrono::minutes token_lifetime{5};
constexpr const char* atom = "http://www.w3.org/2005/Atom";
constexpr const char* service_bus_schema = "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect";

struct CurlDeleter {
    void operator()(CURL* handle) const noexcept { curl_easy_cleanup(handle); }
};
struct HeadersDeleter {
    void operator()(curl_slist* headers) const noexcept { curl_slist_free_all(headers); }
};

std::size_t append(char* bytes, std::size_t size, std::size_t count, void* body)
{
    static_cast<std::string*>(body)->append(bytes, size * count);
    return size * count;
}

std::string to_xml(const QueueDescription& description)
{
    const auto& options = description.options;
    const bool detects_duplicates = options.duplicate_detection_window > escqrs::Duration::zero();
    Tree queue;
    queue.put("<xmlattr>.xmlns", service_bus_schema);
    queue.put("LockDuration", to_iso8601(options.lock_duration)); // the API wants this order
    queue.put("RequiresDuplicateDetection", detects_duplicates ? "true" : "false");
    queue.put("RequiresSession", description.requires_session ? "true" : "false");
    if (detects_duplicates)
        queue.put("DuplicateDetectionHistoryTimeWindow", to_iso8601(options.duplicate_detection_window));
    queue.put("MaxDeliveryCount", options.max_delivery_count);
    Tree document;
    document.put("entry.<xmlattr>.xmlns", atom);
    document.put("entry.content.<xmlattr>.type", "application/xml");
    document.put_child("entry.content.QueueDescription", queue);
    std::ostringstream text;
    boost::property_tree::write_xml(text, document);
    return text.str();
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

QueueAdministration::QueueAdministration(Broker broker, std::string endpoint, std::string certificate_authorities,
                                         const escqrs::Clock& clock)
    : broker_{std::move(broker)}, endpoint_{endpoint.empty() ? "https://" + broker_.host : std::move(endpoint)},
      certificate_authorities_{std::move(certificate_authorities)}, clock_{&clock}
{
    if (!std::holds_alternative<SharedAccessKey>(broker_.credentials))
        throw escqrs::TransportError{"managing queues needs a shared access key"};
    while (endpoint_.ends_with('/')) endpoint_.pop_back();
}

QueueCreation QueueAdministration::create_if_missing(const QueueDescription& description)
{
    const Answer answer = request("PUT", to_xml(description));
    if (answer.status == 201 || answer.status == 200) return QueueCreation::created;
    if (answer.status == 409) return QueueCreation::existed;
    if (answer.status == 401 || answer.status == 403) return QueueCreation::not_allowed;
    throw escqrs::TransportError{"creating queue '" + broker_.entity + "' at " + endpoint_ +
                                 ": expected 201 or 409, found " + std::to_string(answer.status) + ": " +
                                 answer.body.substr(0, 300)};
}

escqrs::MessageQueueCounts QueueAdministration::counts()
{
    const Answer answer = request("GET", {});
    if (answer.status != 200)
        throw escqrs::TransportError{"asking for queue '" + broker_.entity + "' at " + endpoint_ +
                                     ": expected 200, found " + std::to_string(answer.status)};
    Tree document;
    std::istringstream text{answer.body};
    try {
        boost::property_tree::read_xml(text, document);
    } catch (const boost::property_tree::xml_parser_error& error) {
        throw escqrs::TransportError{"the answer of " + endpoint_ + " is no XML: " + error.what()};
    }
    const Tree* const details = find_element(document, "CountDetails");
    if (details == nullptr) // so it answers for what is not there
        throw escqrs::TransportError{"there is no queue '" + broker_.entity + "' at " + endpoint_};
    escqrs::MessageQueueCounts counts;
    counts.active = number_of(*details, "ActiveMessageCount");
    counts.scheduled = number_of(*details, "ScheduledMessageCount");
    counts.dead_lettered = number_of(*details, "DeadLetterMessageCount");
    return counts;
}

QueueAdministration::Answer QueueAdministration::request(const char* method, const std::string& body)
{
    const std::unique_ptr<CURL, CurlDeleter> handle{curl_easy_init()};
    if (!handle) throw escqrs::TransportError{"cannot set up an HTTP request"};
    const std::string url = endpoint_ + "/" + broker_.entity + "?api-version=" + api_version;
    const auto token = make_sas_token("https://" + broker_.host + "/" + broker_.entity,
                                      std::get<SharedAccessKey>(broker_.credentials), clock_->now(), token_lifetime);
    const std::string authorization = "Authorization: " + token.text;
    std::unique_ptr<curl_slist, HeadersDeleter> headers{curl_slist_append(nullptr, authorization.c_str())};
    for (const char* const header : {"Content-Type: application/atom+xml;type=entry;charset=utf-8", "Expect:"}) {
        curl_slist* const longer = curl_slist_append(headers.get(), header);
        (void)headers.release();
        headers.reset(longer);
    }
    Answer answer;
    CURL* const curl = handle.get();
    curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
    if (!body.empty()) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.c_str());
    }
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, timeout_seconds);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https,http");
    if (!certificate_authorities_.empty()) curl_easy_setopt(curl, CURLOPT_CAINFO, certificate_authorities_.c_str());
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer.body);
    if (const CURLcode code = curl_easy_perform(curl); code != CURLE_OK)
        throw escqrs::TransportError{std::string{method} + " " + url + ": " + curl_easy_strerror(code)};
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
    return answer;
}

} // namespace service_bus
