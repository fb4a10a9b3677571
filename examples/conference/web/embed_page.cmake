# Writes a C++ file with the contents of the page's files, so that the executable needs no other file.
#
# cmake -Doutput=<page.cpp> -Dfolder=<web/page> "-Dfiles=index.html;app.js;style.css" -P embed_page.cmake
# index.html is served as "/", any other file by its name.
cmake_minimum_required(VERSION 3.25)

set(types
    "html=text/html\; charset=utf-8"
    "css=text/css\; charset=utf-8"
    "js=text/javascript\; charset=utf-8"
    "svg=image/svg+xml"
)

set(arrays "")
set(rows "")
foreach(file IN LISTS files)
    cmake_path(GET file EXTENSION LAST_ONLY extension)
    string(SUBSTRING "${extension}" 1 -1 extension)
    set(type "")
    foreach(row IN LISTS types)
        if(row MATCHES "^${extension}=(.*)$")
            set(type "${CMAKE_MATCH_1}")
        endif()
    endforeach()
    if(type STREQUAL "")
        message(FATAL_ERROR "embed_page.cmake does not know the content type of ${file}")
    endif()
    set(path "/${file}")
    if(file STREQUAL "index.html")
        set(path "/")
    endif()

    file(READ "${folder}/${file}" bytes HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${bytes}")
    string(MAKE_C_IDENTIFIER "file_${file}" name)
    string(APPEND arrays "constexpr char ${name}[] = {${bytes} 0};\n")
    string(APPEND rows "    {\"${path}\", \"${type}\", {${name}, sizeof ${name} - 1}},\n")
endforeach()

file(WRITE "${output}" "// Generated from ${folder} by embed_page.cmake.
#include \"web/page.hpp\"

namespace conference {
namespace {

${arrays}
constexpr PageFile files[] = {
${rows}};

} // namespace

std::span<const PageFile> page_files() noexcept { return files; }

} // namespace conference
")
