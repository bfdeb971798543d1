// Lines over descriptors: a read buffer that hands out lines, an output buffer that is written whole.
#pragma once
#include <stddef.h>

struct input {
  int fd;
  char *bytes;
  size_t capacity, start, end;
};
struct output {
  char *bytes;
  size_t capacity, count;
};

// Blocks until the descriptor has something; returns 0 at its end.
int input_fill(struct input *in);
// The next whole line without its newline, or NULL.
char *input_line(struct input *in, size_t *length);

void output_add(struct output *out, const void *bytes, size_t count);
void output_text(struct output *out, const char *text);
void output_number(struct output *out, long long number);
// As the inside of a JSON string.
void output_escaped(struct output *out, const char *text, size_t count);
int output_write(struct output *out, int fd);

// What stands after `name` in a line that this program's own client wrote: a string value without escapes.
const char *field_text(const char *line, size_t length, const char *name, int *count);
long long field_number(const char *line, size_t length, const char *name);
