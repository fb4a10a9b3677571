// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// Tokens of Microsoft Entra ID, from servers on loopback that answer as the public documentation says.
#include "support/error_of.hpp"
#include "support/fake_http_server.hpp"
#include "support/temporary_folder.hpp"

#include <service_bus/client_assertion.hpp>
#include <service_bus/encoding.hpp>
#include <service_bus/entra_tokens.hpp>

#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/manual_clock.hpp>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

namespace {

using namespace service_bus;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using Answer = FakeHttpServer::Answer;
using Request = FakeHttpServer::Request;

constexpr const char* json = "Content-Type: application/json\r\n";

Answer token_answer(const std::string& token, int seconds = 3600)
{
    return {200,
            R"({"token_type":"Bearer","expires_in":)" + std::to_string(seconds) + R"(,"access_token":")" + token +
                "\"}",
            json};
}

/// Settings of an application whose authority is the server.
EntraSettings application(const FakeHttpServer& server)
{
    EntraSettings settings;
    settings.tenant_id = "the-tenant";
    settings.client_id = "the-client";
    settings.authority_host = server.url() + "/";
    return settings;
}

AccessToken get(const TokenSource& source) { return source({"sb://host/queue", {}, {}}); }

/// A self-signed certificate with its key, as an application's owner makes one.
std::string make_pem(const std::string& password = {})
{
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key{EVP_RSA_gen(2048), EVP_PKEY_free};
    const std::unique_ptr<X509, decltype(&X509_free)> certificate{X509_new(), X509_free};
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
    X509_set_pubkey(certificate.get(), key.get());
    X509_sign(certificate.get(), key.get(), EVP_sha256());
    const std::unique_ptr<BIO, decltype(&BIO_free)> out{BIO_new(BIO_s_mem()), BIO_free};
    PEM_write_bio_PrivateKey(out.get(), key.get(), password.empty() ? nullptr : EVP_aes_256_cbc(),
                             octets_of(password).data(), static_cast<int>(password.size()), nullptr, nullptr);
    PEM_write_bio_X509(out.get(), certificate.get());
    char* text = nullptr;
    const long length = BIO_get_mem_data(out.get(), &text); // NOLINT: OpenSSL's macro
    return {text, static_cast<std::size_t>(length)};
}

std::string decoded(std::string_view base64url_text)
{
    std::string text{base64url_text};
    std::ranges::replace(text, '-', '+');
    std::ranges::replace(text, '_', '/');
    const std::size_t padding = (4 - text.size() % 4) % 4;
    text.append(padding, '=');
    std::string bytes(text.size() / 4 * 3, '\0');
    EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()), octets_of(text).data(), // NOLINT
                    static_cast<int>(text.size()));
    bytes.resize(bytes.size() - padding);
    return bytes;
}

/// Whether the certificate in `pem` has signed the assertion, by PS256.
bool is_signed_by(const std::string& assertion, const std::string& pem)
{
    const std::unique_ptr<BIO, decltype(&BIO_free)> bio{BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                                                        BIO_free};
    const std::unique_ptr<X509, decltype(&X509_free)> certificate{
        PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), X509_free};
    const auto dot = assertion.rfind('.');
    const std::string signature = decoded(assertion.substr(dot + 1));
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(), EVP_MD_CTX_free};
    EVP_PKEY_CTX* of_key = nullptr;
    EVP_DigestVerifyInit(context.get(), &of_key, EVP_sha256(), nullptr, X509_get0_pubkey(certificate.get()));
    EVP_PKEY_CTX_set_rsa_padding(of_key, RSA_PKCS1_PSS_PADDING);
    EVP_PKEY_CTX_set_rsa_pss_saltlen(of_key, RSA_PSS_SALTLEN_DIGEST);
    return EVP_DigestVerify(context.get(), octets_of(signature).data(), signature.size(), octets_of(assertion).data(),
                            dot) == 1;
}

} // namespace

TEST_CASE("managed identity of App Service: its endpoint and header, and the identity that is named")
{
    FakeHttpServer server{[](const Request&) {
        return Answer{200, R"({"access_token":"of-app-service","expires_on":"4102444800","token_type":"Bearer"})",
                      json};
    }};
    EntraSettings settings;
    settings.identity_endpoint = server.url() + "/msi/token";
    settings.identity_header = "the-header";
    settings.client_id = "user assigned";
    const AccessToken token = get(make_entra_token_source(EntraIdentity::managed, settings));
    CHECK(token.text == "of-app-service");
    CHECK(token.type == TokenType::jwt);
    CHECK(token.expires_at == escqrs::Timestamp{4102444800s});
    const Request request = server.requests().at(0);
    CHECK(request.method == "GET");
    CHECK(request.target == "/msi/token?api-version=2019-08-01&resource=https%3A%2F%2Fservicebus.azure.net&"
                            "client_id=user%20assigned");
    CHECK_THAT(request.header, Contains("\r\nx-identity-header: the-header\r\n"));
}

TEST_CASE("a token that the metadata service has kept ends when it says, not a whole life later")
{
    escqrs::testing::ManualClock clock;
    const auto end = std::chrono::time_point_cast<std::chrono::seconds>(clock.now() + 1h);
    const FakeHttpServer server{[&](const Request&) {
        return Answer{200,
                      R"({"access_token":"kept","expires_in":"86399","expires_on":")" +
                          std::to_string(end.time_since_epoch().count()) + R"("})",
                      json};
    }};
    EntraSettings settings;
    settings.metadata_host = server.url();
    CHECK(get(make_entra_token_source(EntraIdentity::managed, settings, clock)).expires_at == end);
}

TEST_CASE("managed identity of a virtual machine: the metadata service, past any proxy, and one request for all")
{
    FakeHttpServer server{[](const Request&) {
        return Answer{200, R"({"access_token":"of-the-machine","expires_in":"86399","expires_on":"1","resource":"r"})",
                      json};
    }};
    escqrs::testing::ManualClock clock;
    EntraSettings settings;
    settings.metadata_host = server.url();
    const TokenSource source = make_entra_token_source(EntraIdentity::managed, settings, clock);
    const AccessToken token = get(source);
    CHECK(token.text == "of-the-machine");
    CHECK(token.expires_at == clock.now() + 86399s);
    clock.advance(23h);
    CHECK(get(source).text == "of-the-machine");
    REQUIRE(server.requests().size() == 1);
    CHECK(server.requests()[0].target == "/metadata/identity/oauth2/token?api-version=2018-02-01&"
                                         "resource=https%3A%2F%2Fservicebus.azure.net");
    CHECK_THAT(server.requests()[0].header, Contains("\r\nmetadata: true\r\n"));
    clock.advance(45min);
    CHECK(get(source).text == "of-the-machine");
    CHECK(server.requests().size() == 2);
}

TEST_CASE(
    "the metadata service is asked again as it wants: after its updates, its throttling, and not soon after a 400")
{
    int status = 410;
    std::string header;
    FakeHttpServer server{[&](const Request&) {
        return Answer{status, R"({"error":"the_error","error_description":"what it\r\nsays"})", json + header};
    }};
    escqrs::testing::ManualClock clock;
    EntraSettings settings;
    settings.metadata_host = server.url();
    const TokenSource source = make_entra_token_source(EntraIdentity::managed, settings, clock, [] { return 0.5; });
    const auto asks_after = [&](escqrs::Duration pause) {
        const auto before = server.requests().size();
        clock.advance(pause - 1us);
        CHECK_THAT(error_of([&] { (void)get(source); }), Contains("asking again in 1 s"));
        CHECK(server.requests().size() == before);
        clock.advance(1us);
        const std::string error = error_of([&] { (void)get(source); });
        CHECK(server.requests().size() == before + 1);
        return error;
    };
    CHECK_THAT(error_of([&] { (void)get(source); }), Contains("answers 410: the_error: what it  says"));
    status = 429;
    header = "Retry-After: 7\r\n";
    CHECK_THAT(asks_after(800ms), Contains("answers 429"));
    status = 500;
    header.clear();
    CHECK_THAT(asks_after(7s), Contains("answers 500"));
    status = 400;
    CHECK_THAT(asks_after(3200ms), Contains("answers 400"));
    CHECK_THAT(asks_after(60s), Contains("answers 400"));
}

TEST_CASE("workload identity: the federated token is read anew each time")
{
    const TemporaryFolder folder;
    const std::string path = folder.file("token");
    std::ofstream{path} << "first.of.kubernetes\n";
    FakeHttpServer server{[](const Request&) { return token_answer("of-the-workload", 100); }};
    escqrs::testing::ManualClock clock;
    EntraSettings settings = application(server);
    settings.federated_token_file = path;
    const TokenSource source = make_entra_token_source(EntraIdentity::workload, settings, clock);
    CHECK(get(source).text == "of-the-workload");
    std::ofstream{path} << "second.of.kubernetes";
    clock.advance(99s);
    (void)get(source);
    const auto requests = server.requests();
    REQUIRE(requests.size() == 2);
    CHECK(requests[0].method == "POST");
    CHECK(requests[0].target == "/the-tenant/oauth2/v2.0/token");
    CHECK_THAT(requests[0].header, Contains("\r\ncontent-type: application/x-www-form-urlencoded\r\n"));
    CHECK(requests[0].body == "client_id=the-client&grant_type=client_credentials&"
                              "scope=https%3A%2F%2Fservicebus.azure.net%2F.default&client_assertion_type="
                              "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&"
                              "client_assertion=first.of.kubernetes");
    CHECK_THAT(requests[1].body, Contains("client_assertion=second.of.kubernetes"));
    std::filesystem::remove(path);
    clock.advance(1h);
    CHECK_THAT(error_of([&] { (void)get(source); }),
               Contains("AZURE_FEDERATED_TOKEN_FILE: cannot read '" + path + "'"));
}

TEST_CASE("client secret: in the form's body, and shown in no error, though the server repeats it")
{
    FakeHttpServer server{[](const Request&) { return token_answer("of-the-application"); }};
    EntraSettings settings = application(server);
    settings.client_secret = "s~e/c&r=e t";
    CHECK(get(make_entra_token_source(EntraIdentity::secret, settings)).text == "of-the-application");
    CHECK_THAT(server.requests().at(0).body, Contains("&client_secret=s~e%2Fc%26r%3De%20t"));
    server.answer_with([](const Request&) {
        return Answer{401,
                      R"({"error":"invalid_client","error_description":"AADSTS7000215: wrong secret 's~e/c&r=e t'."})",
                      json};
    });
    const std::string error = error_of([&] { (void)get(make_entra_token_source(EntraIdentity::secret, settings)); });
    CHECK_THAT(error, Contains("/the-tenant/oauth2/v2.0/token answers 401: invalid_client: AADSTS7000215"));
    CHECK_THAT(error, !Contains("s~e"));
    server.answer_with([](const Request&) {
        return Answer{401, R"({"error":"invalid_client","error_description":"not s~e%2fc%26r%3De+t"})", json};
    });
    CHECK_THAT(error_of([&] { (void)get(make_entra_token_source(EntraIdentity::secret, settings)); }),
               Contains("invalid_client: not ***"));
}

TEST_CASE("client certificate: an assertion that it has signed, read anew each time")
{
    const TemporaryFolder folder;
    const std::string path = folder.file("client.pem");
    const std::string pem = make_pem("the password");
    std::ofstream{path} << make_pem() << pem; // the key is the first one
    FakeHttpServer server{[](const Request&) { return token_answer("of-the-certificate", 100); }};
    escqrs::testing::ManualClock clock;
    EntraSettings settings = application(server);
    settings.certificate_path = path;
    const TokenSource source = make_entra_token_source(EntraIdentity::certificate, settings, clock);
    std::ofstream{path} << pem;
    CHECK_THAT(error_of([&] { (void)get(source); }), Contains("client certificate: expected a private key"));
    settings.certificate_password = "the password";
    CHECK(get(make_entra_token_source(EntraIdentity::certificate, settings, clock)).text == "of-the-certificate");
    const std::string body = server.requests().at(0).body;
    const std::string name = "&client_assertion=";
    const std::string assertion = body.substr(body.find(name) + name.size());
    CHECK(is_signed_by(assertion, pem));
    const auto dot = assertion.find('.');
    CHECK_THAT(decoded(assertion.substr(0, dot)), Contains(R"("alg":"PS256","typ":"JWT","x5t#S256":")"));
    const std::string claims = decoded(assertion.substr(dot + 1, assertion.rfind('.') - dot - 1));
    const auto now = std::chrono::floor<std::chrono::seconds>(clock.now()).time_since_epoch().count();
    CHECK_THAT(claims, Contains(R"("aud":")" + server.url() + R"(/the-tenant/oauth2/v2.0/token")"));
    CHECK_THAT(claims, Contains(R"("iss":"the-client","sub":"the-client","jti":")"));
    CHECK_THAT(claims, Contains("\"nbf\":" + std::to_string(now) + ",\"exp\":" + std::to_string(now + 600)));
}

TEST_CASE("a certificate that does not belong to the key, or none, is refused")
{
    const std::string one = make_pem();
    const std::string other = make_pem();
    const std::string begin = "-----BEGIN CERTIFICATE-----";
    const std::string key = one.substr(0, one.find(begin));
    const auto error = [](const std::string& pem) {
        return error_of([&] { (void)make_client_assertion({pem, {}}, "client", "https://host", {}); });
    };
    CHECK(error(one).empty());
    CHECK(error(key + other.substr(other.find(begin)) + one.substr(one.find(begin))).empty()); // among others
    CHECK_THAT(error(key + other.substr(other.find(begin))),
               Contains("expected a certificate in PEM that belongs to the"));
    CHECK_THAT(error(key), Contains("expected a certificate"));
    CHECK_THAT(error("no PEM"), Contains("expected a private key"));
}

TEST_CASE("a token server that is silent, refuses connections, or answers nonsense is named with the reason")
{
    FakeHttpServer server{[](const Request&) { return std::optional<Answer>{}; }};
    EntraSettings settings = application(server);
    settings.client_secret = "secret";
    settings.timeout = 50ms;
    const auto error = [&] {
        return error_of([&] { (void)get(make_entra_token_source(EntraIdentity::secret, settings)); });
    };
    CHECK_THAT(error(), Contains("POST " + server.url()) && Contains("no answer within 50 ms"));
    settings.timeout = 10s;
    const auto answers = [&](const std::string& body) {
        server.answer_with([body](const Request&) { return Answer{200, body, json}; });
        return error();
    };
    CHECK_THAT(answers("<html>"), Contains("answers 200, and no access_token"));
    CHECK_THAT(answers(std::string(100'000, '[')), Contains("answers 200, and no access_token"));
    CHECK_THAT(answers(R"({"access_token":"t"})"), Contains("does not say when the token ends"));
    CHECK_THAT(answers(R"({"access_token":"t","expires_in":"soon"})"), Contains("does not say when the token ends"));
    CHECK_THAT(answers(R"({"access_token":"t","expires_in":0})"), Contains("the token that came ended at"));
    CHECK_THAT(answers(std::string(std::size_t{2} << 20U, ' ')), Contains("the answer is too long"));
    server.answer_with([](const Request&) { return Answer{302, "", "Location: http://127.0.0.1:1/\r\n"}; });
    CHECK_THAT(error(), Contains("answers 302"));
    settings.authority_host = "http://127.0.0.1:1";
    CHECK_THAT(error(), Contains("POST http://127.0.0.1:1/the-tenant/oauth2/v2.0/token: "));
}

TEST_CASE("what is missing in the environment is named, and a secret goes nowhere without TLS")
{
    const auto error = [](EntraIdentity identity, const EntraSettings& settings) {
        return error_of([&] { (void)make_entra_token_source(identity, settings); });
    };
    EntraSettings settings;
    CHECK(error(EntraIdentity::managed, settings).empty());
    CHECK_THAT(error(EntraIdentity::secret, settings), Contains("expected AZURE_TENANT_ID in the environment"));
    settings.tenant_id = "tenant";
    CHECK_THAT(error(EntraIdentity::workload, settings), Contains("'workload': expected AZURE_CLIENT_ID"));
    settings.client_id = "client";
    CHECK_THAT(error(EntraIdentity::workload, settings), Contains("AZURE_FEDERATED_TOKEN_FILE"));
    CHECK_THAT(error(EntraIdentity::secret, settings), Contains("AZURE_CLIENT_SECRET"));
    CHECK_THAT(error(EntraIdentity::certificate, settings), Contains("AZURE_CLIENT_CERTIFICATE_PATH"));
    settings.client_secret = "secret";
    CHECK(error(EntraIdentity::secret, settings).empty());
    for (const char* host : {"http://login.example", "http://127.0.0.1.example", "login.example", "http://localhostess",
                             "http://localhost:x@login.example", "https://login.example@other.example"}) {
        settings.authority_host = host;
        CHECK_THAT(error(EntraIdentity::secret, settings), Contains("AZURE_AUTHORITY_HOST: expected https://host"));
    }
    settings.metadata_host = "http://169.254.169.254.example";
    CHECK_THAT(error(EntraIdentity::managed, settings), Contains("AZURE_POD_IDENTITY_AUTHORITY_HOST: expected https"));
    settings.metadata_host = "http://10.0.0.1";
    CHECK_THAT(error(EntraIdentity::managed, settings), Contains("AZURE_POD_IDENTITY_AUTHORITY_HOST: expected https"));
    settings.identity_header = "secret";
    settings.identity_endpoint = "http://11.0.0.1/token";
    CHECK_THAT(error(EntraIdentity::managed, settings), Contains("IDENTITY_ENDPOINT: expected https://host"));
}

TEST_CASE("a managed identity's endpoint may be at any address that Azure gives it, and is asked there")
{
    EntraSettings settings;
    settings.identity_header = "secret";
    settings.timeout = 1ms;
    settings.identity_endpoint = GENERATE("http://169.254.131.2:8081/msi/token", // App Service
                                          "http://172.16.1.3:8081/msi/token",    // Functions on Linux
                                          "http://100.64.100.2/msi/token");      // in a sandbox
    const TokenSource source = make_entra_token_source(EntraIdentity::managed, settings);
    const std::string error = error_of([&] { (void)get(source); });
    CHECK_THAT(error, Contains(settings.identity_endpoint) && !Contains("expected https://host"));
}

TEST_CASE("an identity by its name, and the default one follows from what is set")
{
    EntraSettings settings;
    CHECK(parse_entra_identity("managed", settings) == EntraIdentity::managed);
    CHECK(parse_entra_identity("certificate", settings) == EntraIdentity::certificate);
    CHECK_THAT(error_of([&] { (void)parse_entra_identity("key", settings); }),
               Contains("expected default, managed, workload, secret or certificate, found 'key'"));
    CHECK(parse_entra_identity("default", settings) == EntraIdentity::managed);
    settings.client_id = "client"; // of a managed identity, so far
    settings.client_secret = "secret";
    CHECK(parse_entra_identity("default", settings) == EntraIdentity::managed);
    settings.tenant_id = "tenant";
    settings.certificate_path = settings.federated_token_file = "file";
    CHECK(parse_entra_identity("default", settings) == EntraIdentity::secret);
    settings.client_secret.clear();
    CHECK(parse_entra_identity("default", settings) == EntraIdentity::certificate);
    settings.certificate_path.clear();
    CHECK(parse_entra_identity("default", settings) == EntraIdentity::workload);
}
