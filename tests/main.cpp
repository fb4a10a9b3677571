// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Catch2's main, compiled once for all test programs; version 3 if it is there, else version 2.
#if __has_include(<catch2/catch_session.hpp>)
#include <catch2/catch_session.hpp>

int main(int argc, char** argv) { return Catch::Session().run(argc, argv); }
#else
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
#endif
