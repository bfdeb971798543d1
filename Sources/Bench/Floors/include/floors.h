// The floors: what Parley's work costs in plain C against the same SQLite, as children behind real pipes.
#pragma once

// Runs the floor that `argv[0]` names (echo, post, watch, fetch, fill) and returns its exit code.
//   echo                      answers every byte with itself
//   post DB plain|touch|turns commits what has arrived (at most 256 a transaction) and answers each line; touch: writes
//                             a byte to DB-notify after each commit; turns: takes turns by a lock on DB-notify
//   watch DB                  waits for DB-notify by inotify and writes each new row as a notification line
//   fetch DB                  answers each line with the 100 rows of its topic after its `since`
//   fill DB TOPIC COUNT SIZE  adds rows without waiting for the disk
int parley_floor(int argc, char **argv);

// The version of the SQLite library that both the floors and Parley run on.
const char *parley_floor_sqlite_version(void);
