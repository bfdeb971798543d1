// What the floors of all servers share: the clock, the figures, the command line.
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef unsigned long long nanoseconds;

// Unmeasured round trips before the measured ones.
enum { warm = 200 };

static nanoseconds now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (nanoseconds)time.tv_sec * 1000000000 + (nanoseconds)time.tv_nsec;
}

static void fail(const char *what, const char *why) {
  fprintf(stderr, "floor: %s: %s\n", what, why);
  exit(1);
}

// Nanoseconds, one figure a line, then "seconds" and the whole time.
static void report(const nanoseconds *times, long count, nanoseconds whole) {
  for (long i = 0; i < count; i++) printf("%llu\n", times[i]);
  printf("seconds %.9f\n", (double)whole / 1e9);
}

// `size` bytes of content.
static char *content(int size) {
  char *text = malloc((size_t)size + 1);
  memset(text, 'x', (size_t)size);
  text[size] = 0;
  return text;
}

// The place of the `index`-th page among `places` of them, spread over all.
static size_t spread(long index, size_t places) { return (size_t)((nanoseconds)index * 0x9E3779B97F4A7C15ull) % places; }

// The floors of one server; `same`: with all that Parley writes beside the text.
struct floor {
  int (*roundtrip)(const char *url, const char *stream, long count, int size);
  int (*post)(const char *url, const char *stream, long count, long window, int size, int same);
  int (*fetch)(const char *url, const char *stream, long count);
};

static int run(struct floor floor, int argc, char **argv) {
  const char *what = argc > 3 ? argv[2] : "";
  if (argc == 6 && !strcmp(what, "roundtrip")) return floor.roundtrip(argv[1], argv[3], atol(argv[4]), atoi(argv[5]));
  if (argc == 8 && !strcmp(what, "post"))
    return floor.post(argv[1], argv[3], atol(argv[4]), atol(argv[5]), atoi(argv[6]), !strcmp(argv[7], "same"));
  if (argc == 5 && !strcmp(what, "fetch")) return floor.fetch(argv[1], argv[3], atol(argv[4]));
  fail(what, "unknown");
  return 2;
}
