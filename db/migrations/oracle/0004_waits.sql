-- Schema 4 on Oracle: since when an attempt waited for its turn. Released: never edited again.

ALTER TABLE attempts ADD ready_at BINARY_DOUBLE;
