#include "floors.h"
#include "floors_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <signal.h>
#include <unistd.h>

static int floor_echo(void) {
  static char bytes[1 << 20];
  ssize_t n;
  while ((n = read(0, bytes, sizeof bytes)) > 0)
    for (ssize_t done = 0, m; done < n; done += m)
      if ((m = write(1, bytes + done, (size_t)(n - done))) < 0) return 1;
  return 0;
}

int parley_floor(int argc, char **argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // the watcher has no input whose end would tell it
  if (argc == 1 && !strcmp(argv[0], "echo")) return floor_echo();
  if (argc == 3 && !strcmp(argv[0], "post")) return floor_post(argv[1], argv[2]);
  if (argc == 2 && !strcmp(argv[0], "watch")) return floor_watch(argv[1]);
  if (argc == 2 && !strcmp(argv[0], "fetch")) return floor_fetch(argv[1]);
  if (argc == 5 && !strcmp(argv[0], "fill")) return floor_fill(argv[1], argv[2], atoll(argv[3]), atoi(argv[4]));
  fprintf(stderr, "floor: unknown\n");
  return 2;
}

const char *parley_floor_sqlite_version(void) { return sqlite3_libversion(); }
