# Compares the `listed` headers with those in `folder`.
cmake_minimum_required(VERSION 3.25)

file(GLOB_RECURSE found "${folder}/*.hpp")
list(REMOVE_ITEM found ${listed})
if(found)
    list(JOIN found "\n  " text)
    message(FATAL_ERROR "in no component's list of headers:\n  ${text}")
endif()
