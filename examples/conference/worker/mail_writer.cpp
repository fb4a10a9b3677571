// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "mail_writer.hpp"

#include <boost/url/host_type.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

#include <utility>

namespace conference {
namespace {

/// RFC 5321, section 4.1.3: an address instead of a name stands in brackets, version 6 with a tag.
std::string mail_domain(const boost::urls::url_view& url)
{
    std::string address{url.encoded_host_address()};
    if (url.host_type() == boost::urls::host_type::ipv4) return "[" + address + "]";
    if (url.host_type() == boost::urls::host_type::ipv6) return "[IPv6:" + address + "]";
    return address;
}

} // namespace

MailWriter::MailWriter(std::string public_url, std::string from)
    : public_url_{std::move(public_url)}, from_{std::move(from)}
{
    const auto parsed = boost::urls::parse_uri(public_url_);
    if (!parsed || parsed->encoded_host().empty()) {
        throw MailError{"mail: the public url: expected http://HOST or https://HOST, found '" + public_url_ + "'"};
    }
    host_ = mail_domain(*parsed);
    if (from_.empty()) from_ = "no-reply@" + host_;
    checked_address(from_);
}

Mail MailWriter::operator()(const OwedMail& owed) const
{
    Mail mail;
    mail.id = owed.event_id;
    mail.message_id = to_string(owed.event_id) + "@" + host_;
    mail.date = owed.created_at;
    mail.from_name = "Conference registration";
    mail.from = from_;
    mail.to = owed.recipient;
    mail.subject = "Please confirm your new email address";
    mail.attempt = owed.attempt;

    const std::string confirmation = to_string(owed.confirmation_id);
    mail.text = "Hello,\n"
                "\n"
                "you asked us to use this address for your conference registration.\n"
                "\n"
                "To confirm it, please open this link and press the button on its page:\n"
                "\n" +
                public_url_ + "/#confirm=" + confirmation +
                "\n"
                "\n"
                "If the link does not work, open the page of your registration and enter\n"
                "this confirmation id there:\n"
                "\n" +
                confirmation +
                "\n"
                "\n"
                "Until you confirm, we go on using your old address. If it was not you who\n"
                "asked for this, you need not do anything: nothing will change.\n"
                "\n"
                "We look forward to seeing you at the conference!\n";
    return mail;
}

} // namespace conference
