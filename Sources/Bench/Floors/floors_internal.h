// One function per floor; each runs until its standard input ends.
#pragma once
#include "database.h"
#include "lines.h"

// `mode`: plain; touch, the sidecar after each commit; turns, a lock on the sidecar around each commit.
int floor_post(const char *path, const char *mode);
int floor_watch(const char *path);
int floor_fetch(const char *path);
int floor_fill(const char *path, const char *topic, long long count, int size);
