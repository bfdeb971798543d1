#define _GNU_SOURCE
#include "system.h"
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

long bench_find_end(const unsigned char *bytes, size_t count, const unsigned char *text, size_t length) {
  const unsigned char *found = memmem(bytes, count, text, length);
  return found ? (long)(found - bytes) + (long)length : -1;
}

int bench_pipe(int *read_end, int *write_end, int wide) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return -1;
  if (wide) fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
  *read_end = ends[0];
  *write_end = ends[1];
  return 0;
}

static void nothing(int signal) { (void)signal; }

void bench_signals(void) {
  struct sigaction action = {.sa_handler = nothing};  // no SA_RESTART: that is the point
  sigaction(SIGALRM, &action, NULL);
  signal(SIGPIPE, SIG_IGN);
}
