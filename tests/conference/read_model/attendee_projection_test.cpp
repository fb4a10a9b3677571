// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "read_model_fixture.hpp"

#include <escqrs/testing/catch2.hpp>

#include <string>

using namespace conference;
using namespace conference::test;

namespace {

struct Model {
    TemporaryFolder folder;
    Publisher publisher{folder.file("read-model.db")};
    AttendeeQueries queries{folder.file("read-model.db")};
    AttendeeId id = new_attendee_id();

    std::int64_t mails() // that are owed
    {
        return publisher.database.query_integer(
            "SELECT count(*) FROM outgoing_mail WHERE sent_at IS NULL AND given_up_at IS NULL");
    }
};

} // namespace

TEST_CASE("projection: an attendee's life as the read model shows it")
{
    Model model;
    const ConfirmationId confirmation{escqrs::random_uuid()};
    AttendeeView expected;
    expected.id = model.id;
    expected.registered = true;
    expected.email = "ada@example.org";
    expected.version = escqrs::StreamVersion{1};
    expected.position = escqrs::GlobalPosition{1};
    expected.registered_at = expected.updated_at = moment(1);

    CHECK(model.queries.find(model.id) == std::nullopt);
    model.publisher.publish(model.id, 1, AttendeeRegistered{"ada@example.org"});
    CHECK(model.queries.find(model.id) == expected);

    const auto happened = [&](std::uint64_t version) {
        expected.version = escqrs::StreamVersion{version};
        expected.position = escqrs::GlobalPosition{version};
        expected.updated_at = moment(version);
    };
    model.publisher.publish(model.id, 2, EmailChangeRequested{"lovelace@example.net", confirmation});
    happened(2);
    expected.pending_email = "lovelace@example.net";
    CHECK(model.queries.find(model.id) == expected);

    model.publisher.publish(model.id, 3, EmailChangeConfirmed{"lovelace@example.net"});
    happened(3);
    expected.email = "lovelace@example.net";
    expected.pending_email.reset();
    CHECK(model.queries.find(model.id) == expected);

    model.publisher.publish(model.id, 4, AttendeeUnregistered{"other plans"});
    happened(4);
    expected.registered = false;
    expected.reason = "other plans";
    CHECK(model.queries.find(model.id) == expected);
}

TEST_CASE("projection: a registration and a request to change the email owe a mail, once for each event")
{
    Model model;
    const ConfirmationId confirmation{escqrs::random_uuid()};
    const auto registration = model.publisher.publish(model.id, 1, AttendeeRegistered{"ada@example.org"});
    CHECK(model.mails() == 1);
    const EmailChangeRequested request{"lovelace@example.net", confirmation};
    const auto context = model.publisher.publish(model.id, 2, request);
    CHECK(model.mails() == 2);
    model.publisher.bus.publish(request, context);
    CHECK(model.mails() == 2);

    escqrs::sqlite::Statement select{model.publisher.database,
                                     "SELECT event_id, recipient, attendee_id, confirmation_id, created_at, sent_at "
                                     "FROM outgoing_mail ORDER BY created_at"};
    auto row = select.query();
    REQUIRE(row.next());
    CHECK(row.text(0) == to_string(registration.id));
    CHECK(row.text(1) == "ada@example.org");
    CHECK(row.text(2) == to_string(model.id));
    CHECK(row.text(3).empty()); // it brings the key
    REQUIRE(row.next());
    CHECK(row.text(0) == to_string(context.id));
    CHECK(row.text(1) == "lovelace@example.net");
    CHECK(row.text(2) == to_string(model.id));
    CHECK(row.text(3) == to_string(confirmation));
    CHECK(row.time(4) == context.recorded_at);
    CHECK(row.is_null(5));
}

TEST_CASE("projection: a replayed event changes the view and owes no mail")
{
    Model model;
    const ConfirmationId confirmation{escqrs::random_uuid()};
    model.publisher.publish(model.id, 1, AttendeeRegistered{"ada@example.org"}, true);
    model.publisher.publish(model.id, 2, EmailChangeRequested{"lovelace@example.net", confirmation}, true);
    CHECK(model.queries.find(model.id)->pending_email == "lovelace@example.net");
    CHECK(model.mails() == 0);
    const auto request = model.queries.confirmation_request(confirmation); // the link in the mail still works
    REQUIRE(request);
    CHECK(request->attendee_id == model.id);
    CHECK(request->email == "lovelace@example.net");
    CHECK_FALSE(model.queries.confirmation_request(ConfirmationId{escqrs::random_uuid()}));
}

TEST_CASE("projection: what fits no attendee is an error, and leaves nothing behind")
{
    Model model;
    const auto refused = [&](const AttendeeId& id, const auto& event) {
        const auto revision = model.queries.revision();
        CHECK_THROWS_AS(model.publisher.publish(id, 2, event), escqrs::EventDispatchError);
        CHECK(model.queries.revision() == revision);
    };
    refused(model.id, EmailChangeRequested{"ada@example.org", {}});
    refused(model.id, EmailChangeConfirmed{"ada@example.org"});
    refused(model.id, AttendeeUnregistered{"other plans"});
    CHECK(model.mails() == 0);

    model.publisher.publish(model.id, 1, AttendeeRegistered{"ada@example.org"});
    refused(model.id, AttendeeRegistered{"eve@example.org"});
    CHECK(model.queries.find(model.id)->email == "ada@example.org");

    SECTION("another category of stream")
    {
        escqrs::EventContext context{.stream = escqrs::StreamId{"speaker", escqrs::random_uuid()},
                                     .version = escqrs::StreamVersion{1},
                                     .position = escqrs::GlobalPosition{7},
                                     .id = {}};
        CHECK_THROWS_AS(model.publisher.bus.publish(AttendeeRegistered{"ada@example.org"}, context),
                        escqrs::EventDispatchError);
    }
    SECTION("a position that no log has")
    {
        const auto position = model.queries.progress().position;
        model.publisher.position = ~std::uint64_t{0} - 1;
        refused(new_attendee_id(), AttendeeRegistered{"ada@example.org"});
        CHECK(model.queries.progress().position == position);
    }
}
