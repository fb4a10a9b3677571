// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <application/attendee_events.hpp>

#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/golden.hpp>

#include <filesystem>

using namespace conference;

// The files in golden/ hold the bytes of every event in every version that was ever released. If this test fails, fix
// the event, not the file; a new shape is a new version, with new files.
TEST_CASE("every event that was ever released is written and read as it was then")
{
    const auto folder = std::filesystem::path{GOLDEN_FOLDER};
    const auto id = ConfirmationId::parse("123e4567-e89b-12d3-a456-426614174000");
    const auto complaints = escqrs::testing::check_golden<AttendeeEvents>(
        folder, AttendeeRegistered{"zoë@example.org"}, EmailChangeRequested{"zoë@example.com", id},
        EmailChangeConfirmed{"zoë@example.com"}, AttendeeUnregistered{"moved to \"Oslo\""},
        AttendeeUnregisteredV0{"  moved to \"Oslo\"\n"});
    for (const auto& complaint : complaints) FAIL_CHECK(complaint);
}

TEST_CASE("an attendee who unregistered in an earlier release has the reason trimmed")
{
    CHECK(trim_reason({" \t ill \n"}).reason == "ill");
    CHECK(trim_reason({"ill"}).reason == "ill");
    CHECK(trim_reason({"   "}).reason.empty());
}
