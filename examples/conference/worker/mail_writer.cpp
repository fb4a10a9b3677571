// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "mail_writer.hpp"

#include <boost/url/host_type.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

#include <chrono>
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
        throw mail::Error{"mail: the public url: expected http://HOST or https://HOST, found '" + public_url_ + "'"};
    }
    host_ = mail_domain(*parsed);
    if (from_.empty()) from_ = "no-reply@" + host_;
    mail::checked_address(from_);
}

mail::Message MailWriter::operator()(const OwedMail& owed) const
{
    mail::Message mail;
    mail.id = to_string(owed.event_id);
    mail.message_id = mail.id + "@" + host_;
    mail.date = std::chrono::floor<std::chrono::seconds>(owed.created_at);
    mail.from_name = "Conference registration";
    mail.from = from_;
    mail.to = owed.recipient;
    mail.attempt = owed.attempt;
    if (owed.confirmation_id) ask_for_confirmation(mail, to_string(*owed.confirmation_id));
    else bring_key(mail, to_string(owed.attendee_id));
    return mail;
}

/// The address is that of the registration, so its reader may have the key.
void MailWriter::bring_key(mail::Message& mail, const std::string& attendee) const
{
    mail.subject = "Your conference registration: please keep this mail";
    mail.text = "Hello,\n"
                "\n"
                "you are registered for the conference. This link opens your registration:\n"
                "\n" +
                public_url_ + "/#registration=" + attendee +
                "\n"
                "\n"
                "Please keep this mail: the link is the key to your registration. With it you\n"
                "can change your address or give your seat back, and so can anybody else who\n"
                "has it.\n"
                "\n"
                "If you did not register, another person has entered your address. You can\n"
                "ignore this mail, or open the link and give the seat back.\n"
                "\n"
                "We look forward to seeing you at the conference!\n";
}

/// The address may be mistyped and lead to a stranger, so nothing in the mail leads to the registration.
void MailWriter::ask_for_confirmation(mail::Message& mail, const std::string& confirmation) const
{
    mail.subject = "Please confirm your new email address";
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
}

} // namespace conference
