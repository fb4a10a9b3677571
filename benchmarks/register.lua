-- Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
-- For wrk: registers attendees, each with its own address. wrk … -s register.lua URL -- PREFIX
local prefix, count

function init(arguments)
    prefix, count = arguments[1], 0
    wrk.method = "POST"
    wrk.headers["Content-Type"] = "application/json"
end

function request()
    count = count + 1
    return wrk.format(nil, "/api/attendee/register", nil, '{"email":"' .. prefix .. count .. '@example.org"}')
end
