// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "application/settings.hpp"
#include "postgres/address.hpp"

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

TEST_CASE("settings: store and read model may be in PostgreSQL, and are printed without user, password and options")
{
    for (const char* const scheme : {"postgres", "postgresql"}) {
        CAPTURE(scheme);
        const std::string address =
            std::string{scheme} + "://me:hidden@db.example:6432/conf?sslmode=require&sslpassword=hidden2";
        const auto settings = settings_of({"web", "--store", address.c_str(), "--read-model", address.c_str()});
        CHECK(settings.store.scheme == "postgres");
        CHECK(settings.store.rest == address);
        CHECK(settings.read_model.scheme == "postgres");
        CHECK(settings.read_model.rest == address);
        const std::string text = printed(settings);
        CHECK_THAT(text, Catch::Contains("\nstore        postgres://db.example:6432/conf\n"));
        CHECK_THAT(text, Catch::Contains("\nread model   postgres://db.example:6432/conf\n"));
        CHECK_THAT(text, !Catch::Contains("hidden"));
        CHECK_THAT(text, !Catch::Contains("me:"));
    }
}

TEST_CASE("settings: an address of PostgreSQL that is none is refused, and no part of it is told")
{
    const auto* const address =
        GENERATE("postgres://me:hid@den@db/conf", "postgres://me:hid/den@db/conf", "postgres://me:hid%zzden@db/conf",
                 "postgres://me:hidden@db:hidden/conf", "postgres://me@db/conf?hidden=1", "postgres:hidden",
                 "postgres://me:hid@den/hid@den", "postgres://[hidden/conf");
    CAPTURE(address);
    for (const char* const option : {"--store", "--read-model"}) {
        try {
            settings_of({"web", option, address});
            FAIL("expected to be refused");
        } catch (const SettingsError& error) {
            CHECK_THAT(error.what(), Catch::StartsWith(std::string{option} + ": expected "));
            CHECK_THAT(error.what(), !Catch::Contains("hid"));
            CHECK_THAT(error.what(), !Catch::Contains("den"));
        }
    }
}

TEST_CASE("settings: a password with special characters is taken if they are escaped")
{
    CHECK(settings_of({"web", "--store", "postgres://me%40azure:p%40ss%2Fword@db/conf"}).store.scheme == "postgres");
}

TEST_CASE("settings: session settings go behind those that an address names")
{
    CHECK(postgres::with_session_settings("postgres://me:it's%5C@db:1/conf?options=-c%20a%3Db", "-c c=d") ==
          R"(dbname='conf' host='db' options='-c a=b -c c=d' password='it\'s\\' port='1' user='me')");
    CHECK(postgres::with_session_settings("postgres://db/conf", "-c c=d") ==
          "dbname='conf' host='db' options='-c c=d'");
    CHECK_THROWS_AS(postgres::with_session_settings("postgres://a@b@c/d", "-c c=d"), postgres::AddressError);
}
