// What Parley's work on Redis costs in plain C with hiredis: the floor of `parley bench --backend redis`.
//
//   parley-floor-redis URL roundtrip STREAM COUNT SIZE          XADD on one connection until XREAD on another has it
//   parley-floor-redis URL post STREAM COUNT WINDOW SIZE MODE   XADDs, WINDOW of them unanswered; MODE same: the fields
//                                                               that Parley writes; bare: one field
//   parley-floor-redis URL fetch STREAM COUNT                   XRANGE of 100 entries from COUNT places
//
// URL is redis://[[user]:password@]host[:port]. Writes nanoseconds, one figure a line, then "seconds" and the whole time.
#define _GNU_SOURCE
#include "../ServerFloor/floor.h"
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static redisReply *checked(redisContext *c, redisReply *reply) {
  if (!reply) fail("redis", c->errstr);
  if (reply->type == REDIS_REPLY_ERROR) fail("redis", reply->str);
  return reply;
}

static redisContext *dial(const char *url) {
  char text[512], *at, *colon, *host = text, *user = "default", *password = NULL;
  if (strncmp(url, "redis://", 8)) fail(url, "not redis://");
  snprintf(text, sizeof text, "%s", url + 8);
  text[strcspn(text, "/")] = 0;
  if ((at = strrchr(text, '@'))) {
    *at = 0;
    host = at + 1;
    if ((colon = strchr(text, ':'))) {
      *colon = 0;
      password = colon + 1;
      if (*text) user = text;
    }
  }
  int port = 6379;
  if ((colon = strrchr(host, ':'))) {
    *colon = 0;
    port = atoi(colon + 1);
  }
  redisContext *c = redisConnect(host, port);
  if (!c || c->err) fail(url, c ? c->errstr : "no memory");
  int yes = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  if (password) freeReplyObject(checked(c, redisCommand(c, "AUTH %s %s", user, password)));
  return c;
}

static void append_post(redisContext *c, const char *stream, const char *text, long index, int same) {
  char key[32];
  snprintf(key, sizeof key, "floor-key-%019ld", index);
  if (same)
    redisAppendCommand(c, "XADD %s NOMKSTREAM * sender %s content %s ts %s in_reply_to %s key %s instance %s", stream,
        "floor", text, "2026-01-01T00:00:00.000Z", "", key, "0123456789abcdef0123456789abcdef0123");
  else
    redisAppendCommand(c, "XADD %s * content %s", stream, text);
}

static void make(redisContext *c, const char *stream) {
  freeReplyObject(checked(c, redisCommand(c, "XADD %s * content first", stream)));
}

static int roundtrip(const char *url, const char *stream, long count, int size) {
  redisContext *writer = dial(url), *reader = dial(url);
  make(writer, stream);
  char *text = content(size), last[64] = "0";
  nanoseconds *times = calloc((size_t)count, sizeof *times), begun = 0;
  redisReply *first = checked(reader, redisCommand(reader, "XREVRANGE %s + - COUNT 1", stream));
  snprintf(last, sizeof last, "%s", first->element[0]->element[0]->str);
  freeReplyObject(first);
  for (long i = -warm; i < count; i++) {
    if (i == 0) begun = now();
    int done = 0;
    redisAppendCommand(reader, "XREAD BLOCK 5000 STREAMS %s %s", stream, last);
    while (!done) redisBufferWrite(reader, &done);
    nanoseconds sent = now();
    append_post(writer, stream, text, i, 1);
    for (done = 0; !done;) redisBufferWrite(writer, &done);
    redisReply *read = NULL;
    if (redisGetReply(reader, (void **)&read) != REDIS_OK) fail("XREAD", reader->errstr);
    nanoseconds came = now();
    if (i >= 0) times[i] = came - sent;
    if (read->type != REDIS_REPLY_ARRAY) fail("XREAD", "nothing came");
    snprintf(last, sizeof last, "%s", read->element[0]->element[1]->element[0]->element[0]->str);
    freeReplyObject(read);
    redisReply *added = NULL;
    if (redisGetReply(writer, (void **)&added) != REDIS_OK) fail("XADD", writer->errstr);
    freeReplyObject(added);
  }
  report(times, count, now() - begun);
  return 0;
}

static int post(const char *url, const char *stream, long count, long window, int size, int same) {
  redisContext *c = dial(url);
  make(c, stream);
  char *text = content(size);
  nanoseconds *times = calloc((size_t)count, sizeof *times), begun = now();
  for (long sent = 0, answered = 0; answered < count;) {
    nanoseconds time = now();
    for (; sent < count && sent - answered < window; sent++) {
      times[sent] = time;
      append_post(c, stream, text, sent, same);
    }
    redisReply *reply = NULL;
    if (redisGetReply(c, (void **)&reply) != REDIS_OK) fail("XADD", c->errstr);
    // What has come with it is taken too, before the next are sent: one write for all that it frees.
    for (time = now(); reply;) {
      times[answered] = time - times[answered];
      answered++;
      freeReplyObject(checked(c, reply));
      reply = NULL;
      if (redisGetReplyFromReader(c, (void **)&reply) != REDIS_OK) fail("XADD", c->errstr);
    }
  }
  report(times, count, now() - begun);
  return 0;
}

static int fetch(const char *url, const char *stream, long count) {
  redisContext *c = dial(url);
  redisReply *all = checked(c, redisCommand(c, "XRANGE %s - +", stream));
  if (all->elements < 200) fail(stream, "fewer than 200 entries");
  nanoseconds *times = calloc((size_t)count, sizeof *times), begun = now();
  for (long i = 0; i < count; i++) {
    size_t place = spread(i, all->elements - 100);
    nanoseconds sent = now();
    redisReply *page =
        checked(c, redisCommand(c, "XRANGE %s (%s + COUNT 100", stream, all->element[place]->element[0]->str));
    times[i] = now() - sent;
    if (page->elements != 100) fail(stream, "a page is not 100 entries");
    freeReplyObject(page);
  }
  report(times, count, now() - begun);
  return 0;
}

int main(int argc, char **argv) { return run((struct floor){roundtrip, post, fetch}, argc, argv); }
