// What the client side needs of the C library and Swift cannot see: GNU functions, and a signal's full form.
#pragma once
#include <stddef.h>

// Where `text` first ends in `bytes`; -1 when it is not there.
long bench_find_end(const unsigned char *bytes, size_t count, const unsigned char *text, size_t length);

// A pipe that closes on exec; wide: of 1 MiB where the system allows it. 0, or -1 with errno.
int bench_pipe(int *read_end, int *write_end, int wide);

// Makes an alarm end the blocking call it meets, and a broken pipe an error.
void bench_signals(void);
