// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "guess_limit.hpp"

#include <boost/asio/ip/address.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <string>

namespace http {
namespace {

namespace ip = boost::asio::ip;

/// What counts as one client: an IPv4 address, or an IPv6 network, of which its owner has all addresses.
std::string key_of(std::string_view client)
{
    boost::system::error_code error;
    const auto address = ip::make_address(client, error);
    if (error || address.is_v4()) return std::string{client};
    const auto v6 = address.to_v6();
    if (v6.is_v4_mapped()) return ip::make_address_v4(ip::v4_mapped, v6).to_string();
    const auto bytes = v6.to_bytes();
    return {bytes.begin(), bytes.begin() + 8};
}

/// One of at most 256 groups of networks: for clients that cannot be remembered each, so that who has very many
/// addresses of one network shuts out only its neighbours.
std::string neighbourhood_of(std::string_view client)
{
    boost::system::error_code error;
    const auto address = ip::make_address(client, error);
    if (error) return {};
    unsigned hash = 0;
    const auto take = [&](const auto& bytes, std::size_t count) {
        for (std::size_t index = 0; index < count; ++index) hash = hash * 31 + bytes[index];
    };
    if (address.is_v4()) take(address.to_v4().to_bytes(), 2);
    else take(address.to_v6().to_bytes(), 4);
    return "near " + std::to_string(hash % 256);
}

} // namespace

std::optional<GuessLimit::Duration> GuessLimit::take(std::string_view client, Time now)
{
    const std::scoped_lock lock{mutex_};
    Account& account = account_of(client, now);
    const Time due = std::max(account.due, now);
    const Time all_due = std::max(all_due_, now);
    Duration wait = due - now - (options_.burst - 1) * options_.interval;
    if (account.wrong_until > now && account.right_until <= now)
        wait = std::max(wait, all_due - now - (options_.burst_of_all - 1) * options_.interval_of_all);
    if (wait > options_.longest_wait) return std::nullopt;
    account.due = due + options_.interval;
    all_due_ = std::min(all_due + options_.interval_of_all,
                        now + options_.burst_of_all * options_.interval_of_all + options_.longest_wait);
    return std::max(wait, Duration::zero());
}

void GuessLimit::was_right(std::string_view client, Time now)
{
    const std::scoped_lock lock{mutex_};
    Account& account = account_of(client, now);
    account.due -= options_.interval;
    all_due_ -= options_.interval_of_all;
    account.right_until = now + options_.memory_of_right;
}

void GuessLimit::was_wrong(std::string_view client, Time now)
{
    const std::scoped_lock lock{mutex_};
    account_of(client, now).wrong_until = now + options_.memory_of_wrong;
}

GuessLimit::Account& GuessLimit::account_of(std::string_view client, Time now)
{
    std::string key = key_of(client);
    if (const auto known = accounts_.find(key); known != accounts_.end()) return known->second;
    if (accounts_.size() >= options_.max_clients && now >= next_sweep_) {
        next_sweep_ = now + options_.interval;
        std::erase_if(accounts_, [&](const auto& entry) { return entry.second.is_forgotten(now); });
    }
    if (accounts_.size() >= options_.max_clients) key = neighbourhood_of(client);
    return accounts_[std::move(key)];
}

} // namespace http
