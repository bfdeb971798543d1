#define _GNU_SOURCE
#include "CJose.h"

#include <cjose/cjose.h>
#include <dlfcn.h>
#include <string.h>

static struct {
  cjose_jwk_t *(*jwk_import)(const char *, size_t, cjose_err *);
  bool (*jwk_release)(cjose_jwk_t *);
  cjose_jws_t *(*jws_import)(const char *, size_t, cjose_err *);
  bool (*jws_verify)(cjose_jws_t *, const cjose_jwk_t *, cjose_err *);
  bool (*jws_get_plaintext)(const cjose_jws_t *, uint8_t **, size_t *, cjose_err *);
  void (*jws_release)(cjose_jws_t *);
} jose;

static const char *find(void *library, void *place, const char *name) {
  void *symbol = dlsym(library, name);
  // POSIX lets data pointers carry functions (dlsym), which ISO C has no cast for.
  *(void **)place = symbol;
  return symbol ? (const char *)0 : name;
}

#define FIND(name)                                                                                 \
  do {                                                                                             \
    if (find(library, &jose.name, "cjose_" #name)) return "libcjose.so.0 lacks cjose_" #name; \
  } while (0)

const char *parley_jose_load(void) {
  if (jose.jws_release) return (const char *)0;
  void *library = dlopen("libcjose.so.0", RTLD_NOW | RTLD_LOCAL);
  if (!library) return dlerror();
  FIND(jwk_import);
  FIND(jwk_release);
  FIND(jws_import);
  FIND(jws_verify);
  FIND(jws_get_plaintext);
  FIND(jws_release);
  return (const char *)0;
}

long parley_jws_verify(
    const char *token, size_t token_length, const char *key, size_t key_length, uint8_t *payload, size_t capacity) {
  cjose_err error;
  long result = -1;
  cjose_jwk_t *jwk = jose.jwk_import(key, key_length, &error);
  cjose_jws_t *jws = jwk ? jose.jws_import(token, token_length, &error) : (cjose_jws_t *)0;
  if (jws && jose.jws_verify(jws, jwk, &error)) {
    // The library keeps it; ours is a copy.
    uint8_t *plain = (uint8_t *)0;
    size_t length = 0;
    if (jose.jws_get_plaintext(jws, &plain, &length, &error) && length <= capacity) {
      memcpy(payload, plain, length);
      result = (long)length;
    }
  }
  if (jws) jose.jws_release(jws);
  if (jwk) jose.jwk_release(jwk);
  return result;
}
