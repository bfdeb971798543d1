// libcurl's variadic functions, which Swift cannot import, and its macros that stand for negative numbers.
#pragma once
#include <curl/curl.h>

static inline CURLcode parley_curl_set_long(CURL *easy, CURLoption option, long value) {
  return curl_easy_setopt(easy, option, value);
}
static inline CURLcode parley_curl_set_size(CURL *easy, CURLoption option, curl_off_t value) {
  return curl_easy_setopt(easy, option, value);
}
// Strings are copied by the library, but for CURLOPT_POSTFIELDS.
static inline CURLcode parley_curl_set_string(CURL *easy, CURLoption option, const char *value) {
  return curl_easy_setopt(easy, option, value);
}
static inline CURLcode parley_curl_set_pointer(CURL *easy, CURLoption option, void *value) {
  return curl_easy_setopt(easy, option, value);
}
static inline CURLcode parley_curl_set_headers(CURL *easy, struct curl_slist *list) {
  return curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list);
}

typedef size_t (*parley_curl_sink)(char *bytes, size_t size, size_t count, void *context);
static inline CURLcode parley_curl_set_sink(CURL *easy, CURLoption option, parley_curl_sink sink) {
  return curl_easy_setopt(easy, option, sink);
}

// Called before each attempt to send the request, libcurl's own repetition on another connection included.
static inline CURLcode parley_curl_set_prerequest(CURL *easy, curl_prereq_callback callback, void *context) {
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, context);
  return curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, callback);
}

static inline CURLcode parley_curl_get_long(CURL *easy, CURLINFO info, long *value) {
  return curl_easy_getinfo(easy, info, value);
}
static inline void *parley_curl_private(CURL *easy) {
  char *value = (char *)0;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, &value);
  return value;
}

static inline CURLMcode parley_curl_multi_set_callbacks(
    CURLM *multi, curl_socket_callback socket, curl_multi_timer_callback timer, void *context) {
  curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, socket);
  curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, context);
  curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, timer);
  return curl_multi_setopt(multi, CURLMOPT_TIMERDATA, context);
}
static inline CURLMcode parley_curl_multi_set_long(CURLM *multi, CURLMoption option, long value) {
  return curl_multi_setopt(multi, option, value);
}

// The next transfer that ended, or NULL; `result` is its outcome.
static inline CURL *parley_curl_multi_next_ended(CURLM *multi, CURLcode *result) {
  int left = 0;
  for (CURLMsg *message; (message = curl_multi_info_read(multi, &left));) {
    if (message->msg == CURLMSG_DONE) {
      *result = message->data.result;
      return message->easy_handle;
    }
  }
  return (CURL *)0;
}
static inline curl_socket_t parley_curl_no_socket(void) { return CURL_SOCKET_TIMEOUT; }
static inline CURLcode parley_curl_global_init(void) { return curl_global_init(CURL_GLOBAL_DEFAULT); }
