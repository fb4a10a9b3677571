# Warns of an SQLite in which a checkpoint can lose commits: https://sqlite.org/wal.html#walresetbug
if(SQLite3_VERSION AND SQLite3_VERSION VERSION_LESS 3.51.3
        AND NOT (SQLite3_VERSION MATCHES "^3\\.50\\.([0-9]+)" AND CMAKE_MATCH_1 GREATER_EQUAL 7)
        AND NOT (SQLite3_VERSION MATCHES "^3\\.44\\.([0-9]+)" AND CMAKE_MATCH_1 GREATER_EQUAL 6))
    message(WARNING "SQLite ${SQLite3_VERSION} has the WAL-reset bug (https://sqlite.org/wal.html#walresetbug), fixed in "
        "3.51.3, 3.50.7 and 3.44.6. escqrs avoids it; other programs that write to the same files may not.")
endif()
