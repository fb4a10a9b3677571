// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "queue_administration.hpp"

#include <boost/property_tree/ptree.hpp>

#include <utility>

namespace service_bus {

QueueAdministration::QueueAdministration(Broker broker, std::string endpoint, std::string certificate_authorities,
                                         const escqrs::Clock& clock, TokenSource tokens)
    : api_{broker, std::move(endpoint), std::move(certificate_authorities), clock, std::move(tokens)},
      queue_{std::move(broker.entity)}
{
}

EntityCreation QueueAdministration::create_if_missing(const QueueDescription& description)
{
    const auto& options = description.options;
    const bool detects_duplicates = options.duplicate_detection_window > escqrs::Duration::zero();
    boost::property_tree::ptree queue;
    queue.put("LockDuration", to_iso8601(options.lock_duration)); // the API wants this order
    queue.put("RequiresDuplicateDetection", detects_duplicates ? "true" : "false");
    queue.put("RequiresSession", description.requires_session ? "true" : "false");
    if (detects_duplicates)
        queue.put("DuplicateDetectionHistoryTimeWindow", to_iso8601(options.duplicate_detection_window));
    queue.put("MaxDeliveryCount", options.max_delivery_count);
    return api_.create_if_missing(queue_, "QueueDescription", queue);
}

escqrs::MessageQueueCounts QueueAdministration::counts(const std::stop_token& stop)
{
    return api_.counts(queue_, stop);
}

} // namespace service_bus
