import ParleyRuntime

/// What the server does in one step (EVAL), so that nothing comes between.
struct RedisScript: Sendable {
  let text: String

  /// KEYS: stream, generation marker. ARGV: what follows the key in XADD. The first post of a stream, counted, so that
  /// one that was deleted and made anew can be told.
  static let create = RedisScript(
    text: """
      if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('INCR', KEYS[2]) end
      return redis.call('XADD', KEYS[1], unpack(ARGV))
      """)

  /// KEYS: stream, generation marker, ledger entry. ARGV: digest of the content, milliseconds to remember it, what
  /// follows the key in XADD. Answers {1, "digest id"} for a key that is known, else {0, id}.
  ///
  /// What was remembered of a stream that is gone is forgotten with it.
  static let postOnce = RedisScript(
    text: """
      local exists = redis.call('EXISTS', KEYS[1])
      local known = redis.call('GET', KEYS[3])
      if known and exists == 1 then return {1, known} end
      if exists == 0 then redis.call('INCR', KEYS[2]) end
      local arguments = {}
      for i = 3, #ARGV do arguments[i - 2] = ARGV[i] end
      local id = redis.call('XADD', KEYS[1], unpack(arguments))
      redis.call('SET', KEYS[3], ARGV[1] .. ' ' .. id, 'PX', ARGV[2])
      return {0, id}
      """)

  func command(keys: [String], arguments: [String]) -> [String] {
    ["EVAL", text, String(keys.count)] + keys + arguments
  }
}
