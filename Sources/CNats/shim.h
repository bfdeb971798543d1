// cnats, what of libcrypto derives an NKEY's public half (cnats 3.4 wants it beside the seed file), and the scheduling of
// the library's threads.
#pragma once
#include <linux/sched.h>
#include <nats/nats.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sched.h>

// Makes the calling thread, and those that it starts, batch work, which preempts nobody when it wakes (sched(7)).
static inline void parley_become_batch(void) {
  struct sched_param priority = {0};
  sched_setscheduler(0, SCHED_BATCH, &priority);
}

// The Ed25519 public key of a 32 byte seed. 1 on success.
static inline int parley_ed25519_public(const unsigned char *seed, unsigned char *public_key) {
  EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, 32);
  size_t length = 32;
  int done = key != NULL && EVP_PKEY_get_raw_public_key(key, public_key, &length) == 1 && length == 32;
  EVP_PKEY_free(key);
  return done;
}
