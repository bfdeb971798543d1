import ParleyRuntime

/// The file in which the TypeScript program keeps how far it has read: one JSON object, topic to cursor.
package enum ReadState {
  /// Where the file of an instance lies, unless `state_path` names it.
  package static func path(instanceID: String, in surroundings: Surroundings) -> String {
    folder(instanceID: instanceID, in: surroundings) + "/read-state.json"
  }

  /// The folder of what an instance keeps.
  static func folder(instanceID: String, in surroundings: Surroundings) -> String {
    "\(surroundings.stateDirectory)/\(directoryName(instanceID))"
  }

  /// The instance id as a folder's name: unchanged where it is one, else made so and told apart by its hash.
  static func directoryName(_ instanceID: String) -> String {
    // JavaScript's regular expressions see UTF-16 code units: what lies beyond the basic plane becomes two underscores.
    let base = String(decoding: instanceID.utf16.map { isKept($0) ? UInt8($0) : UInt8(ascii: "_") }, as: UTF8.self)
    let isSpecial = ["", ".", ".."].contains(base)
    if base == instanceID, !isSpecial { return base }
    return "\(isSpecial ? "default" : base)-\(SHA256.hexadecimal(instanceID, digits: 8))"
  }

  /// The cursors by topic. Empty where the file is missing or damaged; values that are not text are left out.
  package static func load(_ path: String) -> [Topic: Cursor] {
    // The file is JSON, which is YAML too; a damaged one costs no more than reading some messages again.
    guard let bytes = bytes(path), let root = try? YAMLReader.read(bytes), case .mapping(let entries) = root.value
    else {
      return [:]
    }
    var cursors: [Topic: Cursor] = [:]
    for entry in entries {
      if case .scalar(let cursor, isPlain: false) = entry.value.value { cursors[Topic(entry.key)] = Cursor(cursor) }
    }
    return cursors
  }

  private static func bytes(_ path: String) -> [UInt8]? {
    do throws(SystemError) { return try FileSystem.read(path, limit: YAMLReader.byteLimit) } catch { return nil }
  }

  private static func isKept(_ unit: UInt16) -> Bool {
    guard let byte = UInt8(exactly: unit), byte < 0x80 else { return false }
    let isLetter = (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    return isLetter || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "._-".utf8.contains(byte)
  }
}
