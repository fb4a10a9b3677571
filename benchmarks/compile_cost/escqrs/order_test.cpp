// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// The rules of an order, as given-when-then.
#include "order.hpp"

#include <escqrs/testing/given_when_then.hpp>
#include <escqrs/testing/specification.hpp>

#include <iostream>

using namespace shop;
using escqrs::testing::check;
using escqrs::testing::given;
using escqrs::testing::when;

namespace {

const OrderOpened opened{"Ada"};
const ItemAdded lamp{"lamp", 2, 4900};
const AddressChanged address{"12 St James's Square", "London"};
const OrderPlaced placed{9800};
const OrderPaid paid{"receipt 1"};
const OrderShipped shipped{"parcel 1"};
const OrderCancelled cancelled{"too late"};

const escqrs::testing::Specification opening{"an order is opened", [] {
                                                 const Order::Id id =
                                                     Order::Id::parse("00000000-0000-4000-8000-000000000001");
                                                 when([&] { return Order::open(id, "Ada"); }).then(opened);
                                             }};
const escqrs::testing::Specification adding{
    "items are added to an open order", [] {
        given<Order>(opened).when([](Order& order) { order.add("lamp", 2, 4900); }).then(lamp);
        given<Order>(opened).when([](Order& order) { order.add("lamp", 0, 4900); }).then_throws<Refused>("none");
        given<Order>(opened, lamp, address, placed)
            .when([](Order& order) { order.add("lamp", 1, 4900); })
            .then_throws<Refused>("state");
    }};
const escqrs::testing::Specification removing{
    "what was added can be removed", [] {
        given<Order>(opened, lamp).when([](Order& order) { order.remove("lamp"); }).then(ItemRemoved{"lamp"});
        given<Order>(opened).when([](Order& order) { order.remove("lamp"); }).then_throws<Refused>("no lamp");
    }};
const escqrs::testing::Specification moving{
    "the address can be changed until the order is shipped", [] {
        given<Order>(opened).when([](Order& order) { order.send_to("12 St James's Square", "London"); }).then(address);
        given<Order>(opened, lamp, address, placed, paid, shipped)
            .when([](Order& order) { order.send_to("1 High Street", "Oxford"); })
            .then_throws<Refused>("too late");
    }};
const escqrs::testing::Specification placing{
    "an order with items and an address can be placed", [] {
        given<Order>(opened, lamp, address).when([](Order& order) { order.place(); }).then(placed);
        given<Order>(opened, address).when([](Order& order) { order.place(); }).then_throws<Refused>("empty");
        given<Order>(opened, lamp).when([](Order& order) { order.place(); }).then_throws<Refused>("no address");
    }};
const escqrs::testing::Specification paying{
    "a placed order is paid once", [] {
        given<Order>(opened, lamp, address, placed).when([](Order& order) { order.pay("receipt 1"); }).then(paid);
        given<Order>(opened, lamp, address, placed, paid)
            .when([](Order& order) { order.pay("receipt 2"); })
            .then_throws<Refused>("state");
    }};
const escqrs::testing::Specification shipping{"a paid order is shipped", [] {
                                                  given<Order>(opened, lamp, address, placed, paid)
                                                      .when([](Order& order) { order.ship("parcel 1"); })
                                                      .then(shipped);
                                                  given<Order>(opened, lamp, address, placed)
                                                      .when([](Order& order) { order.ship("parcel 1"); })
                                                      .then_throws<Refused>("state");
                                              }};
const escqrs::testing::Specification cancelling{
    "an order can be cancelled until it is shipped", [] {
        given<Order>(opened).when([](Order& order) { order.cancel("too late"); }).then(cancelled);
        given<Order>(opened, cancelled).when([](Order& order) { order.cancel("too late"); }).then_nothing();
        given<Order>(opened, lamp, address, placed, paid, shipped)
            .when([](Order& order) { order.cancel("too late"); })
            .then_throws<Refused>("too late");
    }};
const escqrs::testing::Specification refunding{"what was paid is refunded once", [] {
                                                   given<Order>(opened, lamp, address, placed, paid, cancelled)
                                                       .when([](Order& order) { order.refund(); })
                                                       .then(OrderRefunded{9800})
                                                       .when([](Order& order) { order.refund(); })
                                                       .then_throws<Refused>("nothing");
                                               }};

} // namespace

int main()
{
    return check({opening, adding, removing, moving, placing, paying, shipping, cancelling, refunding}, std::cout);
}
