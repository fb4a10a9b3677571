// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/server_fixture.hpp"
#include "postgres/server.hpp"

int main(int argc, char** argv)
{
    return run_server_fixture(argc, argv, [](const auto& publish) {
        const postgres_test::Server server;
        publish(server.description());
    });
}
