-- Schema 3 on Oracle: whose each row is. Released: never edited again.

ALTER TABLE runs ADD home_uuid VARCHAR2(64 CHAR);

ALTER TABLE runs ADD home_host VARCHAR2(1000 CHAR);

ALTER TABLE runs ADD home_run_id NUMBER(19);

ALTER TABLE runs ADD home_parent_run_id NUMBER(19);

ALTER TABLE runs ADD copied_at BINARY_DOUBLE;

ALTER TABLE configurations ADD home_uuid VARCHAR2(64 CHAR);

ALTER TABLE configurations ADD home_host VARCHAR2(1000 CHAR);

ALTER TABLE jobs ADD home_uuid VARCHAR2(64 CHAR);

ALTER TABLE jobs ADD home_host VARCHAR2(1000 CHAR);

ALTER TABLE attempts ADD home_uuid VARCHAR2(64 CHAR);

ALTER TABLE attempts ADD home_host VARCHAR2(1000 CHAR);

ALTER TABLE outputs ADD home_uuid VARCHAR2(64 CHAR);

ALTER TABLE outputs ADD home_host VARCHAR2(1000 CHAR);

ALTER TABLE events ADD home_uuid VARCHAR2(64 CHAR);

ALTER TABLE events ADD home_host VARCHAR2(1000 CHAR);

ALTER TABLE events ADD home_event_id NUMBER(19);

CREATE INDEX runs_by_home ON runs (home_uuid, home_run_id);

CREATE UNIQUE INDEX events_by_home ON events (home_uuid, home_event_id, at);
