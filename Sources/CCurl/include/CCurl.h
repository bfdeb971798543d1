// libcurl, loaded when it is first needed: with the 33 libraries that come with it, linking it would cost every start of
// a program that carries it 5 ms, whichever backend is configured. Here are the calls that Swift needs, without the
// variadic ones, which it cannot import.
#pragma once
#include <curl/curl.h>
#include <stddef.h>

// Loads the library, once for the process; from one thread at a time. NULL, or why it cannot be had.
const char *parley_curl_load(void);

// All that follows needs a library that was loaded.
const char *parley_curl_version(void);
const char *parley_curl_error_text(CURLcode code);

CURL *parley_curl_new(void);
void parley_curl_free(CURL *easy);
struct curl_slist *parley_curl_append(struct curl_slist *list, const char *text);
void parley_curl_free_list(struct curl_slist *list);

CURLcode parley_curl_set_long(CURL *easy, CURLoption option, long value);
CURLcode parley_curl_set_size(CURL *easy, CURLoption option, curl_off_t value);
// Strings are copied by the library, but for CURLOPT_POSTFIELDS.
CURLcode parley_curl_set_string(CURL *easy, CURLoption option, const char *value);
CURLcode parley_curl_set_pointer(CURL *easy, CURLoption option, void *value);
CURLcode parley_curl_set_headers(CURL *easy, struct curl_slist *list);
typedef size_t (*parley_curl_sink)(char *bytes, size_t size, size_t count, void *context);
CURLcode parley_curl_set_sink(CURL *easy, CURLoption option, parley_curl_sink sink);
// Called before each attempt to send the request, libcurl's own repetition on another connection included.
CURLcode parley_curl_set_prerequest(CURL *easy, curl_prereq_callback callback, void *context);

// Asked before each socket is opened, with the very address that it would be connected to (IPv4 ones mapped, RFC 4291
// section 2.5.5.2): 0 refuses. Proxies of the environment are passed over, since they would connect elsewhere.
typedef int (*parley_curl_judge)(const unsigned char address[16]);
CURLcode parley_curl_set_judge(CURL *easy, parley_curl_judge judge);

CURLcode parley_curl_get_long(CURL *easy, CURLINFO info, long *value);
void *parley_curl_private(CURL *easy);

CURLM *parley_curl_multi_new(void);
CURLMcode parley_curl_multi_free(CURLM *multi);
CURLMcode parley_curl_multi_add(CURLM *multi, CURL *easy);
CURLMcode parley_curl_multi_remove(CURLM *multi, CURL *easy);
CURLMcode parley_curl_multi_act(CURLM *multi, curl_socket_t socket, int events);
CURLMcode parley_curl_multi_set_callbacks(
    CURLM *multi, curl_socket_callback socket, curl_multi_timer_callback timer, void *context);
CURLMcode parley_curl_multi_set_long(CURLM *multi, CURLMoption option, long value);
// The next transfer that ended, or NULL; `result` is its outcome.
CURL *parley_curl_multi_next_ended(CURLM *multi, CURLcode *result);

static inline curl_socket_t parley_curl_no_socket(void) { return CURL_SOCKET_TIMEOUT; }
