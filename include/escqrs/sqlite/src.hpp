// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

/// Does what <escqrs/src.hpp> does, and the same for the functions of SQLite's stores and queue.
#pragma once

#include <escqrs/src.hpp>

#include <escqrs/sqlite.hpp>
