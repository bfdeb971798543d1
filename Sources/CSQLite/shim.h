// SQLite's variadic functions and pointer-cast macros, which Swift cannot import.
#pragma once
#include <sqlite3.h>

static inline sqlite3_destructor_type parley_sqlite_transient(void) { return SQLITE_TRANSIENT; }

static inline int parley_sqlite_has_moved(sqlite3 *db, int *moved) {
  return sqlite3_file_control(db, "main", SQLITE_FCNTL_HAS_MOVED, moved);
}
