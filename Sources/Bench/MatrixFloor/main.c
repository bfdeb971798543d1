// What Parley's work on a homeserver costs in plain C with libcurl: the floor of `parley bench --backend matrix`.
//
//   parley-floor-matrix URL roundtrip ROOM COUNT SIZE   a send on one connection until /sync on another tells of it
//   parley-floor-matrix URL fetch ROOM COUNT EVENT...   the place of an event, and the 200 messages after it, from each
//                                                       event in turn: the two requests that the API needs for that
//
// ROOM is the localpart of an alias; roundtrip makes the room. The account and its password are read from
// PARLEY_BENCH_ACCOUNT and PARLEY_BENCH_PASSWORD. Writes nanoseconds, one figure a line, then "seconds" and the whole
// time.
#define _GNU_SOURCE
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef unsigned long long nanoseconds;

static nanoseconds now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (nanoseconds)time.tv_sec * 1000000000 + (nanoseconds)time.tv_nsec;
}

static void fail(const char *what, const char *why) {
  fprintf(stderr, "floor: %s: %s\n", what, why);
  exit(1);
}

static const char *homeserver;
static struct curl_slist *headers;

// One request that can be made again on its connection, and the answer to it.
typedef struct {
  CURL *easy;
  char *body;
  size_t size, room;
} request;

static size_t take(char *bytes, size_t size, size_t count, void *context) {
  request *r = context;
  size_t more = size * count;
  if (r->size + more + 1 > r->room) r->body = realloc(r->body, r->room = 2 * (r->size + more + 1));
  memcpy(r->body + r->size, bytes, more);
  r->body[r->size += more] = 0;
  return more;
}

static request *make(void) {
  request *r = calloc(1, sizeof *r);
  r->body = calloc(1, r->room = 65536);
  r->easy = curl_easy_init();
  curl_easy_setopt(r->easy, CURLOPT_WRITEFUNCTION, take);
  curl_easy_setopt(r->easy, CURLOPT_WRITEDATA, r);
  curl_easy_setopt(r->easy, CURLOPT_PRIVATE, r);
  return r;
}

// `body` NULL: GET. Kept until the request is made anew.
static void aim(request *r, const char *method, const char *path, const char *body) {
  char *url;
  if (asprintf(&url, "%s/_matrix/client/v3/%s", homeserver, path) < 0) fail("url", "no memory");
  curl_easy_setopt(r->easy, CURLOPT_URL, url);
  free(url);
  curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, headers);
  if (body) {
    curl_easy_setopt(r->easy, CURLOPT_COPYPOSTFIELDS, body);
    curl_easy_setopt(r->easy, CURLOPT_CUSTOMREQUEST, method);
  } else {
    curl_easy_setopt(r->easy, CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(r->easy, CURLOPT_CUSTOMREQUEST, NULL);
  }
  r->size = 0;
  r->body[0] = 0;
}

static void check(request *r, const char *what, CURLcode result) {
  long status = 0;
  if (result != CURLE_OK) fail(what, curl_easy_strerror(result));
  curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
  if (status >= 300) fail(what, r->body);
}

static char *perform(request *r, const char *method, const char *path, const char *body) {
  aim(r, method, path, body);
  check(r, path, curl_easy_perform(r->easy));
  return r->body;
}

// The string after "name":" in a text that is known to have it.
static char *member(const char *text, const char *name) {
  char pattern[64];
  snprintf(pattern, sizeof pattern, "\"%s\":\"", name);
  const char *start = strstr(text, pattern);
  if (!start) fail(name, text);
  start += strlen(pattern);
  return strndup(start, strcspn(start, "\""));
}

static char *escape(request *r, const char *text) { return curl_easy_escape(r->easy, text, 0); }

static char *log_in(request *r) {
  const char *account = getenv("PARLEY_BENCH_ACCOUNT"), *password = getenv("PARLEY_BENCH_PASSWORD");
  if (!account || !password) fail("environment", "PARLEY_BENCH_ACCOUNT and PARLEY_BENCH_PASSWORD are needed");
  char *body, *line;
  headers = curl_slist_append(headers, "Content-Type: application/json");
  headers = curl_slist_append(headers, "Expect:");
  if (asprintf(&body,
          "{\"type\":\"m.login.password\",\"identifier\":{\"type\":\"m.id.user\",\"user\":\"%s\"},\"password\":\"%s\"}",
          account, password) < 0)
    fail("login", "no memory");
  char *answer = perform(r, "POST", "login", body), *user = member(answer, "user_id");
  if (asprintf(&line, "Authorization: Bearer %s", member(answer, "access_token")) < 0) fail("login", "no memory");
  headers = curl_slist_append(headers, line);
  return user;
}

static void report(const nanoseconds *times, long count, nanoseconds whole) {
  for (long i = 0; i < count; i++) printf("%llu\n", times[i]);
  printf("seconds %.9f\n", (double)whole / 1e9);
}

static void listen_on(request *sync, const char *filter, const char *since) {
  char path[8192];
  snprintf(path, sizeof path, "sync?timeout=%d&filter=%s%s%s&set_presence=offline", since ? 25000 : 0, filter,
      since ? "&since=" : "", since ? since : "");
  aim(sync, "GET", path, NULL);
}

static int roundtrip(const char *alias, long count, int size) {
  request *post = make(), *sync = make();
  log_in(post);
  char *body, path[1024], filter[2048];
  if (asprintf(&body,
          "{\"room_alias_name\":\"%s\",\"name\":\"%s\",\"preset\":\"private_chat\",\"initial_state\":[{\"type\":"
          "\"m.room.history_visibility\",\"state_key\":\"\",\"content\":{\"history_visibility\":\"shared\"}}]}",
          alias, alias) < 0)
    fail("createRoom", "no memory");
  char *room = member(perform(post, "POST", "createRoom", body), "room_id");
  // What a client asks for that wants the messages of one room and nothing else.
  snprintf(filter, sizeof filter,
      "{\"room\":{\"rooms\":[\"%s\"],\"timeline\":{\"limit\":50,\"types\":[\"m.room.message\"]},\"state\":{\"types\":[]},"
      "\"ephemeral\":{\"not_types\":[\"*\"]},\"account_data\":{\"not_types\":[\"*\"]}},\"presence\":{\"not_types\":"
      "[\"*\"]},\"account_data\":{\"not_types\":[\"*\"]}}",
      room);
  char *wanted = escape(post, filter), *where = escape(post, room);
  listen_on(sync, wanted, NULL);
  check(sync, "sync", curl_easy_perform(sync->easy));
  char *since = escape(post, member(sync->body, "next_batch"));
  char *padding = malloc((size_t)size + 1);
  memset(padding, 'x', (size_t)size);
  padding[size] = 0;
  char *content = malloc((size_t)size + 1024);

  CURLM *multi = curl_multi_init();
  listen_on(sync, wanted, since);
  curl_multi_add_handle(multi, sync->easy);
  nanoseconds *times = calloc((size_t)count, sizeof *times), run = now(), begun = 0;
  enum { warm = 5 };
  for (long i = -warm; i < count; i++) {
    char mark[64];
    snprintf(mark, sizeof mark, "floor %llx.%ld ", run, i);
    // The content that Parley writes beside the text.
    sprintf(content,
        "{\"msgtype\":\"m.text\",\"body\":\"[floor] %s%s\",\"m.mentions\":{},\"app.parley.topic\":\"%s\","
        "\"app.parley.handle\":\"floor\",\"app.parley.instance\":\"00000000-0000-4000-8000-000000000000\","
        "\"app.parley.key\":\"00000000-0000-4000-8000-%012ld\",\"app.parley.prefixed\":true}",
        mark, padding, alias, i + warm);
    snprintf(path, sizeof path, "rooms/%s/send/m.room.message/floor-%llx-%ld", where, run, i + warm);
    if (i == 0) begun = now();
    nanoseconds sent = now();
    aim(post, "PUT", path, content);
    curl_multi_add_handle(multi, post->easy);
    for (int arrived = 0, answered = 0; !arrived || !answered;) {
      int running = 0, left = 0;
      curl_multi_perform(multi, &running);
      for (CURLMsg *message; (message = curl_multi_info_read(multi, &left));) {
        if (message->msg != CURLMSG_DONE) continue;
        request *ended = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &ended);
        CURLcode result = message->data.result;
        curl_multi_remove_handle(multi, ended->easy);
        check(ended, ended == sync ? "sync" : "send", result);
        if (ended == post) {
          answered = 1;
          continue;
        }
        if (strstr(sync->body, mark)) {
          if (i >= 0) times[i] = now() - sent;
          arrived = 1;
        }
        since = escape(post, member(sync->body, "next_batch"));
        listen_on(sync, wanted, since);
        curl_multi_add_handle(multi, sync->easy);
        curl_multi_perform(multi, &running);
      }
      if (!arrived || !answered) curl_multi_poll(multi, NULL, 0, 10000, NULL);
    }
  }
  report(times, count, now() - begun);
  return 0;
}

static int fetch(const char *alias, long count, char **events, int places) {
  request *get = make();
  char *user = log_in(get), path[4096], name[512];
  snprintf(name, sizeof name, "#%s:%s", alias, strchr(user, ':') + 1);
  snprintf(path, sizeof path, "directory/room/%s", escape(get, name));
  char *room = escape(get, member(perform(get, "GET", path, NULL), "room_id"));
  char *filter = escape(get, "{\"types\":[\"m.room.message\"]}");
  nanoseconds *times = calloc((size_t)count, sizeof *times), begun = now();
  for (long i = 0; i < count; i++) {
    nanoseconds sent = now();
    snprintf(path, sizeof path, "rooms/%s/context/%s?limit=0", room, escape(get, events[i % places]));
    char *token = escape(get, member(perform(get, "GET", path, NULL), "end"));
    snprintf(path, sizeof path, "rooms/%s/messages?dir=f&limit=200&filter=%s&from=%s", room, filter, token);
    char *page = perform(get, "GET", path, NULL);
    int messages = 0;
    for (char *place = page; (place = strstr(place, "\"event_id\":\"")); place++) messages++;
    times[i] = now() - sent;
    if (messages < 200) fail("a page is not 200 messages", page);
  }
  report(times, count, now() - begun);
  return 0;
}

int main(int argc, char **argv) {
  const char *what = argc > 3 ? argv[2] : "";
  curl_global_init(CURL_GLOBAL_DEFAULT);
  homeserver = argc > 1 ? argv[1] : "";
  if (argc == 6 && !strcmp(what, "roundtrip")) return roundtrip(argv[3], atol(argv[4]), atoi(argv[5]));
  if (argc > 5 && !strcmp(what, "fetch")) return fetch(argv[3], atol(argv[4]), argv + 5, argc - 5);
  fprintf(stderr, "floor: unknown\n");
  return 2;
}
