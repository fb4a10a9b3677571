# Reads "major.minor.patch" from the version header, so that the number stands in one place.
function(escqrs_read_version result header)
    file(STRINGS "${header}" lines REGEX "^#define ESCQRS_VERSION_(MAJOR|MINOR|PATCH) [0-9]+$")
    list(TRANSFORM lines REPLACE "^.* " "")
    list(JOIN lines "." version)
    set(${result} "${version}" PARENT_SCOPE)
endfunction()
