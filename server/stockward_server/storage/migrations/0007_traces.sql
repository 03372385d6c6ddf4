-- Which trace an event belongs to, so that it goes on to subscribers and webhooks.
-- depends: 0006_hold_limits

-- migrate: apply
ALTER TABLE events ADD COLUMN traceparent text NOT NULL DEFAULT ''; -- W3C Trace Context; empty: none

-- migrate: rollback
ALTER TABLE events DROP COLUMN traceparent;
