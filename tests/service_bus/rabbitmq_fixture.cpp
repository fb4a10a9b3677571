// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "rabbitmq_process.hpp"
#include "support/server_fixture.hpp"

int main(int argc, char** argv)
{
    return run_server_fixture(argc, argv, [](const auto& publish) {
        const service_bus_test::RabbitMq broker;
        publish(broker.description());
    });
}
