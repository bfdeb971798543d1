extension JSONWriter {
  /// Writes a draft that may wait so long for the backend.
  package mutating func relay(_ draft: Draft, patience: Duration) {
    beginObject()
    member("topic", draft.topic.name)
    member("handle", draft.author.handle.name)
    member("instance", draft.author.instance)
    member("stable", draft.author.stableInstance)
    if draft.author.isSelfNamed { member("selfNamed", true) }
    member("content", draft.content)
    member("key", draft.key.text)
    member("inReplyTo", draft.inReplyTo?.text)
    member("to", draft.to?.name)
    relay("attributes", draft.attributes)
    member("patienceMs", patience.milliseconds)
    endObject()
  }

  /// Writes what became of a draft.
  package mutating func relay(_ outcome: Result<Receipt, SeamError>) {
    beginObject()
    switch outcome {
    case .success(let receipt):
      member("id", receipt.id.text)
      member("cursor", receipt.cursor.text)
      member("storedAt", receipt.storedAt)
      member("durability", receipt.durability.description)
      member("duplicate", receipt.isDuplicate)
    case .failure(let error):
      key("error")
      relay(error)
    }
    endObject()
  }

  /// Writes a failure of the seam.
  package mutating func relay(_ error: SeamError) {
    beginObject()
    member("code", error.code.name)
    switch error.code {
    case .tooLarge(let limit): member("limit", limit.map { Int64($0) })
    case .rateLimited(let after): member("afterMs", after.milliseconds)
    default: break
    }
    member("native", error.native.map { Int64($0) })
    member("operation", error.operation)
    member("message", error.cause)
    endObject()
  }
}

extension Draft {
  /// Reads what `relay` wrote, and how long it may wait.
  ///
  /// Its key counts as chosen: the other end may send it again after an answer was lost, and only a chosen key is looked
  /// for at once.
  package static func relayed(_ json: JSONSlice) -> (draft: Draft, patience: Duration)? {
    guard let topic = json.member("topic")?.string, let handle = json.member("handle")?.string,
      let instance = json.member("instance")?.string,
      let stable = json.member("stable")?.string, let content = json.member("content")?.string,
      let key = json.member("key")?.string,
      let attributes = json.relayAttributes("attributes"), let patience = json.member("patienceMs")?.int,
      (0...Int64(Int32.max)).contains(patience)
    else { return nil }
    let draft = Draft(
      topic: Topic(topic),
      author: Author(
        handle: Handle(handle), instance: instance, stableInstance: stable,
        isSelfNamed: json.member("selfNamed")?.bool == true),
      content: content, key: .chosen(key), inReplyTo: json.member("inReplyTo")?.string.map(MessageID.init),
      to: json.member("to")?.string.map(Handle.init), attributes: attributes)
    return (draft, .milliseconds(patience))
  }
}

extension SeamError {
  /// Reads what `relay` wrote; a code that this version does not know counts as `unavailable`.
  package init?(relayed json: JSONSlice) {
    guard let name = json.member("code")?.string, let operation = json.member("operation")?.string,
      let cause = json.member("message")?.string
    else {
      return nil
    }
    let code: Code =
      switch name {
      case "tooLarge": .tooLarge(limit: json.member("limit")?.int.flatMap(Int.init(exactly:)))
      case "rateLimited": .rateLimited(after: .milliseconds(max(0, json.member("afterMs")?.int ?? 1_000)))
      default: Self.plainCodes.first { $0.name == name } ?? .unavailable
      }
    self.init(code, native: json.member("native")?.int.flatMap(Int.init(exactly:)), operation: operation, cause: cause)
  }

  private static let plainCodes: [Code] = [
    .unavailable, .unauthorized, .forbidden, .noSuchTopic, .storageFull, .cursorInvalid, .keyReused, .outcomeUnknown,
    .timedOut, .cancelled, .unsupported, .invalidRequest, .corrupt,
  ]

  /// Reads the outcome of a draft.
  package static func outcome(relayed json: JSONSlice, _ place: (String) -> Cursor) -> Result<Receipt, SeamError>? {
    if let error = json.member("error") { return SeamError(relayed: error).map(Result.failure) }
    guard let id = json.member("id")?.string, let cursor = json.member("cursor")?.string,
      let durability = json.member("durability")?.string.flatMap(Durability.init(relayed:))
    else { return nil }
    return .success(
      Receipt(
        id: MessageID(id), cursor: place(cursor), storedAt: json.member("storedAt")?.int, durability: durability,
        isDuplicate: json.member("duplicate")?.bool == true))
  }
}

extension Durability {
  /// Reads its description.
  package init?(relayed text: String) {
    switch text {
    case "synced": self = .synced
    case "written": self = .written
    case "unknown": self = .unknown
    default:
      guard text.hasPrefix("replicated("), text.hasSuffix(")"), let count = Int(text.dropFirst(11).dropLast()) else {
        return nil
      }
      self = .replicated(count)
    }
  }
}
