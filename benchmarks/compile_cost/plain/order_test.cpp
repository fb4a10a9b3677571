// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// The rules of an order, by functions and comparisons.
#include "order.hpp"

#include <iostream>
#include <string>
#include <vector>

using namespace shop;

namespace {

const OrderOpened opened{"Ada"};
const ItemAdded lamp{"lamp", 2, 4900};
const AddressChanged address{"12 St James's Square", "London"};
const OrderPlaced placed{9800};
const OrderPaid paid{"receipt 1"};
const OrderShipped shipped{"parcel 1"};
const OrderCancelled cancelled{"too late"};

int failures = 0;

void check(bool holds, const char* what)
{
    if (holds) return;
    ++failures;
    std::cout << "FAILED  " << what << '\n';
}

Order given(const std::vector<Event>& events)
{
    Order order{"order-1"};
    for (const Event& event : events) order.replay(event);
    return order;
}

template <class Work>
void raises(const std::vector<Event>& history, Work work, const std::vector<Event>& expected, const char* what)
{
    Order order = given(history);
    work(order);
    check(order.raised() == expected, what);
}

template <class Work>
void refuses(const std::vector<Event>& history, Work work, const char* part)
{
    Order order = given(history);
    try {
        work(order);
        check(false, part);
    } catch (const Refused& error) {
        check(std::string{error.what()}.find(part) != std::string::npos, error.what());
    }
}

} // namespace

int main()
{
    check(Order::open("order-1", "Ada").raised() == std::vector<Event>{opened}, "an order is opened");

    raises(
        {opened}, [](Order& order) { order.add("lamp", 2, 4900); }, {lamp}, "items are added");
    refuses(
        {opened}, [](Order& order) { order.add("lamp", 0, 4900); }, "none");
    refuses(
        {opened, lamp, address, placed}, [](Order& order) { order.add("lamp", 1, 4900); }, "state");

    raises(
        {opened, lamp}, [](Order& order) { order.remove("lamp"); }, {ItemRemoved{"lamp"}}, "items are removed");
    refuses(
        {opened}, [](Order& order) { order.remove("lamp"); }, "no lamp");

    raises(
        {opened}, [](Order& order) { order.send_to("12 St James's Square", "London"); }, {address}, "the address");
    refuses(
        {opened, lamp, address, placed, paid, shipped}, [](Order& order) { order.send_to("1 High Street", "Oxford"); },
        "too late");

    raises(
        {opened, lamp, address}, [](Order& order) { order.place(); }, {placed}, "an order is placed");
    refuses(
        {opened, address}, [](Order& order) { order.place(); }, "empty");
    refuses(
        {opened, lamp}, [](Order& order) { order.place(); }, "no address");

    raises(
        {opened, lamp, address, placed}, [](Order& order) { order.pay("receipt 1"); }, {paid}, "an order is paid");
    refuses(
        {opened, lamp, address, placed, paid}, [](Order& order) { order.pay("receipt 2"); }, "state");

    raises(
        {opened, lamp, address, placed, paid}, [](Order& order) { order.ship("parcel 1"); }, {shipped},
        "it is shipped");
    refuses(
        {opened, lamp, address, placed}, [](Order& order) { order.ship("parcel 1"); }, "state");

    raises(
        {opened}, [](Order& order) { order.cancel("too late"); }, {cancelled}, "an order is cancelled");
    raises(
        {opened, cancelled}, [](Order& order) { order.cancel("too late"); }, {}, "an order is cancelled once");
    refuses(
        {opened, lamp, address, placed, paid, shipped}, [](Order& order) { order.cancel("too late"); }, "too late");

    raises(
        {opened, lamp, address, placed, paid, cancelled}, [](Order& order) { order.refund(); }, {OrderRefunded{9800}},
        "what was paid is refunded");
    refuses(
        {opened, lamp, address, placed, paid, cancelled, OrderRefunded{9800}}, [](Order& order) { order.refund(); },
        "nothing");
    return failures == 0 ? 0 : 1;
}
