// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

namespace escqrs::inline v0::testing::detail {

/// How well an expected event and a found one agree. An event without a partner costs 1.
struct EventVerdict {
    std::string text;
    /// 0: as expected; 1: other fields; 2: another type.
    std::size_t cost = 0;
};

/// The lines of a difference: pairs each expected event with the found one that it fits best, in order, so that one
/// missing or superfluous event leaves the others as they are.
/// @param verdicts  of each expected event with each one found
/// @param missing, superfluous  the line of an expected event without a partner, and of a found one
inline std::vector<std::string> align_events(const std::vector<std::vector<EventVerdict>>& verdicts,
                                             const std::vector<std::string>& missing,
                                             const std::vector<std::string>& superfluous)
{
    const std::size_t rows = missing.size();
    const std::size_t columns = superfluous.size();
    // The least cost of all that is at or after a pair, from the back.
    std::vector<std::vector<std::size_t>> least(rows + 1, std::vector<std::size_t>(columns + 1));
    for (std::size_t row = rows + 1; row-- > 0;) {
        for (std::size_t column = columns + 1; column-- > 0;) {
            if (row == rows || column == columns) least[row][column] = (rows - row) + (columns - column);
            else {
                least[row][column] = std::min({verdicts[row][column].cost + least[row + 1][column + 1],
                                               1 + least[row + 1][column], 1 + least[row][column + 1]});
            }
        }
    }
    std::vector<std::string> lines;
    for (std::size_t row = 0, column = 0; row < rows || column < columns;) {
        const auto cost = least[row][column];
        if (row < rows && column < columns && cost == verdicts[row][column].cost + least[row + 1][column + 1]) {
            lines.push_back(verdicts[row++][column++].text);
        } else if (row < rows && cost == 1 + least[row + 1][column]) lines.push_back(missing[row++]);
        else lines.push_back(superfluous[column++]);
    }
    return lines;
}

} // namespace escqrs::inline v0::testing::detail
