#define _GNU_SOURCE
// The checking macros of the headers expand to the library's own names.
#define CURL_DISABLE_TYPECHECK
#include "CCurl.h"

#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

static struct {
  CURLcode (*global_init)(long);
  char *(*version)(void);
  const char *(*easy_strerror)(CURLcode);
  CURL *(*easy_init)(void);
  void (*easy_cleanup)(CURL *);
  CURLcode (*easy_setopt)(CURL *, CURLoption, ...);
  CURLcode (*easy_getinfo)(CURL *, CURLINFO, ...);
  struct curl_slist *(*slist_append)(struct curl_slist *, const char *);
  void (*slist_free_all)(struct curl_slist *);
  CURLM *(*multi_init)(void);
  CURLMcode (*multi_cleanup)(CURLM *);
  CURLMcode (*multi_add_handle)(CURLM *, CURL *);
  CURLMcode (*multi_remove_handle)(CURLM *, CURL *);
  CURLMcode (*multi_socket_action)(CURLM *, curl_socket_t, int, int *);
  CURLMcode (*multi_setopt)(CURLM *, CURLMoption, ...);
  CURLMsg *(*multi_info_read)(CURLM *, int *);
} curl;

static const char *find(void *library, void *place, const char *name) {
  void *symbol = dlsym(library, name);
  // POSIX lets data pointers carry functions (dlsym), which ISO C has no cast for.
  *(void **)place = symbol;
  return symbol ? (const char *)0 : name;
}

#define FIND(name)                                                              \
  do {                                                                          \
    if (find(library, &curl.name, "curl_" #name)) return "libcurl.so.4 lacks curl_" #name; \
  } while (0)

const char *parley_curl_load(void) {
  if (curl.global_init) return (const char *)0;
  void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
  if (!library) return dlerror();
  FIND(version);
  FIND(easy_strerror);
  FIND(easy_init);
  FIND(easy_cleanup);
  FIND(easy_setopt);
  FIND(easy_getinfo);
  FIND(slist_append);
  FIND(slist_free_all);
  FIND(multi_init);
  FIND(multi_cleanup);
  FIND(multi_add_handle);
  FIND(multi_remove_handle);
  FIND(multi_socket_action);
  FIND(multi_setopt);
  FIND(multi_info_read);
  FIND(global_init);
  if (curl.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) return (const char *)0;
  curl.global_init = (CURLcode(*)(long))0;
  return "libcurl cannot be initialised";
}

const char *parley_curl_version(void) { return curl.version(); }
const char *parley_curl_error_text(CURLcode code) { return curl.easy_strerror(code); }

CURL *parley_curl_new(void) { return curl.easy_init(); }
void parley_curl_free(CURL *easy) { curl.easy_cleanup(easy); }
struct curl_slist *parley_curl_append(struct curl_slist *list, const char *text) {
  return curl.slist_append(list, text);
}
void parley_curl_free_list(struct curl_slist *list) { curl.slist_free_all(list); }

CURLcode parley_curl_set_long(CURL *easy, CURLoption option, long value) {
  return curl.easy_setopt(easy, option, value);
}
CURLcode parley_curl_set_size(CURL *easy, CURLoption option, curl_off_t value) {
  return curl.easy_setopt(easy, option, value);
}
CURLcode parley_curl_set_string(CURL *easy, CURLoption option, const char *value) {
  return curl.easy_setopt(easy, option, value);
}
CURLcode parley_curl_set_pointer(CURL *easy, CURLoption option, void *value) {
  return curl.easy_setopt(easy, option, value);
}
CURLcode parley_curl_set_headers(CURL *easy, struct curl_slist *list) {
  return curl.easy_setopt(easy, CURLOPT_HTTPHEADER, list);
}
CURLcode parley_curl_set_sink(CURL *easy, CURLoption option, parley_curl_sink sink) {
  return curl.easy_setopt(easy, option, sink);
}
CURLcode parley_curl_set_prerequest(CURL *easy, curl_prereq_callback callback, void *context) {
  curl.easy_setopt(easy, CURLOPT_PREREQDATA, context);
  return curl.easy_setopt(easy, CURLOPT_PREREQFUNCTION, callback);
}

static curl_socket_t open_judged(void *context, curlsocktype purpose, struct curl_sockaddr *found) {
  unsigned char address[16] = {0};
  parley_curl_judge judge;
  *(void **)&judge = context;
  if (purpose != CURLSOCKTYPE_IPCXN) return CURL_SOCKET_BAD;
  if (found->family == AF_INET) {
    address[10] = address[11] = 0xff;
    memcpy(address + 12, &((struct sockaddr_in *)&found->addr)->sin_addr, 4);
  } else if (found->family == AF_INET6) {
    memcpy(address, &((struct sockaddr_in6 *)&found->addr)->sin6_addr, 16);
  } else {
    return CURL_SOCKET_BAD;
  }
  if (!judge(address)) {
    errno = EACCES;
    return CURL_SOCKET_BAD;
  }
  return socket(found->family, found->socktype | SOCK_CLOEXEC, found->protocol);
}

CURLcode parley_curl_set_judge(CURL *easy, parley_curl_judge judge) {
  void *context;
  *(parley_curl_judge *)&context = judge;
  curl.easy_setopt(easy, CURLOPT_NOPROXY, "*");
  curl.easy_setopt(easy, CURLOPT_OPENSOCKETDATA, context);
  return curl.easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_judged);
}

CURLcode parley_curl_get_long(CURL *easy, CURLINFO info, long *value) { return curl.easy_getinfo(easy, info, value); }
void *parley_curl_private(CURL *easy) {
  char *value = (char *)0;
  curl.easy_getinfo(easy, CURLINFO_PRIVATE, &value);
  return value;
}

CURLM *parley_curl_multi_new(void) { return curl.multi_init(); }
CURLMcode parley_curl_multi_free(CURLM *multi) { return curl.multi_cleanup(multi); }
CURLMcode parley_curl_multi_add(CURLM *multi, CURL *easy) { return curl.multi_add_handle(multi, easy); }
CURLMcode parley_curl_multi_remove(CURLM *multi, CURL *easy) { return curl.multi_remove_handle(multi, easy); }
CURLMcode parley_curl_multi_act(CURLM *multi, curl_socket_t socket, int events) {
  int running = 0;
  return curl.multi_socket_action(multi, socket, events, &running);
}
CURLMcode parley_curl_multi_set_callbacks(
    CURLM *multi, curl_socket_callback socket, curl_multi_timer_callback timer, void *context) {
  curl.multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, socket);
  curl.multi_setopt(multi, CURLMOPT_SOCKETDATA, context);
  curl.multi_setopt(multi, CURLMOPT_TIMERFUNCTION, timer);
  return curl.multi_setopt(multi, CURLMOPT_TIMERDATA, context);
}
CURLMcode parley_curl_multi_set_long(CURLM *multi, CURLMoption option, long value) {
  return curl.multi_setopt(multi, option, value);
}
CURL *parley_curl_multi_next_ended(CURLM *multi, CURLcode *result) {
  int left = 0;
  for (CURLMsg *message; (message = curl.multi_info_read(multi, &left));) {
    if (message->msg == CURLMSG_DONE) {
      *result = message->data.result;
      return message->easy_handle;
    }
  }
  return (CURL *)0;
}
