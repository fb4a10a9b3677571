// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "item.hpp"

#include <escqrs/testing/given_when_then.hpp>
#include <escqrs/testing/specification.hpp>

#include <iostream>

using escqrs::testing::given;

void ships_what_is_in_stock()
{
    given<Item>(Received{10})                          // what has happened
        .when([](Item& item) { item.ship(4, "Ada"); }) // what is asked for
        .then(Shipped{4, "Ada"});                      // what happens
}

void refuses_more_than_that()
{
    given<Item>(Received{10}, Shipped{4, "Ada"})
        .when([](Item& item) { item.ship(7, "Bob"); })
        .then_throws<std::domain_error>("only 6 in stock");
}

int main()
{
    return escqrs::testing::check(
        {{"ships what is in stock", ships_what_is_in_stock}, {"refuses more than that", refuses_more_than_that}},
        std::cout);
}
