SELECT events.position, streams.name AS stream, events.version, events.recorded_at,
       convert_from(events.payload, 'UTF8')::jsonb ->> 'customer' AS customer
FROM events
JOIN streams ON streams.id = events.stream
JOIN event_kinds ON event_kinds.id = events.kind
WHERE event_kinds.type = 'OrderPlaced' AND event_kinds.content_type = 'application/json'
ORDER BY events.position
