-- What Parley needs of a server, and nothing else; see docs/backends/xmpp.md.
modules_enabled = { "disco", "roster", "saslauth", "tls", "ping", "smacks", "carbons", "mam", "time", "version" }
modules_disabled = { "s2s" }
authentication = "internal_hashed"
storage = "internal"
network_settings = { nagle = false }
max_archive_query_results = 200
c2s_require_encryption = true
ssl = { certificate = "/etc/prosody/certs/chat.test.crt", key = "/etc/prosody/certs/chat.test.key" }
log = { { levels = { min = "info" }, to = "console" } }

VirtualHost "chat.test"

Component "rooms.chat.test" "muc"
  modules_enabled = { "muc_mam" }
  muc_log_by_default = true
  muc_log_expires_after = "never"
  muc_room_locking = false
  muc_room_default_persistent = true
