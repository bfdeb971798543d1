// libcjose (JSON Object Signing and Encryption), loaded when a token is first checked: only a door whose clients come with
// tokens of an identity provider needs it.
#pragma once
#include <stddef.h>
#include <stdint.h>

// Loads the library, once for the process; from one thread at a time. NULL, or why it cannot be had.
const char *parley_jose_load(void);

// Checks the signature of a compact JWS (RFC 7515) by one key (a JWK, RFC 7517), which must be of the kind that the
// token's algorithm needs. The length of the payload, which is copied; -1 where the signature is not the key's, the token
// or the key is malformed, or the payload is longer than `capacity`. The library must be loaded.
long parley_jws_verify(
    const char *token, size_t token_length, const char *key, size_t key_length, uint8_t *payload, size_t capacity);
