// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <service_bus/encoding.hpp>
#include <service_bus/recovery.hpp>
#include <service_bus/shown_text.hpp>

#include <escqrs/testing/catch2.hpp>

#include <string>
#include <vector>

namespace {

using namespace service_bus;

std::string without(const std::string& secret, const std::string& text)
{
    return shown(text, std::vector<std::string>{secret});
}

} // namespace

TEST_CASE("one line: no control character, and no line end of Unicode's, is left")
{
    CHECK(one_line("a\r\nb\tc\x1B[31m\x7F") == "a  b c [31m ");
    CHECK(one_line(std::string{"nul\0end", 7}) == "nul end");
    CHECK(one_line("next\xC2\x85line\xE2\x80\xA8separator\xE2\x80\xA9paragraph") == "next line separator paragraph");
    CHECK(one_line("M\xC3\xBCller \xE2\x80\x93 \xF0\x9F\x9A\x80") == "M\xC3\xBCller \xE2\x80\x93 \xF0\x9F\x9A\x80");
    CHECK(one_line("cut\xC2") == "cut\xC2");
    CHECK(to_text(Condition{"amqp:not\nfound", "the\r\nqueue"}) == "amqp:not found: the  queue");
}

TEST_CASE("what a server says is cut at 300 bytes, between two characters")
{
    CHECK(shown(std::string(1000, 'x')) == std::string(300, 'x'));
    std::string text(299, 'x');
    CHECK(shown(text + "\xC3\xBC") == text);
}

TEST_CASE("a secret is masked in every form in which a server may repeat it")
{
    const std::string secret = "s~e/c&r=e t+\xC3\xBC?>";
    CHECK(without(secret, "is '" + secret + "'.") == "is '***'.");
    CHECK(without(secret, secret + secret) == "***");
    const std::string encoded = percent_encoded(secret);
    CHECK(without(secret, "a=" + encoded + "&b=%20") == "a=***&b=%20");
    CHECK(without(secret, percent_encoded("a=" + encoded)) == "a%3D***");
    std::string lower = encoded;
    for (char& c : lower) c = c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
    CHECK(without(secret, lower) == "***");
    CHECK(without(secret, "s%7Ee/c%26r%3De%20t%2b%C3%BC%3f>") == "***"); // as much of it as was wanted
    CHECK(without("two words", "two+words") == "***");
    CHECK(without(secret, "100 %, %4, %zz") == "100 %, %4, %zz");
}

TEST_CASE("a secret is masked in base64, wherever in the encoded text it begins")
{
    for (const std::string secret : {"sixteen letters!", "seventeen letters", "eighteen letters?~", "~~>?~?>>~"}) {
        CHECK(without(secret, base64url(secret)) == "***");
        for (const std::string before : {"", "a", "ab", "user:", "abcd"}) {
            for (const std::string after : {"", "z", "yz", "xyz"}) {
                CAPTURE(secret, before, after);
                std::string text = before;
                text.append(secret).append(after);
                const std::string encoded = base64(octets_of(text));
                const std::string inside = without(secret, encoded);
                CHECK(inside.find("***") != std::string::npos);
                CHECK(inside.size() - 3 + secret.size() * 4 / 3 <= encoded.size());
                CHECK(without(secret, percent_encoded(base64(octets_of(before + secret)))).find("***") !=
                      std::string::npos);
            }
        }
    }
}

TEST_CASE("no secret, or an empty one, masks nothing")
{
    CHECK(shown("text") == "text");
    CHECK(without("", "text") == "text");
    CHECK(without("secret", "").empty());
}

TEST_CASE("of a token its signature alone is masked, too")
{
    const AccessToken sas{"SharedAccessSignature sr=sb%3A%2F%2Fh&sig=abc%2Bdefgh%3D&se=1&skn=n",
                          TokenType::shared_access_signature,
                          {},
                          {}};
    CHECK(shown("sr=x&amp;sig=abc%2Bdefgh%3D&amp;se=1", secrets_of(sas)) == "sr=x&amp;sig=***&amp;se=1");
    CHECK(shown("'abc+defgh='", secrets_of(sas)) == "'***'");
    const AccessToken jwt{"header.claims.signature", TokenType::jwt, {}, {}};
    CHECK(shown("header.claims.signature or signature", secrets_of(jwt)) == "*** or ***");
    CHECK(shown("1", secrets_of(AccessToken{"token.1", TokenType::jwt, {}, {}})) == "1");
}
