// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "transport.hpp"

#include "folder.hpp"
#include "smtp_client.hpp"

#include <string_view>

namespace mail {

std::unique_ptr<Transport> open_transport(const std::string& url)
{
    constexpr std::string_view folder = "dir:";
    if (url.starts_with(folder) && url.size() > folder.size()) {
        return std::make_unique<Folder>(url.substr(folder.size()));
    }
    if (url.starts_with("smtp://") || url.starts_with("smtps://")) return std::make_unique<SmtpClient>(url);
    throw Error{"mail: expected dir:PATH, smtp://HOST or smtps://HOST, found '" + url.substr(0, url.find(':')) + "'"};
}

} // namespace mail
