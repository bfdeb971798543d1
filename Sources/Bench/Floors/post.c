#include "floors_internal.h"
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { batch_limit = 256 };

static int iso_time(char *text, size_t size) {
  struct timespec now;
  struct tm parts;
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &parts);
  size_t n = strftime(text, size, "%Y-%m-%dT%H:%M:%S", &parts);
  return (int)n + snprintf(text + n, size - n, ".%03ldZ", now.tv_nsec / 1000000);
}

static long long insert(sqlite3 *db, sqlite3_stmt *statement, const char *line, size_t length) {
  int topic_count, content_count;
  const char *topic = field_text(line, length, "\"topic\":\"", &topic_count);
  const char *content = field_text(line, length, "\"content\":\"", &content_count);
  char time[64];
  int time_count = iso_time(time, sizeof time);
  sqlite3_bind_text(statement, 1, topic, topic_count, SQLITE_STATIC);
  sqlite3_bind_text(statement, 2, "bench", 5, SQLITE_STATIC);
  sqlite3_bind_text(statement, 3, content, content_count, SQLITE_STATIC);
  sqlite3_bind_text(statement, 4, time, time_count, SQLITE_STATIC);
  return database_run(statement) ? sqlite3_last_insert_rowid(db) : -1;
}

static void answer(struct output *out, long long id, long long row) {
  output_text(out, "{\"jsonrpc\":\"2.0\",\"id\":");
  output_number(out, id);
  output_text(out, ",\"result\":{\"backendMsgId\":\"");
  output_number(out, row);
  output_text(out, "\"}}\n");
}

int floor_post(const char *path, const char *mode) {
  int turnstile = !strcmp(mode, "turns"), touch = !strcmp(mode, "touch");
  sqlite3 *db = database_open(path);
  int sidecar = database_sidecar(path);
  if (!db || sidecar < 0) return 1;
  // Whatever has arrived forms the next batch; a single line needs no BEGIN and COMMIT of its own.
  sqlite3_stmt *begin = database_prepare(db, "BEGIN IMMEDIATE"), *commit = database_prepare(db, "COMMIT");
  sqlite3_stmt *add =
      database_prepare(db, "INSERT INTO messages(topic, sender, content, ts) VALUES (?1, ?2, ?3, ?4)");
  if (!begin || !commit || !add) return 1;
  struct input in = {.fd = 0};
  struct output out = {0};
  while (input_fill(&in)) {
    char *lines[batch_limit];
    size_t lengths[batch_limit];
    int count;
    do {
      for (count = 0; count < batch_limit; count++)
        if (!(lines[count] = input_line(&in, &lengths[count]))) break;
      if (count == 0) break;
      if (turnstile) flock(sidecar, LOCK_EX);
      if (count > 1 && !database_run(begin)) return 1;
      for (int i = 0; i < count; i++) {
        long long row = insert(db, add, lines[i], lengths[i]);
        if (row < 0) return 1;
        answer(&out, field_number(lines[i], lengths[i], "\"id\":"), row);
      }
      if (count > 1 && !database_run(commit)) return 1;
      if (turnstile) flock(sidecar, LOCK_UN);
      if (touch && pwrite(sidecar, "!", 1, 0) != 1) return 1;
      if (!output_write(&out, 1)) return 1;
    } while (count == batch_limit);
  }
  sqlite3_finalize(begin), sqlite3_finalize(commit), sqlite3_finalize(add);
  sqlite3_close(db);
  return 0;
}
