// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <functional>
#include <string>

/// A server as a ctest fixture: one server serves all the tests that need it.
///
/// `<program> start <file>` starts the server in its own process and returns once `<file>` says how to reach it;
/// `<program> stop <file>` ends it. The server also ends with the process that called `start`, which is ctest: an
/// interrupted run leaves nothing behind.
/// @param serve  starts the server, calls `publish` with what its clients must know, and ends the server when that
///               returns
/// @return the program's exit code
int run_server_fixture(int argc, char** argv,
                       const std::function<void(const std::function<void(const std::string&)>& publish)>& serve);

/// What the fixture has published, where ctest names its file in the environment variable `name`.
/// @return empty if there is no fixture: the test starts its own server
std::string server_fixture_text(const char* name);
