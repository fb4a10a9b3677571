// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "topic_administration.hpp"

#include <escqrs/core/error.hpp>

#include <boost/property_tree/ptree.hpp>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <locale>
#include <sstream>

namespace service_bus {
namespace {

using Tree = boost::property_tree::ptree;

constexpr const char* instance_schema = "http://www.w3.org/2001/XMLSchema-instance";
constexpr const char* type_schema = "http://www.w3.org/2001/XMLSchema";

struct ToXml {
    const char* type;
    std::string text;
};

ToXml to_xml(const PropertyValue& value)
{
    struct Visitor {
        ToXml operator()(const std::string& text) const { return {"string", text}; }
        ToXml operator()(bool flag) const { return {"boolean", flag ? "true" : "false"}; }
        ToXml operator()(std::int64_t number) const { return {"long", std::to_string(number)}; }
        ToXml operator()(double number) const
        {
            std::ostringstream text;
            text.imbue(std::locale::classic());
            text.precision(17);
            text << number;
            return {"double", text.str()};
        }
        ToXml operator()(escqrs::Timestamp moment) const { return {"dateTime", escqrs::to_rfc3339(moment)}; }
    };
    return std::visit(Visitor{}, value);
}

/// An element with the type that its schema leaves open.
Tree typed(const char* type)
{
    Tree tree;
    tree.put("<xmlattr>.xmlns:i", instance_schema);
    tree.put("<xmlattr>.i:type", type);
    return tree;
}

Tree to_tree(const SqlFilter& filter)
{
    Tree tree = typed("SqlFilter");
    tree.put("SqlExpression", filter.expression);
    return tree;
}

Tree to_tree(const CorrelationFilter& filter)
{
    Tree tree = typed("CorrelationFilter");
    const std::array<std::pair<const char*, const std::string*>, 8> fields{
        {{"CorrelationId", &filter.correlation_id},
         {"MessageId", &filter.message_id},
         {"To", &filter.to},
         {"ReplyTo", &filter.reply_to},
         {"Label", &filter.subject},
         {"SessionId", &filter.session_id},
         {"ReplyToSessionId", &filter.reply_to_session_id},
         {"ContentType", &filter.content_type}}};
    for (const auto& [name, value] : fields) {
        if (!value->empty()) tree.put(name, *value); // the API wants this order
    }
    for (const auto& [name, value] : filter.properties) {
        const ToXml xml = to_xml(value);
        Tree pair;
        pair.put("Key", name);
        pair.put("Value", xml.text);
        pair.put("Value.<xmlattr>.i:type", std::string{"d:"} + xml.type);
        pair.put("Value.<xmlattr>.xmlns:d", type_schema);
        tree.add_child("Properties.KeyValueOfstringanyType", pair);
    }
    return tree;
}

Tree to_tree(const Rule& rule)
{
    Tree tree;
    tree.put_child("Filter", std::visit([](const auto& filter) { return to_tree(filter); }, rule.filter));
    tree.put_child("Action", typed("EmptyRuleAction"));
    tree.put("Name", rule.name);
    return tree;
}

/// What goes into an address must not change its meaning.
const std::string& checked(const std::string& name, const char* what)
{
    const bool is_name = !name.empty() && std::ranges::all_of(name, [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == '$';
    });
    if (!is_name || name.size() > 50)
        throw escqrs::TransportError{std::string{what} +
                                     ": expected a name of 1 to 50 letters, digits, '-', '_', '.' or '$', found '" +
                                     name + "'"};
    return name;
}

} // namespace

TopicAdministration::TopicAdministration(Broker broker, std::string endpoint, std::string certificate_authorities,
                                         const escqrs::Clock& clock, TokenSource tokens)
    : api_{broker, std::move(endpoint), std::move(certificate_authorities), clock, std::move(tokens)},
      topic_{std::move(broker.entity)}
{
}

EntityCreation TopicAdministration::create_if_missing(const TopicDescription& description)
{
    const bool detects_duplicates = description.duplicate_detection_window > escqrs::Duration::zero();
    Tree tree;
    tree.put("RequiresDuplicateDetection", detects_duplicates ? "true" : "false"); // the API wants this order
    if (detects_duplicates)
        tree.put("DuplicateDetectionHistoryTimeWindow", to_iso8601(description.duplicate_detection_window));
    return api_.create_if_missing(topic_, "TopicDescription", tree);
}

EntityCreation TopicAdministration::create_subscription_if_missing(const std::string& name,
                                                                   const SubscriptionDescription& description)
{
    for (const Rule& rule : description.rules) checked(rule.name, "rule");
    Tree tree;
    tree.put("LockDuration", to_iso8601(description.options.lock_duration)); // the API wants this order
    tree.put("RequiresSession", description.requires_session ? "true" : "false");
    if (!description.rules.empty()) tree.put_child("DefaultRuleDescription", to_tree(description.rules.front()));
    tree.put("MaxDeliveryCount", description.options.max_delivery_count);
    const EntityCreation creation = api_.create_if_missing(address_of(name), "SubscriptionDescription", tree);
    if (creation != EntityCreation::not_allowed) {
        for (const Rule& rule : description.rules) add_rule(name, rule); // the first one is there if it was created
    }
    return creation;
}

EntityCreation TopicAdministration::add_rule(const std::string& subscription, const Rule& rule)
{
    return api_.create_if_missing(address_of(subscription) + "/Rules/" + checked(rule.name, "rule"), "RuleDescription",
                                  to_tree(rule));
}

bool TopicAdministration::remove_rule(const std::string& subscription, const std::string& rule)
{
    return api_.remove(address_of(subscription) + "/Rules/" + checked(rule, "rule"));
}

bool TopicAdministration::remove_subscription(const std::string& subscription)
{
    return api_.remove(address_of(subscription));
}

escqrs::MessageQueueCounts TopicAdministration::counts(const std::string& subscription) const
{
    return api_.counts(address_of(subscription));
}

std::string TopicAdministration::address_of(const std::string& subscription) const
{
    return topic_ + "/Subscriptions/" + checked(subscription, "subscription");
}

} // namespace service_bus
