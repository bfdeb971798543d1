// SQLite's variadic functions and pointer-cast macros, which Swift cannot import.
#pragma once
#include <sqlite3.h>

static inline sqlite3_destructor_type parley_sqlite_transient(void) { return SQLITE_TRANSIENT; }

static inline int parley_sqlite_has_moved(sqlite3 *db, int *moved) {
  return sqlite3_file_control(db, "main", SQLITE_FCNTL_HAS_MOVED, moved);
}

// Triggers of the tables, on this connection. Statements that are prepared already follow.
static inline int parley_sqlite_triggers(sqlite3 *db, int enabled) {
  return sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, enabled, (int *)0);
}

// Before the library is first used: it keeps no account of its memory, for which it would take a lock with every piece
// that it allocates and frees, some thirty for a row.
static inline int parley_sqlite_forgo_statistics(void) { return sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); }
