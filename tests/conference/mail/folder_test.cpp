// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "mail/folder.hpp"
#include "mail/smtp_client.hpp"

#include "../worker/mail_fixture.hpp"

#include <escqrs/testing/catch2.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

using namespace conference;
using namespace conference::test;
using namespace std::chrono_literals;

namespace {

std::string content(const std::filesystem::path& path)
{
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

std::set<std::string> names_in(const std::string& folder)
{
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator{folder}) names.insert(entry.path().filename());
    return names;
}

} // namespace

TEST_CASE("mail folder: one whole file for each mail, readable by its owner only")
{
    Office office;
    const std::string path = office.folder.file("new/mail");
    mail::Folder folder{path};
    const std::string event = office.owe("ada@example.org");
    auto mailer = office.mailer(folder);
    CHECK(mailer.send_due() == 1);
    CHECK(names_in(path) == std::set<std::string>{event + ".eml"});
    const std::string text = content(path + "/" + event + ".eml");
    CHECK(text.find("To: <ada@example.org>\r\n") != std::string::npos);
    CHECK(text.find("https://conference.example/#confirm=") != std::string::npos);
    const auto permissions = std::filesystem::status(path + "/" + event + ".eml").permissions();
    CHECK((permissions & (std::filesystem::perms::group_all | std::filesystem::perms::others_all)) ==
          std::filesystem::perms::none);
}

TEST_CASE("mail folder: dying between writing and marking hands the mail out once")
{
    Office office;
    const std::string path = office.folder.file("mail");
    mail::Folder folder{path};
    const std::string event = office.owe("ada@example.org");
    MailOutbox dead{office.database};
    const auto claimed = dead.claim(office.clock.now(), folder.time_limit());
    REQUIRE(claimed);
    folder.deliver(MailWriter{"https://conference.example", ""}(*claimed), {}); // and dies here
    const auto written = std::filesystem::last_write_time(path + "/" + event + ".eml");
    const std::string before = content(path + "/" + event + ".eml");

    office.clock.advance(1min);
    auto mailer = office.mailer(folder);
    CHECK(mailer.send_due() == 1);
    CHECK(names_in(path) == std::set<std::string>{event + ".eml"});
    CHECK(content(path + "/" + event + ".eml") == before);
    CHECK(std::filesystem::last_write_time(path + "/" + event + ".eml") == written);
}

TEST_CASE("mail folder: what dead attempts left half-written is cleared away")
{
    Office office;
    const std::string path = office.folder.file("mail");
    mail::Folder folder{path};
    const std::string event = office.owe("ada@example.org");
    MailOutbox dead{office.database};
    for (int attempt = 1; attempt <= 3; ++attempt) { // three claims, each dying in the middle of the file
        REQUIRE(dead.claim(office.clock.now(), folder.time_limit()));
        std::ofstream{path + "/" + event + "." + std::to_string(attempt) + ".tmp"} << "Date: Mo";
        office.clock.advance(1min);
    }
    std::ofstream{path + "/" + event + ".4.tmp"} << "from an earlier life of the read model";
    auto mailer = office.mailer(folder);
    CHECK(mailer.send_due() == 1);
    CHECK(names_in(path) == std::set<std::string>{event + ".eml"});
    CHECK(content(path + "/" + event + ".eml").starts_with("Date: Mon, 23 Nov 2026"));
}

TEST_CASE("mail folder: a folder that went away is an error of the mail, and it is sent when it is back")
{
    Office office;
    const std::string path = office.folder.file("mail");
    mail::Folder folder{path};
    office.owe("ada@example.org");
    std::filesystem::remove_all(path);
    auto mailer = office.mailer(folder);
    CHECK(mailer.send_due() == 0);
    CHECK(office.log.size() == 1);
    std::filesystem::create_directory(path);
    office.clock.advance(1min);
    CHECK(mailer.send_due() == 1);
}

TEST_CASE("mail folder: an id leads to no file outside")
{
    const TemporaryFolder folder;
    mail::Folder inbox{folder.file("mail")};
    mail::Message mail;
    mail.message_id = "1@example.org";
    mail.from = mail.to = "ada@example.org";
    for (const std::string id : {"", "../above", "sub/below", ".hidden"}) {
        mail.id = id;
        CHECK_THROWS_AS(inbox.deliver(mail, {}), mail::Refused);
    }
    mail.id = "1";
    inbox.deliver(mail, {});
    CHECK(names_in(folder.file("mail")) == std::set<std::string>{"1.eml"});
    CHECK(names_in(folder.path()) == std::set<std::string>{"mail"});
}

TEST_CASE("mail transport: what it can be told")
{
    const TemporaryFolder folder;
    CHECK_NOTHROW(mail::open_transport("dir:" + folder.file("mail")));
    CHECK_NOTHROW(mail::open_transport("smtp://mail.example.org"));
    CHECK_NOTHROW(mail::open_transport("smtps://user:p%40ss@mail.example.org:465"));
    CHECK(mail::open_transport("smtp://mail.example.org:25?from=hello@example.org")->from() == "hello@example.org");
    for (const std::string url : {"", "dir:", "mail", "http://mail.example.org", "smtp://", "smtp://host/path",
                                  "smtp://user:secret@host:port", "smtp://user:secret@host?to=x",
                                  "smtp://user:secret@host?from=a%0d%0ab", "smtp://user:secret@host?from=a%20b"}) {
        CAPTURE(url);
        try {
            mail::open_transport(url);
            FAIL("accepted");
        } catch (const mail::Error& error) {
            CHECK(std::string{error.what()}.find("secret") == std::string::npos);
        }
    }
}
