#include "floors_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

static void column(struct output *out, sqlite3_stmt *row, int index, const char *name) {
  output_text(out, name);
  const char *text = (const char *)sqlite3_column_text(row, index);
  output_escaped(out, text, (size_t)sqlite3_column_bytes(row, index));
  output_text(out, "\"");
}

int floor_watch(const char *path) {
  sqlite3 *db = database_open(path);
  int sidecar = database_sidecar(path), watch = inotify_init1(IN_CLOEXEC);
  char name[4096];
  snprintf(name, sizeof name, "%s-notify", path);
  if (!db || sidecar < 0 || inotify_add_watch(watch, name, IN_MODIFY) < 0) return 1;
  sqlite3_stmt *newest = database_prepare(db, "SELECT coalesce(max(id), 0) FROM messages");
  sqlite3_stmt *rows =
      database_prepare(db, "SELECT id, topic, sender, content FROM messages WHERE id > ?1 ORDER BY id");
  if (!newest || !rows || sqlite3_step(newest) != SQLITE_ROW) return 1;
  long long last = sqlite3_column_int64(newest, 0);
  sqlite3_reset(newest);
  struct output out = {0};
  output_text(&out, "{\"ready\":true}\n");
  if (!output_write(&out, 1)) return 1;
  char events[4096];
  while (read(watch, events, sizeof events) > 0) {
    sqlite3_bind_int64(rows, 1, last);
    while (sqlite3_step(rows) == SQLITE_ROW) {
      last = sqlite3_column_int64(rows, 0);
      output_text(&out, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/claude/channel\",\"params\":{");
      column(&out, rows, 3, "\"content\":\"");
      column(&out, rows, 1, ",\"meta\":{\"topic\":\"");
      column(&out, rows, 2, ",\"sender\":\"");
      column(&out, rows, 0, ",\"cursor\":\"");
      column(&out, rows, 0, ",\"msg_id\":\"");
      output_text(&out, "}}}\n");
    }
    sqlite3_reset(rows);
    if (!output_write(&out, 1)) return 1;
  }
  return 1;
}

int floor_fetch(const char *path) {
  sqlite3 *db = database_open(path);
  sqlite3_stmt *rows = !db ? NULL
      : database_prepare(db, "SELECT id, topic, sender, content, ts FROM messages"
                             " WHERE topic = ?1 AND id > ?2 ORDER BY id LIMIT 100");
  if (!rows) return 1;
  struct input in = {.fd = 0};
  struct output out = {0};
  char *line;
  size_t length;
  while (input_fill(&in)) {
    while ((line = input_line(&in, &length))) {
      int topic_count, since_count;
      const char *topic = field_text(line, length, "\"topic\":\"", &topic_count);
      const char *since = field_text(line, length, "\"since\":\"", &since_count);
      sqlite3_bind_text(rows, 1, topic, topic_count, SQLITE_STATIC);
      sqlite3_bind_int64(rows, 2, since_count ? atoll(since) : 0);
      output_text(&out, "{\"jsonrpc\":\"2.0\",\"id\":");
      output_number(&out, field_number(line, length, "\"id\":"));
      output_text(&out, ",\"result\":{\"messages\":[");
      for (int first = 1; sqlite3_step(rows) == SQLITE_ROW; first = 0) {
        column(&out, rows, 1, first ? "{\"topic\":\"" : ",{\"topic\":\"");
        column(&out, rows, 2, ",\"senderHandle\":\"");
        column(&out, rows, 3, ",\"content\":\"");
        column(&out, rows, 4, ",\"timestamp\":\"");
        column(&out, rows, 0, ",\"backendMsgId\":\"");
        output_text(&out, "}");
      }
      sqlite3_reset(rows);
      output_text(&out, "]}}\n");
      if (!output_write(&out, 1)) return 1;
    }
  }
  sqlite3_finalize(rows);
  sqlite3_close(db);
  return 0;
}

int floor_fill(const char *path, const char *topic, long long count, int size) {
  sqlite3 *db = database_open(path);
  if (!db || !database_execute(db, "PRAGMA synchronous=OFF; BEGIN IMMEDIATE")) return 1;
  sqlite3_stmt *add = database_prepare(db, "INSERT INTO messages(topic, sender, content, ts)"
                                           " VALUES (?1, 'filler', ?2, '2026-01-01T00:00:00.000Z')");
  char *content = malloc((size_t)size);
  if (!add || !content) return 1;
  memset(content, 'x', (size_t)size);
  sqlite3_bind_text(add, 1, topic, -1, SQLITE_STATIC);
  sqlite3_bind_text(add, 2, content, size, SQLITE_STATIC);
  for (long long i = 1; i <= count; i++) {
    if (!database_run(add)) return 1;
    // One transaction of this many rows keeps the WAL small enough to be checkpointed on the way.
    if (i % 50000 == 0 && !database_execute(db, "COMMIT; BEGIN IMMEDIATE")) return 1;
  }
  sqlite3_finalize(add);
  int done = database_execute(db, "COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
  free(content);
  sqlite3_close(db);
  return done ? 0 : 1;
}
