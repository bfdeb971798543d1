// OpenSSL's function-like macros, which Swift cannot import.
#pragma once
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

static inline int parley_tls_minimum_1_2(SSL_CTX *context) {
  return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
}
static inline int parley_tls_server_name(SSL *ssl, const char *name) { return (int)SSL_set_tlsext_host_name(ssl, name); }
static inline int parley_tls_has_extended_master_secret(SSL *ssl) { return (int)SSL_get_extms_support(ssl); }
// An empty memory BIO is "nothing yet", not the end of the stream.
static inline BIO *parley_memory_bio(void) {
  BIO *bio = BIO_new(BIO_s_mem());
  if (bio) BIO_set_mem_eof_return(bio, -1);
  return bio;
}
