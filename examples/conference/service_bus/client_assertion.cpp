// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "client_assertion.hpp"

#include "encoding.hpp"

#include <escqrs/core/error.hpp>
#include <escqrs/core/id_generator.hpp>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <string_view>
#include <vector>

namespace service_bus {
namespace {

constexpr std::chrono::minutes assertion_lifetime{10};

struct OpensslDeleter {
    void operator()(BIO* bio) const noexcept { BIO_free(bio); }
    void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
    void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
    void operator()(X509* certificate) const noexcept { X509_free(certificate); }
};
template <class T>
using Openssl = std::unique_ptr<T, OpensslDeleter>;

[[noreturn]] void refuse(const char* why) { throw escqrs::TransportError{std::string{"client certificate: "} + why}; }

/// Without it OpenSSL would ask at the terminal.
int tell_password(char* buffer, int size, int /*writes*/, void* context)
{
    const auto& password = *static_cast<const std::string*>(context);
    if (password.empty() || password.size() > static_cast<std::size_t>(size)) return -1;
    std::ranges::copy(password, buffer); // without an end: OpenSSL counts
    return static_cast<int>(password.size());
}

Openssl<BIO> open(const std::string& pem)
{
    Openssl<BIO> bio{BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))};
    if (!bio) refuse("OpenSSL has no memory");
    return bio;
}

Openssl<EVP_PKEY> read_key(const ClientCertificate& certificate)
{
    std::string password = certificate.password;
    Openssl<EVP_PKEY> key{PEM_read_bio_PrivateKey(open(certificate.pem).get(), nullptr, tell_password, &password)};
    if (!key) refuse("expected a private key in PEM that can be read with the password given, if it needs one");
    if (EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_RSA) refuse("expected an RSA key");
    return key;
}

/// The SHA-256 of the first certificate that belongs to the key: the file may hold those of its issuers, too.
std::string thumbprint(const std::string& pem, const EVP_PKEY* key)
{
    const Openssl<BIO> bio = open(pem);
    while (const Openssl<X509> certificate{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
        if (X509_check_private_key(certificate.get(), key) != 1) continue;
        std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
        unsigned length = 0;
        if (X509_digest(certificate.get(), EVP_sha256(), digest.data(), &length) != 1) break;
        return base64url(std::span{digest}.first(length));
    }
    refuse("expected a certificate in PEM that belongs to the private key");
}

/// RSASSA-PSS with SHA-256: PS256 in RFC 7518, section 3.5.
std::string sign(std::string_view text, EVP_PKEY* key)
{
    const Openssl<EVP_MD_CTX> context{EVP_MD_CTX_new()};
    EVP_PKEY_CTX* of_key = nullptr; // the context's
    std::size_t length = 0;
    const auto bytes = octets_of(text);
    if (!context || EVP_DigestSignInit(context.get(), &of_key, EVP_sha256(), nullptr, key) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(of_key, RSA_PKCS1_PSS_PADDING) != 1 ||
        EVP_PKEY_CTX_set_rsa_pss_saltlen(of_key, RSA_PSS_SALTLEN_DIGEST) != 1 ||
        EVP_DigestSign(context.get(), nullptr, &length, bytes.data(), bytes.size()) != 1)
        refuse("OpenSSL cannot sign with the key");
    std::vector<unsigned char> signature(length);
    if (EVP_DigestSign(context.get(), signature.data(), &length, bytes.data(), bytes.size()) != 1)
        refuse("OpenSSL cannot sign with the key");
    return base64url(std::span{signature}.first(length));
}

/// A JSON string. Ids and addresses need no more than this; anything else would be no id and no address.
std::string quoted(std::string_view text)
{
    const bool is_plain =
        std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7F' && c != '"' && c != '\\'; });
    if (!is_plain) refuse("expected a client id and an address of printable ASCII letters");
    return '"' + std::string{text} + '"';
}

} // namespace

std::string make_client_assertion(const ClientCertificate& certificate, const std::string& client_id,
                                  const std::string& audience, escqrs::Timestamp now)
{
    const Openssl<EVP_PKEY> key = read_key(certificate);
    const auto second = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch();
    const auto number = [](std::chrono::seconds moment) { return std::to_string(moment.count()); };
    const std::string header =
        R"({"alg":"PS256","typ":"JWT","x5t#S256":")" + thumbprint(certificate.pem, key.get()) + "\"}";
    const std::string claims = R"({"aud":)" + quoted(audience) + R"(,"iss":)" + quoted(client_id) + R"(,"sub":)" +
                               quoted(client_id) + R"(,"jti":")" + escqrs::to_string(escqrs::random_uuid()) +
                               R"(","iat":)" + number(second) + R"(,"nbf":)" + number(second) + R"(,"exp":)" +
                               number(second + assertion_lifetime) + "}";
    const std::string text = base64url(header) + "." + base64url(claims);
    return text + "." + sign(text, key.get());
}

} // namespace service_bus
