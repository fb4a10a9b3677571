// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "application/settings.hpp"

#include <escqrs/testing/catch2.hpp>

#include <sstream>
#include <string>
#include <vector>

using namespace conference;

namespace {

Settings settings_of(std::vector<const char*> arguments)
{
    arguments.insert(arguments.begin(), "conference");
    std::ostringstream out;
    return read_settings(static_cast<int>(arguments.size()), arguments.data(), out).value();
}

std::string printed(const Settings& settings)
{
    std::ostringstream out;
    print(settings, out);
    return out.str();
}

} // namespace

TEST_CASE("settings: where the worker's health is served depends on the role")
{
    CHECK(settings_of({"worker"}).worker_listen == ListenAddress{"127.0.0.1", 0});
    CHECK_FALSE(settings_of({"all"}).worker_listen.has_value());
    CHECK_FALSE(settings_of({"web"}).worker_listen.has_value());
}

TEST_CASE("settings: the worker's address is taken as it is given, or not served at all")
{
    CHECK(settings_of({"worker", "--worker-listen", "0.0.0.0:8081"}).worker_listen == ListenAddress{"0.0.0.0", 8081});
    CHECK(settings_of({"all", "--worker-listen", "[::1]:9"}).worker_listen == ListenAddress{"::1", 9});
    CHECK_FALSE(settings_of({"worker", "--worker-listen", "none"}).worker_listen.has_value());
    CHECK_FALSE(settings_of({"web", "--worker-listen", "127.0.0.1:8081"}).worker_listen.has_value());
    CHECK(settings_of({"worker", "--worker-listen", "127.0.0.1:8081"}).listen == ListenAddress{"127.0.0.1", 8080});
}

TEST_CASE("settings: an address that is none is refused by the name of its setting")
{
    for (const char* const text : {"", "8081", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", ":8081"}) {
        CAPTURE(text);
        CHECK_THROWS_WITH(settings_of({"worker", "--worker-listen", text}), Catch::StartsWith("--worker-listen: "));
        CHECK_THROWS_WITH(settings_of({"web", "--listen", text}), Catch::StartsWith("--listen: "));
    }
}

TEST_CASE("settings: the worker's address is printed where there is one")
{
    CHECK_THAT(printed(settings_of({"worker"})), Catch::Contains("\nworker       127.0.0.1:0\n"));
    CHECK_THAT(printed(settings_of({"all"})), !Catch::Contains("\nworker "));
}
