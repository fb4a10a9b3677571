// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "domain/email.hpp"
#include "domain/rule_violation.hpp"

#include <escqrs/testing/catch2.hpp>

#include <algorithm>
#include <string>

using conference::Email;
using conference::RuleViolation;

namespace {

/// The sentence with which the address is refused.
std::string refusal(const std::string& text)
{
    try {
        Email::parse(text);
    } catch (const RuleViolation& violation) {
        CHECK(violation.rule() == "invalid-email");
        CHECK(violation.field() == "email");
        return violation.what();
    }
    return "accepted";
}

std::string domain_of_length(std::size_t length)
{
    std::string domain = "org";
    while (domain.size() + 2 <= length) {
        const std::size_t label = std::min<std::size_t>(63, length - domain.size() - 1);
        domain = std::string(label, 'd') + "." + domain;
    }
    return domain;
}

} // namespace

TEST_CASE("email: an ordinary address is taken as it is")
{
    for (const std::string address :
         {"ada@example.org", "Ada.Lovelace@Example.ORG", "a@b.cd", "ada+conference@mail.example.co.uk",
          "o'brien@example.ie", "1815@12.example", "!#$%&'*+-/=?^_`{|}~@example.org", "ada@xn--bcher-kva.example"}) {
        CAPTURE(address);
        CHECK(Email::parse(address).text() == address);
    }
}

TEST_CASE("email: blanks around the address do not count")
{
    CHECK(Email::parse("  ada@example.org\r\n").text() == "ada@example.org");
    CHECK(Email::parse("\t\v\fada@example.org ") == Email::parse("ada@example.org"));
}

TEST_CASE("email: nothing, or only blanks, is refused")
{
    CHECK(refusal("") == "An email address is needed.");
    CHECK(refusal(" \t\r\n") == "An email address is needed.");
}

TEST_CASE("email: one @ is needed, and only one")
{
    CHECK(refusal("ada.example.org") == "The email address has no @.");
    CHECK(refusal("ada@home@example.org") == "The email address has more than one @.");
    CHECK(refusal("@example.org") == "The email address has nothing before the @.");
    CHECK(refusal("ada@") == "The email address needs a domain such as example.org after the @.");
}

TEST_CASE("email: dots before the @ stand between other characters")
{
    const std::string sentence = "A dot stands in the wrong place before the @.";
    CHECK(refusal(".ada@example.org") == sentence);
    CHECK(refusal("ada.@example.org") == sentence);
    CHECK(refusal("ada..lovelace@example.org") == sentence);
}

TEST_CASE("email: what could end or change a line of a mail is refused")
{
    for (const std::string address : {"ada\r\nBcc:eve@example.org", "ada\neve@example.org", "ada eve@example.org",
                                      "\"ada\"@example.org", "ada<eve@example.org", "ada,eve@example.org",
                                      "ada;eve@example.org", "(ada)@example.org", "ad\xC3\xA4@example.org"}) {
        CAPTURE(address);
        CHECK(refusal(address) == "The part before the @ holds a character that email addresses do not allow.");
    }
    CHECK(refusal(std::string{"ada\0@example.org", 16}) ==
          "The part before the @ holds a character that email addresses do not allow.");
    CHECK(refusal("ada@example.org\r\nBcc: eve.org") == "The domain after the @ is not a valid host name.");
    CHECK(refusal("ada@example.org>") == "The domain after the @ is not a valid host name.");
}

TEST_CASE("email: the domain is a host name of two labels or more")
{
    CHECK(refusal("ada@localhost") == "The email address needs a domain such as example.org after the @.");
    for (const std::string address : {"ada@.example.org", "ada@example..org", "ada@example.org.", "ada@-example.org",
                                      "ada@example-.org", "ada@exa_mple.org", "ada@[127.0.0.1]", "ada@b\xC3\xBC.org"}) {
        CAPTURE(address);
        CHECK(refusal(address) == "The domain after the @ is not a valid host name.");
    }
}

TEST_CASE("email: lengths are those of RFC 5321")
{
    SECTION("64 characters before the @")
    {
        CHECK_NOTHROW(Email::parse(std::string(64, 'a') + "@example.org"));
        CHECK(refusal(std::string(65, 'a') + "@example.org") == "The part before the @ is longer than 64 characters.");
    }
    SECTION("63 characters in each label of the domain")
    {
        CHECK_NOTHROW(Email::parse("ada@" + std::string(63, 'd') + ".org"));
        CHECK(refusal("ada@" + std::string(64, 'd') + ".org") == "The domain after the @ is not a valid host name.");
    }
    SECTION("254 characters in all, blanks around them not counted")
    {
        const std::string longest = "ada@" + domain_of_length(250);
        REQUIRE(longest.size() == 254);
        CHECK_NOTHROW(Email::parse(" " + longest + " "));
        CHECK(refusal("b" + longest) == "The email address is longer than 254 characters.");
    }
}
