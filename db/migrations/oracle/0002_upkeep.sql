-- Schema 2 on Oracle: what a home keeps to look after itself has no place on a server. Released: never edited again.

ALTER TABLE runs ADD untold NUMBER(1) DEFAULT 0 NOT NULL;

ALTER TABLE runs ADD size_bytes NUMBER(19);
