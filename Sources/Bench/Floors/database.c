#include "database.h"
#include <fcntl.h>
#include <stdio.h>

int database_execute(sqlite3 *db, const char *sql) {
  char *message = NULL;
  if (sqlite3_exec(db, sql, NULL, NULL, &message) == SQLITE_OK) return 1;
  fprintf(stderr, "floor: %s: %s\n", sql, message ? message : "failed");
  sqlite3_free(message);
  return 0;
}

sqlite3 *database_open(const char *path) {
  sqlite3 *db = NULL;
  // One thread uses each connection, so SQLite's own mutexes would only be a cost.
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  if (sqlite3_open_v2(path, &db, flags, NULL) != SQLITE_OK) {
    fprintf(stderr, "floor: %s: %s\n", path, sqlite3_errmsg(db));
    return NULL;
  }
  sqlite3_busy_timeout(db, 30000);
  // SQLite's own checkpoint at 1,000 pages stays: the WAL is then overwritten in place, and syncing a file that does not
  // grow is a third faster at the median than syncing one that does.
  int made = database_execute(db,
      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
      "CREATE TABLE IF NOT EXISTS messages(id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL,"
      " sender TEXT NOT NULL, content TEXT NOT NULL, ts TEXT NOT NULL, in_reply_to TEXT);"
      "CREATE INDEX IF NOT EXISTS idx_messages_topic_id ON messages(topic, id);");
  return made ? db : NULL;
}

sqlite3_stmt *database_prepare(sqlite3 *db, const char *sql) {
  sqlite3_stmt *statement = NULL;
  if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) != SQLITE_OK)
    fprintf(stderr, "floor: %s: %s\n", sql, sqlite3_errmsg(db));
  return statement;
}

int database_run(sqlite3_stmt *statement) {
  int result = sqlite3_step(statement);
  sqlite3_reset(statement);
  if (result == SQLITE_DONE || result == SQLITE_ROW) return 1;
  fprintf(stderr, "floor: %s: %s\n", sqlite3_sql(statement), sqlite3_errmsg(sqlite3_db_handle(statement)));
  return 0;
}

int database_sidecar(const char *path) {
  char name[4096];
  snprintf(name, sizeof name, "%s-notify", path);
  return open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}
