import ParleyRuntime

/// What the server does in one step (EVAL), so that nothing comes between.
struct RedisScript: Sendable {
  let text: String

  /// `add(first)` posts by XADD with the arguments from `ARGV[first]` on, and counts the streams it makes.
  ///
  /// A stream that is made anew begins in the next millisecond, with a number that grows with every making: within the
  /// same one it could give ids that the deleted stream has given already. The numbers are 2^20 apart, which no server
  /// reaches in a millisecond.
  private static let add = """
    local function add(first)
      local arguments = {}
      for i = first, #ARGV do arguments[#arguments + 1] = ARGV[i] end
      local makings = redis.call('EXISTS', KEYS[1]) == 0 and redis.call('INCR', KEYS[2]) or 0
      if makings > 1 then
        local time = redis.call('TIME')
        for i = 1, #arguments do
          if arguments[i] == '*' then
            local now = time[1] * 1000 + math.floor(time[2] / 1000)
            arguments[i] = string.format('%.0f-%.0f', now + 1, makings * 1048576)
            break
          end
        end
      end
      return redis.call('XADD', KEYS[1], unpack(arguments))
    end

    """

  /// KEYS: stream. ARGV: an id. Whether there is such an entry, 1 or 0.
  static let exists = RedisScript(text: "return #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])")

  /// KEYS: stream, generation marker. ARGV: what follows the key in XADD.
  static let create = RedisScript(text: add + "return add(1)")

  /// KEYS: stream, generation marker, ledger entry. ARGV: digest of the content, milliseconds to remember it, what
  /// follows the key in XADD. Answers {1, "digest id"} for a key that is known, else {0, id}.
  ///
  /// What was remembered of a stream that is gone is forgotten with it.
  static let postOnce = RedisScript(
    text: add + """
      local known = redis.call('GET', KEYS[3])
      if known and redis.call('EXISTS', KEYS[1]) == 1 then return {1, known} end
      local id = add(3)
      redis.call('SET', KEYS[3], ARGV[1] .. ' ' .. id, 'PX', ARGV[2])
      return {0, id}
      """)

  func command(keys: [String], arguments: [String]) -> [String] {
    ["EVAL", text, String(keys.count)] + keys + arguments
  }
}
