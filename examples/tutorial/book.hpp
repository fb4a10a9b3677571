// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/domain/aggregate_root.hpp>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

// The domain of the tutorial: books that a library lends.
namespace lending {

struct BookAcquired {
    static constexpr std::string_view event_name = "BookAcquired";

    std::string title;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("title", title);
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

struct BookReturned {
    static constexpr std::string_view event_name = "BookReturned";

    std::string reader;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("reader", reader);
    }
};

/// The domain refuses what it was asked for.
class Refused : public std::domain_error {
public:
    using std::domain_error::domain_error;
};

/// One copy of a book: on the shelf, or with a reader.
class Book : public escqrs::AggregateRoot<Book, BookAcquired, BookLent, BookReturned> {
public:
    static constexpr std::string_view category = "book";

    explicit Book(const Id& id) : AggregateRoot{id} {}

    static Book acquire(const Id& id, std::string title)
    {
        Book book{id};
        book.raise(BookAcquired{std::move(title)});
        return book;
    }

    /// @throws Refused if a reader has the book
    void lend_to(std::string reader)
    {
        if (!reader_.empty()) throw Refused{title_ + " is with " + reader_};
        raise(BookLent{std::move(reader)});
    }

    /// @throws Refused if the book is on the shelf
    void take_back()
    {
        if (reader_.empty()) throw Refused{title_ + " is on the shelf"};
        raise(BookReturned{reader_});
    }

    const std::string& title() const noexcept { return title_; }
    const std::string& reader() const noexcept { return reader_; } ///< who has it; empty: it is on the shelf

private:
    friend escqrs::Access;

    void apply(const BookAcquired& event) { title_ = event.title; }
    void apply(const BookLent& event) { reader_ = event.reader; }
    void apply(const BookReturned&) { reader_.clear(); }

    std::string title_;
    std::string reader_;
};

} // namespace lending
