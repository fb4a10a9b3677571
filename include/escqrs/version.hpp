// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#define ESCQRS_VERSION_MAJOR 0
#define ESCQRS_VERSION_MINOR 2
#define ESCQRS_VERSION_PATCH 0

/// One number to compare: 10000 * major + 100 * minor + patch.
#define ESCQRS_VERSION (10000 * ESCQRS_VERSION_MAJOR + 100 * ESCQRS_VERSION_MINOR + ESCQRS_VERSION_PATCH)
