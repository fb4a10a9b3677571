// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "application/settings.hpp"
#include "postgres/address.hpp"

#include <escqrs/testing/catch2.hpp>

#include <sstream>
#include <string>
#include <utility>
#include <vector>

using namespace conference;

namespace {

Settings settings_of(std::vector<const char*> arguments)
{
    arguments.insert(arguments.begin(), "conference");
    std::ostringstream out;
    return read_settings(static_cast<int>(arguments.size()), arguments.data(), out).value();
}

Settings worker_settings(std::vector<const char*> arguments = {})
{
    arguments.insert(arguments.begin(), {"worker", "--public-url", "https://conference.example"});
    return settings_of(std::move(arguments));
}

std::string printed(const Settings& settings)
{
    std::ostringstream out;
    print(settings, out);
    return out.str();
}

} // namespace

TEST_CASE("settings: links in mails begin with the public url, or with the page's address if a browser can go there")
{
    CHECK(settings_of({"all"}).public_url == "http://127.0.0.1:8080");
    CHECK(settings_of({"all", "--listen", "[::1]:9000"}).public_url == "http://[::1]:9000");
    CHECK(settings_of({"all", "--listen", "0.0.0.0:0", "--public-url", "https://a.example//"}).public_url ==
          "https://a.example");
    CHECK(worker_settings().public_url == "https://conference.example");
    CHECK_THAT(printed(worker_settings()), Catch::Contains("\npublic url   https://conference.example\n"));
}

TEST_CASE("settings: mails whose links lead nowhere are an error at the start")
{
    for (const char* const listen : {"0.0.0.0:8080", "[::]:8080", "[::0]:8080", "[0:0:0:0:0:0:0:0]:8080",
                                     "[::ffff:0.0.0.0]:8080", "127.0.0.1:0", "[::1]:0"}) {
        CAPTURE(listen);
        CHECK_THROWS_WITH(settings_of({"all", "--listen", listen}),
                          Catch::StartsWith("--public-url is needed for the links in mails"));
        CHECK_NOTHROW(settings_of({"web", "--listen", listen}));
    }
    CHECK_THROWS_WITH(settings_of({"worker"}), Catch::StartsWith("--public-url is needed for the links in mails"));
    CHECK_THROWS_WITH(settings_of({"worker", "--listen", "127.0.0.1:8080"}),
                      Catch::StartsWith("--public-url is needed"));
}

TEST_CASE("settings: a public url is http or https and a host")
{
    for (const char* const url : {"", "conference.example", "ftp://a.example", "https://", "https:///path",
                                  "https://a.example/?x", "https://a.example/#x", "https://a b"}) {
        CAPTURE(url);
        CHECK_THROWS_WITH(settings_of({"all", "--public-url", url}),
                          Catch::StartsWith("--public-url: expected http://HOST or https://HOST, found '"));
    }
    CHECK(settings_of({"all", "--public-url", "https://a.example/conference/"}).public_url ==
          "https://a.example/conference");
}

TEST_CASE("settings: clients have their own addresses, unless a proxy is said to tell them")
{
    CHECK_FALSE(settings_of({"all"}).is_behind_proxy);
    CHECK(settings_of({"all", "--behind-proxy", "yes"}).is_behind_proxy);
    CHECK_THROWS_WITH(settings_of({"all", "--behind-proxy", "true"}),
                      "--behind-proxy: expected yes or no, found 'true'");
}

TEST_CASE("settings: where the worker's health is served depends on the role")
{
    CHECK(worker_settings().worker_listen == ListenAddress{"127.0.0.1", 0});
    CHECK_FALSE(settings_of({"all"}).worker_listen.has_value());
    CHECK_FALSE(settings_of({"web"}).worker_listen.has_value());
}

TEST_CASE("settings: the worker's address is taken as it is given, or not served at all")
{
    CHECK(worker_settings({"--worker-listen", "0.0.0.0:8081"}).worker_listen == ListenAddress{"0.0.0.0", 8081});
    CHECK(settings_of({"all", "--worker-listen", "[::1]:9"}).worker_listen == ListenAddress{"::1", 9});
    CHECK_FALSE(worker_settings({"--worker-listen", "none"}).worker_listen.has_value());
    CHECK_FALSE(settings_of({"web", "--worker-listen", "127.0.0.1:8081"}).worker_listen.has_value());
    CHECK(worker_settings({"--worker-listen", "127.0.0.1:8081"}).listen == ListenAddress{"127.0.0.1", 8080});
}

TEST_CASE("settings: an address that is none is refused by the name of its setting")
{
    for (const char* const text : {"", "8081", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", ":8081"}) {
        CAPTURE(text);
        CHECK_THROWS_WITH(worker_settings({"--worker-listen", text}), Catch::StartsWith("--worker-listen: "));
        CHECK_THROWS_WITH(settings_of({"web", "--listen", text}), Catch::StartsWith("--listen: "));
    }
}

TEST_CASE("settings: the worker's address is printed where there is one")
{
    CHECK_THAT(printed(worker_settings()), Catch::Contains("\nworker       127.0.0.1:0\n"));
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

TEST_CASE("settings: a malformed PostgreSQL address is refused, and no part of it is shown")
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

TEST_CASE("settings: an Azure identity comes with a queue that is named by its address alone")
{
    const char* const queue = "sb://conference.servicebus.windows.net/events";
    const auto settings = settings_of({"web", "--queue", queue});
    CHECK(settings.queue.scheme == "broker");
    CHECK(settings.queue.rest == queue);
    CHECK(settings.azure_identity == "default");
    CHECK_THAT(printed(settings), Catch::Contains(queue));
    CHECK(settings_of({"web", "--queue", queue, "--azure-identity", "managed"}).azure_identity == "managed");
    CHECK(settings_of({"web"}).azure_identity.empty());
    CHECK_THROWS_WITH(settings_of({"web", "--azure-identity", "managed"}),
                      Catch::StartsWith("--azure-identity: expected --queue sb://HOST[/QUEUE] with it"));
    CHECK_THROWS_AS(settings_of({"web", "--queue", "Endpoint=sb://h;SharedAccessKeyName=n;SharedAccessKey=k",
                                 "--azure-identity", "managed"}),
                    SettingsError);
}

TEST_CASE("settings: session settings come after those that an address names")
{
    CHECK(postgres::with_session_settings("postgres://me:it's%5C@db:1/conf?options=-c%20a%3Db", "-c c=d") ==
          R"(dbname='conf' host='db' options='-c a=b -c c=d' password='it\'s\\' port='1' user='me')");
    CHECK(postgres::with_session_settings("postgres://db/conf", "-c c=d") ==
          "dbname='conf' host='db' options='-c c=d'");
    CHECK_THROWS_AS(postgres::with_session_settings("postgres://a@b@c/d", "-c c=d"), postgres::AddressError);
}

TEST_CASE("settings: only a worker with a lasting store builds its read model anew")
{
    CHECK_FALSE(settings_of({"all"}).rebuild);
    CHECK(settings_of({"all", "--rebuild"}).rebuild);
    CHECK(settings_of({"worker", "--rebuild", "--public-url", "http://a.example"}).rebuild);
    CHECK_THROWS_WITH(settings_of({"web", "--rebuild"}), Catch::Contains("--rebuild: expected role worker or all"));
    CHECK_THROWS_WITH(settings_of({"all", "--rebuild", "--store", "memory:"}), Catch::Contains("found memory:"));
}
