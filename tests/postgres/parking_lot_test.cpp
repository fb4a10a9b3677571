// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// What projections/sql/parking_lot_test.cpp leaves to PostgreSQL alone.
#include <escqrs/postgres/parking_lot.hpp>

#include <escqrs/testing/catch2.hpp>

#include "postgres/server.hpp"

#include <string>

using namespace escqrs;

TEST_CASE("a stream is parked with an error of any bytes")
{
    postgres::Connection connection{postgres_test::Server::shared().address()};
    postgres::ParkingLot lot{connection, "one", postgres_test::Server::shared().new_schema()};
    const StreamId stream{"account", "1"};
    lot.put({.stream = stream, .error = std::string{"torn \xFF and \0 NUL", 14}});
    REQUIRE(lot.find(stream));
    CHECK(lot.find(stream)->error == "torn ? and ? N");
}
