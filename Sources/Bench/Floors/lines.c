#define _GNU_SOURCE
#include "lines.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int input_fill(struct input *in) {
  if (in->start > 0) {
    memmove(in->bytes, in->bytes + in->start, in->end - in->start);
    in->end -= in->start;
    in->start = 0;
  }
  if (in->capacity - in->end < 65536) {
    in->capacity = in->capacity * 2 + 131072;
    in->bytes = realloc(in->bytes, in->capacity);
  }
  ssize_t n;
  do n = read(in->fd, in->bytes + in->end, in->capacity - in->end);
  while (n < 0 && errno == EINTR);
  if (n <= 0) return 0;
  in->end += (size_t)n;
  return 1;
}

char *input_line(struct input *in, size_t *length) {
  char *line = in->bytes + in->start;
  char *newline = in->end > in->start ? memchr(line, '\n', in->end - in->start) : NULL;
  if (!newline) return NULL;
  *length = (size_t)(newline - line);
  in->start += *length + 1;
  return line;
}

static void reserve(struct output *out, size_t more) {
  if (out->count + more <= out->capacity) return;
  out->capacity = (out->count + more) * 2 + 4096;
  out->bytes = realloc(out->bytes, out->capacity);
}

void output_add(struct output *out, const void *bytes, size_t count) {
  reserve(out, count);
  memcpy(out->bytes + out->count, bytes, count);
  out->count += count;
}

void output_text(struct output *out, const char *text) { output_add(out, text, strlen(text)); }

void output_number(struct output *out, long long number) {
  reserve(out, 24);
  out->count += (size_t)sprintf(out->bytes + out->count, "%lld", number);
}

void output_escaped(struct output *out, const char *text, size_t count) {
  reserve(out, count * 6);
  char *to = out->bytes + out->count;
  for (size_t i = 0; i < count; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c == '"' || c == '\\') {
      *to++ = '\\';
      *to++ = (char)c;
    } else if (c < 0x20) {
      to += sprintf(to, "\\u%04x", c);
    } else {
      *to++ = (char)c;
    }
  }
  out->count = (size_t)(to - out->bytes);
}

int output_write(struct output *out, int fd) {
  size_t done = 0;
  while (done < out->count) {
    ssize_t n = write(fd, out->bytes + done, out->count - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return 0;
    done += (size_t)n;
  }
  out->count = 0;
  return 1;
}

static const char *field(const char *line, size_t length, const char *name) {
  const char *at = memmem(line, length, name, strlen(name));
  return at ? at + strlen(name) : NULL;
}

const char *field_text(const char *line, size_t length, const char *name, int *count) {
  const char *at = field(line, length, name);
  const char *close = at ? memchr(at, '"', length - (size_t)(at - line)) : NULL;
  *count = close ? (int)(close - at) : 0;
  return close ? at : "";
}

long long field_number(const char *line, size_t length, const char *name) {
  const char *at = field(line, length, name);
  return at ? atoll(at) : 0;
}
