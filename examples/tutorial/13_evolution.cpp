// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// The library's books were stored in another shape once. What was stored stays as it is; what is read is of today.
#include <escqrs/codec/upcasting.hpp>
#include <escqrs/commands/repository.hpp>
#include <escqrs/domain/aggregate_root.hpp>
#include <escqrs/in_memory/event_store.hpp>

#include <iostream>
#include <string>
#include <string_view>
#include <tuple>

// --- the first release ---

struct BookAcquiredV0 {
    static constexpr std::string_view event_name = "BookAcquired";

    std::string title; ///< "Dune, Frank Herbert"

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("title", title);
    }
};

/// Two steps in one, which is no longer done.
struct BookSwapped {
    static constexpr std::string_view event_name = "BookSwapped";

    std::string from;
    std::string to;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("from", from) & escqrs::field("to", to);
    }
};

// --- today ---

struct BookAcquired {
    static constexpr std::string_view event_name = "BookAcquired";
    static constexpr unsigned schema_version = 1;
    static constexpr unsigned oldest_schema_version = 1; ///< serialize reads no older one

    std::string title;
    std::string author;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("title", title) & escqrs::field("author", author);
    }
};

struct BookReturned {
    static constexpr std::string_view event_name = "BookReturned";

    std::string reader;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("reader", reader);
    }
};

struct BookLent {
    static constexpr std::string_view event_name = "BookLent";

    std::string reader;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("reader", reader);
    }
};

// --- and how one becomes the other ---

BookAcquired with_author(const BookAcquiredV0& old)
{
    const auto comma = old.title.find(", ");
    if (comma == std::string::npos) return {old.title, ""};
    return {old.title.substr(0, comma), old.title.substr(comma + 2)};
}

std::tuple<BookReturned, BookLent> in_two_steps(const BookSwapped& old) { return {{old.from}, {old.to}}; }

class Book : public escqrs::AggregateRoot<Book, BookAcquired, BookLent, BookReturned> {
public:
    static constexpr std::string_view category = "book";
    using Events = escqrs::Evolution<EventTypes,                   //
                                     escqrs::Upcast<with_author>,  //
                                     escqrs::Upcast<in_two_steps>, //
                                     escqrs::Drop<"NewsletterSent">>;

    explicit Book(const Id& id) : AggregateRoot{id} {}

    const std::string& title() const noexcept { return title_; }
    const std::string& author() const noexcept { return author_; }
    const std::string& reader() const noexcept { return reader_; }

private:
    friend escqrs::Access;

    void apply(const BookAcquired& event)
    {
        title_ = event.title;
        author_ = event.author;
    }
    void apply(const BookLent& event) { reader_ = event.reader; }
    void apply(const BookReturned&) { reader_.clear(); }

    std::string title_;
    std::string author_;
    std::string reader_;
};

/// What the first release left in the store.
template <class... Events>
void store_as_then(escqrs::in_memory::EventStore& store, const escqrs::StreamId& stream, const Events&... events)
{
    const escqrs::Codec<escqrs::EventList<Events...>> codec_of_then;
    const auto store_one = [&](const auto& event) {
        using Event = std::remove_cvref_t<decltype(event)>;
        std::vector<std::byte> bytes;
        codec_of_then.encode(event, bytes);
        const escqrs::NewEvent stored{escqrs::EventId{escqrs::random_uuid()},
                                      Event::event_name,
                                      escqrs::schema_version<Event>(),
                                      codec_of_then.content_type,
                                      bytes,
                                      {}};
        store.append(stream, escqrs::ExpectedVersion::any(), std::span{&stored, 1});
    };
    (store_one(events), ...);
}

int main()
{
    escqrs::in_memory::EventStore store;
    const escqrs::Repository<Book, escqrs::in_memory::EventStore> books{store};
    const auto id = Book::Id::parse("00000000-0000-4000-8000-000000000001");
    const escqrs::StreamId stream{Book::category, id.value()};
    store_as_then(store, stream, BookAcquiredV0{"Dune, Frank Herbert"}, BookSwapped{"Ada", "Bob"});

    const Book book = books.get(id);
    std::cout << book.title() << " by " << book.author() << " is with " << book.reader() << ", at version "
              << book.version().value() << '\n';

    // What newer code has written is refused, in so many words.
    const escqrs::CodecOf<Book> codec;
    const escqrs::EncodedEvent from_tomorrow{BookAcquired::event_name, 7, decltype(codec)::content_type, {}};
    try {
        (void)codec.decode(from_tomorrow);
    } catch (const escqrs::NewerSchemaVersion& error) {
        std::cout << error.what() << '\n';
    }
}
