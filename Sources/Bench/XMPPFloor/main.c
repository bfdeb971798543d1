// What Parley's work on an XMPP server costs in plain C over OpenSSL: the floor of `parley bench --backend xmpp`.
//
//   parley-floor-xmpp xmpps://HOST:PORT CA MODE roundtrip ROOM COUNT SIZE   a message to a room until another
//                                                                           connection of the account is given it
//   parley-floor-xmpp xmpps://HOST:PORT CA MODE fetch ROOM COUNT ID...      the 200 messages after an entry of the
//                                                                           room's archive, from each id in turn
//
// MODE is plain, or managed for connections with stream management (XEP-0198), whose requests are answered as they are
// read.
//
// ROOM is a whole JID; roundtrip enters it. CA is a file of authorities, empty for the system's. The account (user@domain)
// and its password are read from PARLEY_BENCH_ACCOUNT and PARLEY_BENCH_PASSWORD; TLS from the first byte, SASL PLAIN.
// Nothing is parsed: what is waited for is searched. Writes nanoseconds, one figure a line, then "seconds" and the whole
// time.
#define _GNU_SOURCE
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

typedef unsigned long long nanoseconds;

static nanoseconds now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (nanoseconds)time.tv_sec * 1000000000 + (nanoseconds)time.tv_nsec;
}

static void fail(const char *what, const char *why) {
  fprintf(stderr, "floor: %s: %.400s\n", what, why);
  exit(1);
}

// A stream, and what came on it that was not looked at yet.
typedef struct {
  SSL *ssl;
  char *bytes;
  size_t size, room;
  // Stanzas are counted, and so many came.
  int managed;
  unsigned handled;
} stream;

static void say(stream *s, const char *format, ...) {
  char *text;
  va_list arguments;
  va_start(arguments, format);
  int length = vasprintf(&text, format, arguments);
  va_end(arguments);
  if (length < 0 || SSL_write(s->ssl, text, length) != length) fail("write", "the stream has ended");
  free(text);
}

static long occurrences(const char *bytes, const char *end, const char *text) {
  long count = 0;
  while ((bytes = memmem(bytes, (size_t)(end - bytes), text, strlen(text)))) bytes++, count++;
  return count;
}

// Counts the stanzas that begin in what was read, but for those that others forward, and answers the server's requests.
static void acknowledge(stream *s, const char *bytes, const char *end) {
  s->handled += (unsigned)(occurrences(bytes, end, "<message") - occurrences(bytes, end, "<forwarded") +
                           occurrences(bytes, end, "<presence") + occurrences(bytes, end, "<iq"));
  if (occurrences(bytes, end, "<r xmlns=")) say(s, "<a xmlns='urn:xmpp:sm:3' h='%u'/>", s->handled);
}

// Waits until a text has come, and drops everything up to its end; what came before it stays at `bytes` until the next.
static void await(stream *s, const char *text, char **before) {
  size_t searched = 0, length = strlen(text);
  for (;;) {
    char *place = s->size >= length ? memmem(s->bytes + searched, s->size - searched, text, length) : NULL;
    if (place) {
      size_t end = (size_t)(place - s->bytes) + length;
      if (s->managed) acknowledge(s, s->bytes, s->bytes + end);
      if (before) *before = strndup(s->bytes, end);
      memmove(s->bytes, s->bytes + end, s->size -= end);
      s->bytes[s->size] = 0;
      return;
    }
    searched = s->size > length ? s->size - length : 0;
    if (s->size + 65536 > s->room) s->bytes = realloc(s->bytes, (s->room = 2 * (s->size + 65536)) + 1);
    int count = SSL_read(s->ssl, s->bytes + s->size, 65536);
    if (count <= 0) fail(text, s->size ? s->bytes : "the stream has ended");
    s->size += (size_t)count;
    s->bytes[s->size] = 0;
    if (strstr(s->bytes, "<failure") || strstr(s->bytes, "<stream:error")) fail(text, s->bytes);
  }
}

static char *account, *domain;

static void open_stream(stream *s) {
  say(s, "<?xml version='1.0'?><stream:stream to='%s' version='1.0' xmlns='jabber:client' "
         "xmlns:stream='http://etherx.jabber.org/streams'>", domain);
  await(s, "</stream:features>", NULL);
}

static stream *dial(const char *url, const char *authorities, int managed) {
  char *host = strdup(url + strlen("xmpps://")), *port = strrchr(host, ':');
  if (!port) fail(url, "no port");
  *port++ = 0;
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
  if (getaddrinfo(host, port, &hints, &found)) fail(host, "unknown");
  int descriptor = socket(found->ai_family, SOCK_STREAM, 0), yes = 1;
  if (connect(descriptor, found->ai_addr, found->ai_addrlen)) fail(url, "no connection");
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  // A room that does not let us in would keep us for ever.
  struct timeval patience = {.tv_sec = 30};
  setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  if (*authorities ? !SSL_CTX_load_verify_file(context, authorities) : !SSL_CTX_set_default_verify_paths(context))
    fail(authorities, "no authorities");
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
  stream *s = calloc(1, sizeof *s);
  s->bytes = calloc(1, (s->room = 65536) + 1);
  s->ssl = SSL_new(context);
  SSL_set1_host(s->ssl, domain);
  SSL_set_tlsext_host_name(s->ssl, domain);
  SSL_set_fd(s->ssl, descriptor);
  if (SSL_connect(s->ssl) != 1) fail(url, "no TLS");
  open_stream(s);
  const char *password = getenv("PARLEY_BENCH_PASSWORD");
  char plain[512], coded[1024];
  int length = snprintf(plain, sizeof plain, "%c%.*s%c%s", 0, (int)(strchr(account, '@') - account), account, 0, password);
  EVP_EncodeBlock((unsigned char *)coded, (unsigned char *)plain, length);
  say(s, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%s</auth>", coded);
  await(s, "<success", NULL);
  await(s, ">", NULL);
  open_stream(s);
  say(s, "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
  await(s, "</jid>", NULL);
  await(s, "</iq>", NULL);
  if (managed) {
    say(s, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
    await(s, "<enabled", NULL);
    await(s, ">", NULL);
    s->managed = 1;
  }
  return s;
}

static void enter(stream *s, const char *room, const char *nick) {
  say(s, "<presence/><presence to='%s/%s'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x>"
         "</presence>", room, nick);
  char *before;
  await(s, "<subject", &before);
  // A room that is new on a server that locks such rooms is opened with the server's own settings.
  if (strstr(before, "code='201'") || strstr(before, "code=\"201\"")) {
    say(s, "<iq type='set' id='open' to='%s'><query xmlns='http://jabber.org/protocol/muc#owner'>"
           "<x xmlns='jabber:x:data' type='submit'/></query></iq>", room);
    await(s, "</message>", NULL);
  }
  free(before);
}

static void report(const nanoseconds *times, long count, nanoseconds whole) {
  for (long i = 0; i < count; i++) printf("%llu\n", times[i]);
  printf("seconds %.9f\n", (double)whole / 1e9);
}

static int roundtrip(const char *url, const char *authorities, int managed, const char *room, long count, int size) {
  stream *writer = dial(url, authorities, managed), *reader = dial(url, authorities, managed);
  enter(writer, room, "writer");
  enter(reader, room, "reader");
  char *padding = malloc((size_t)size + 1);
  memset(padding, 'x', (size_t)size);
  padding[size] = 0;
  nanoseconds *times = calloc((size_t)count, sizeof *times), run = now(), begun = 0;
  enum { warm = 20 };
  for (long i = -warm; i < count; i++) {
    char mark[64];
    snprintf(mark, sizeof mark, "floor %llx.%ld ", run, i);
    if (i == 0) begun = now();
    nanoseconds sent = now();
    // The same elements that Parley sends, of the same length.
    say(writer, "<message type='groupchat' to='%s' id='f%041ld'><body>%s%s</body>"
                "<origin-id xmlns='urn:xmpp:sid:0' id='f%041ld'/>"
                "<parley xmlns='urn:parley:message:1'>{\"handle\":\"writer\",\"instance\":"
                "\"00000000-0000-4000-8000-000000000000\",\"at\":1700000000000}</parley></message>",
        room, i + warm, mark, padding, i + warm);
    await(reader, mark, NULL);
    await(reader, "</message>", NULL);
    if (i >= 0) times[i] = now() - sent;
    // The writer's own reflection says that the room has it, as Parley waits for it too.
    await(writer, mark, NULL);
    await(writer, "</message>", NULL);
  }
  report(times, count, now() - begun);
  return 0;
}

static int fetch(
    const char *url, const char *authorities, int managed, const char *room, long count, char **ids, int places) {
  enum { wanted = 200 };
  stream *s = dial(url, authorities, managed);
  nanoseconds *times = calloc((size_t)count, sizeof *times), begun = now();
  for (long i = 0; i < count; i++) {
    nanoseconds sent = now();
    char *after = strdup(ids[i % places]);
    for (int messages = 0; messages < wanted;) {
      say(s, "<iq type='set' id='q%ld.%d' to='%s'><query xmlns='urn:xmpp:mam:2' queryid='q%ld.%d'>"
             "<set xmlns='http://jabber.org/protocol/rsm'><max>%d</max><after>%s</after></set></query></iq>",
          i, messages, room, i, messages, wanted - messages, after);
      char *page, *place, *last;
      await(s, "</fin>", &page);
      await(s, "</iq>", NULL);
      int found = 0;
      for (place = page; (place = strstr(place, "<result ")); place++) found++;
      last = strstr(page, "<last>");
      if (!found || !last) fail("a page without messages", page);
      messages += found;
      free(after);
      after = strndup(last + 6, strcspn(last + 6, "<"));
      free(page);
    }
    free(after);
    times[i] = now() - sent;
  }
  report(times, count, now() - begun);
  return 0;
}

int main(int argc, char **argv) {
  const char *what = argc > 5 ? argv[4] : "";
  int managed = argc > 3 && !strcmp(argv[3], "managed");
  account = getenv("PARLEY_BENCH_ACCOUNT");
  if (!account || !strchr(account, '@') || !getenv("PARLEY_BENCH_PASSWORD"))
    fail("environment", "PARLEY_BENCH_ACCOUNT (user@domain) and PARLEY_BENCH_PASSWORD are needed");
  domain = strchr(account, '@') + 1;
  if (argc > 1 && strncmp(argv[1], "xmpps://", 8)) fail(argv[1], "the floor speaks TLS from the first byte: xmpps://");
  if (argc == 8 && !strcmp(what, "roundtrip"))
    return roundtrip(argv[1], argv[2], managed, argv[5], atol(argv[6]), atoi(argv[7]));
  if (argc > 7 && !strcmp(what, "fetch"))
    return fetch(argv[1], argv[2], managed, argv[5], atol(argv[6]), argv + 7, argc - 7);
  fprintf(stderr, "floor: unknown\n");
  return 2;
}
