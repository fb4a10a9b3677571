SELECT events.position, streams.name AS stream, events.version,
       strftime('%Y-%m-%dT%H:%M:%fZ', events.recorded_at / 1e6, 'unixepoch') AS recorded_at,
       json_extract(CAST(events.payload AS TEXT), '$.customer') AS customer
FROM events
JOIN streams ON streams.id = events.stream
JOIN event_kinds ON event_kinds.id = events.kind
WHERE event_kinds.type = 'OrderPlaced' AND event_kinds.content_type = 'application/json'
ORDER BY events.position;
