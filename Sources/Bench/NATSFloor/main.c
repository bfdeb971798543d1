// What Parley's work on JetStream costs in plain C with cnats: the floor of `parley bench --backend nats`.
//
//   parley-floor-nats URL roundtrip STREAM COUNT SIZE         publish on one connection until an ordered consumer's
//                                                             delivery on another; the publish asks for its
//                                                             acknowledgement, which is read afterwards
//   parley-floor-nats URL post STREAM COUNT WINDOW SIZE MODE  publishes with WINDOW acknowledgements outstanding; MODE
//                                                             same: payload and headers as Parley's; bare: no headers
//   parley-floor-nats URL fetch STREAM COUNT                  direct get of 100 messages from COUNT places
//
// STREAM is made where it is missing, its subject is the same word. Writes nanoseconds, one figure a line, then
// "seconds" and the whole time.
#define _GNU_SOURCE
#include "../ServerFloor/floor.h"
#include <nats/nats.h>

static void check(const char *what, natsStatus status) {
  if (status == NATS_OK) return;
  fail(what, natsStatus_GetText(status));
}

static natsConnection *dial(const char *url) {
  natsOptions *options = NULL;
  natsConnection *connection = NULL;
  check("options", natsOptions_Create(&options));
  check("url", natsOptions_SetURL(options, url));
  // Without it a thread of the library's gathers what is published.
  check("options", natsOptions_SetSendAsap(options, true));
  check(url, natsConnection_Connect(&connection, options));
  natsOptions_Destroy(options);
  return connection;
}

static jsCtx *stream_of(natsConnection *connection, const char *name) {
  jsCtx *js = NULL;
  jsStreamConfig config;
  jsStreamInfo *info = NULL;
  const char *subjects[] = {name};
  check("JetStream", natsConnection_JetStream(&js, connection, NULL));
  jsStreamConfig_Init(&config);
  config.Name = name;
  config.Subjects = subjects;
  config.SubjectsLen = 1;
  config.AllowDirect = true;
  config.Duplicates = 24ll * 3600 * 1000000000;
  if (js_GetStreamInfo(&info, js, name, NULL, NULL) != NATS_OK)
    check(name, js_AddStream(&info, js, &config, NULL, NULL));
  jsStreamInfo_Destroy(info);
  return js;
}

// As Parley writes it: a JSON payload of about `size` bytes of content.
static char *payload(int size) {
  char *text = malloc((size_t)size + 128), *inner = content(size);
  sprintf(text, "{\"sender\":\"floor\",\"content\":\"%s\",\"ts\":\"2026-01-01T00:00:00.000Z\",\"in_reply_to\":\"\"}",
      inner);
  free(inner);
  return text;
}

static void publish(natsConnection *connection, const char *subject, const char *reply, const char *text, long index,
    nanoseconds run, int same) {
  natsMsg *message = NULL;
  char key[96];
  check("message", natsMsg_Create(&message, subject, reply, text, (int)strlen(text)));
  if (same) {
    snprintf(key, sizeof key, "floor/floor/%llx-%016ld", run, index);
    natsMsgHeader_Set(message, "Nats-Msg-Id", key);
    natsMsgHeader_Set(message, "Parley-Instance", "0123456789abcdef0123456789abcdef0123");
  }
  check("publish", natsConnection_PublishMsg(connection, message));
  natsMsg_Destroy(message);
}

static natsSubscription *subscribed(natsConnection *connection, natsInbox **inbox) {
  natsSubscription *answers = NULL;
  check("inbox", natsInbox_Create(inbox));
  check("subscribe", natsConnection_SubscribeSync(&answers, connection, *inbox));
  check("limits", natsSubscription_SetPendingLimits(answers, -1, -1));
  return answers;
}

static int roundtrip(const char *url, const char *stream, long count, int size) {
  natsConnection *writer = dial(url), *reader = dial(url);
  jsCtx *js = stream_of(reader, stream);
  natsSubscription *subscription = NULL;
  jsSubOptions options;
  jsSubOptions_Init(&options);
  options.Ordered = true;
  options.Config.DeliverPolicy = js_DeliverNew;
  check("subscribe", js_SubscribeSync(&subscription, js, stream, NULL, &options, NULL));
  natsInbox *inbox = NULL;
  natsSubscription *answers = subscribed(writer, &inbox);
  char *text = payload(size);
  nanoseconds *times = calloc((size_t)count, sizeof *times), run = now(), begun = 0;
  for (long i = -warm; i < count; i++) {
    if (i == 0) begun = now();
    nanoseconds sent = now();
    publish(writer, stream, inbox, text, i + warm, run, 1);
    natsMsg *message = NULL;
    check("delivery", natsSubscription_NextMsg(&message, subscription, 5000));
    nanoseconds came = now();
    if (i >= 0) times[i] = came - sent;
    natsMsg_Destroy(message);
    natsMsg *answer = NULL;
    check("acknowledgement", natsSubscription_NextMsg(&answer, answers, 5000));
    natsMsg_Destroy(answer);
  }
  report(times, count, now() - begun);
  return 0;
}

static int post(const char *url, const char *stream, long count, long window, int size, int same) {
  natsConnection *connection = dial(url);
  stream_of(connection, stream);
  natsInbox *inbox = NULL;
  natsSubscription *answers = subscribed(connection, &inbox);
  char *text = payload(size);
  nanoseconds *times = calloc((size_t)count, sizeof *times), run = now(), begun = now();
  for (long sent = 0, answered = 0; answered < count;) {
    nanoseconds time = now();
    for (; sent < count && sent - answered < window; sent++) {
      times[sent] = time;
      publish(connection, stream, inbox, text, sent, run, same);
    }
    natsMsg *answer = NULL;
    check("acknowledgement", natsSubscription_NextMsg(&answer, answers, 10000));
    // JetStream answers the posts of one connection in their order; what has come already is taken too.
    for (time = now(); answer;) {
      if (strstr(natsMsg_GetData(answer), "\"error\"")) check(natsMsg_GetData(answer), NATS_ERR);
      times[answered] = time - times[answered];
      answered++;
      natsMsg_Destroy(answer);
      answer = NULL;
      uint64_t queued = 0;
      natsSubscription_QueuedMsgs(answers, &queued);
      if (queued > 0) natsSubscription_NextMsg(&answer, answers, 0);
    }
  }
  report(times, count, now() - begun);
  return 0;
}

static int fetch(const char *url, const char *stream, long count) {
  natsConnection *connection = dial(url);
  jsCtx *js = stream_of(connection, stream);
  jsStreamInfo *info = NULL;
  check(stream, js_GetStreamInfo(&info, js, stream, NULL, NULL));
  nanoseconds first = info->State.FirstSeq, places = info->State.Msgs;
  if (places < 200) check("fewer than 200 messages", NATS_ERR);
  natsInbox *inbox = NULL;
  natsSubscription *answers = subscribed(connection, &inbox);
  char subject[256], request[128];
  snprintf(subject, sizeof subject, "$JS.API.DIRECT.GET.%s", stream);
  nanoseconds *times = calloc((size_t)count, sizeof *times), begun = now();
  for (long i = 0; i < count; i++) {
    nanoseconds place = first + spread(i, (size_t)places - 100);
    snprintf(request, sizeof request, "{\"seq\":%llu,\"batch\":100}", place);
    nanoseconds sent = now();
    check("request", natsConnection_PublishRequestString(connection, subject, inbox, request));
    int messages = 0;
    for (int done = 0; !done;) {
      natsMsg *answer = NULL;
      check("direct get", natsSubscription_NextMsg(&answer, answers, 5000));
      const char *status = NULL;
      // The end of a batch is a message with a status and no payload (ADR-31).
      if (natsMsgHeader_Get(answer, "Status", &status) == NATS_OK && natsMsg_GetDataLength(answer) == 0) done = 1;
      else messages++;
      natsMsg_Destroy(answer);
    }
    times[i] = now() - sent;
    if (messages != 100) check("a page is not 100 messages", NATS_ERR);
  }
  report(times, count, now() - begun);
  return 0;
}

int main(int argc, char **argv) { return run((struct floor){roundtrip, post, fetch}, argc, argv); }
