// The TypeScript Parley's schema and WAL, with the disk waited for at every commit.
#pragma once
#include <sqlite3.h>

// Opens, creates what is missing; prints the cause and returns NULL when that fails.
sqlite3 *database_open(const char *path);
sqlite3_stmt *database_prepare(sqlite3 *db, const char *sql);
// Runs a statement that returns no rows and resets it; 1 when it succeeded.
int database_run(sqlite3_stmt *statement);
int database_execute(sqlite3 *db, const char *sql);
// The sidecar beside the database, opened for writing; -1 when that fails.
int database_sidecar(const char *path);
