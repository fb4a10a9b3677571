// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/codec/archive/detail/json_reader.hpp>

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

namespace escqrs::inline v0::archive::detail {

/// Finds the fields of one JSON object by name. As long as the caller asks for them in their order in the text, the
/// object is read once and nothing is allocated; the first call out of order builds an index.
class JsonFields {
public:
    /// The object begins at the current place of `reader`; nothing is read before the first call.
    explicit JsonFields(JsonReader& reader) noexcept : reader_{&reader}, begin_{reader.offset()} {}

    /// Puts the reader before the value of field `name`; false, and to the object's start, if there is no such field.
    /// @throws CodecError if a name is asked for twice
    bool find(std::string_view name)
    {
        open();
        if (in_order_) {
            reader_->seek(next_);
            // A name with an escape in it could be taken for another one that is written so.
            if (name.find_first_of("\"\\") == std::string_view::npos && reader_->take_key(name, first_)) {
                first_ = false;
                return true;
            }
            make_index();
        }
        const auto found = index_.find(name);
        if (found == index_.end()) {
            reader_->seek(begin_);
            return false;
        }
        if (found->second.was_read) reader_->fail("field '" + std::string{name} + "' is named twice");
        found->second.was_read = true;
        reader_->seek(found->second.value);
        return true;
    }

    /// Call it when the value that `find` found has been read.
    void value_was_read() noexcept
    {
        if (in_order_) next_ = reader_->offset();
    }

    /// Puts the reader after the object, checking what has not been read of it.
    void finish()
    {
        open();
        if (in_order_) {
            reader_->seek(next_);
            if (reader_->leave('}')) return;
            make_index();
        }
        reader_->seek(end_);
        if (!reader_->leave('}')) reader_->fail_expected("'}'");
    }

private:
    struct Field {
        std::size_t value; ///< where it begins
        bool was_read;
    };

    void open()
    {
        if (next_ != 0) return;
        reader_->enter('{', "an object");
        next_ = reader_->offset();
    }

    void make_index()
    {
        reader_->seek(begin_);
        if (!reader_->take('{')) reader_->fail_expected("an object");
        if (reader_->peek() != '}') {
            do {
                std::string name;
                const std::size_t start = reader_->offset();
                reader_->read_key(name);
                const std::size_t value = reader_->offset();
                const auto [field, is_new] = index_.try_emplace(std::move(name), Field{value, value < next_});
                if (!is_new) {
                    reader_->seek(start);
                    reader_->fail("expected distinct fields, found '" + field->first.substr(0, 64) + "' twice");
                }
                reader_->skip_value();
            } while (reader_->take(','));
        }
        if (reader_->peek() != '}') reader_->fail_expected("',' or '}'");
        end_ = reader_->offset();
        in_order_ = false;
    }

    JsonReader* reader_;
    std::size_t begin_;
    /// After the last field that was read in order; 0 before the object is opened.
    std::size_t next_ = 0;
    /// Of the closing brace, once there is an index.
    std::size_t end_ = 0;
    bool first_ = true;
    bool in_order_ = true;
    std::map<std::string, Field, std::less<>> index_;
};

} // namespace escqrs::inline v0::archive::detail
