extension JSONWriter {
  /// Writes a draft that may wait so long for the backend.
  package mutating func relay(_ draft: Draft, patience: Duration) {
    beginObject()
    relayMember("topic", draft.topic.name)
    relayMember("handle", draft.author.handle.name)
    relayMember("instance", draft.author.instance)
    relayMember("stable", draft.author.stableInstance)
    relayMember("content", draft.content)
    relayMember("key", draft.key.text)
    relayMember("inReplyTo", draft.inReplyTo?.text)
    relayMember("to", draft.to?.name)
    relayMap("attributes", draft.attributes)
    relayMember("patienceMs", patience.milliseconds)
    endObject()
  }

  /// Writes what became of a draft.
  package mutating func relay(_ outcome: Result<Receipt, SeamError>) {
    beginObject()
    switch outcome {
    case .success(let receipt):
      relayMember("id", receipt.id.text)
      relayMember("cursor", receipt.cursor.text)
      relayMember("storedAt", receipt.storedAt)
      relayMember("durability", receipt.durability.description)
      relayMember("duplicate", receipt.isDuplicate)
    case .failure(let error):
      key("error")
      relay(error)
    }
    endObject()
  }

  /// Writes a failure of the seam.
  package mutating func relay(_ error: SeamError) {
    beginObject()
    relayMember("code", error.code.name)
    switch error.code {
    case .tooLarge(let limit): relayMember("limit", limit.map { Int64($0) })
    case .rateLimited(let after): relayMember("afterMs", after.milliseconds)
    default: break
    }
    relayMember("native", error.native.map { Int64($0) })
    relayMember("operation", error.operation)
    relayMember("message", error.cause)
    endObject()
  }
}

extension Draft {
  /// Reads what `relay` wrote, and how long it may wait.
  ///
  /// Its key counts as chosen: the other end may send it again after an answer was lost, and only a chosen key is looked
  /// for at once.
  package static func relayed(_ json: JSONSlice) -> (draft: Draft, patience: Duration)? {
    guard let topic = json.relayText("topic"), let handle = json.relayText("handle"),
      let instance = json.relayText("instance"),
      let stable = json.relayText("stable"), let content = json.relayText("content"), let key = json.relayText("key"),
      let attributes = json.relayTexts("attributes"), let patience = json.relayNumber("patienceMs"),
      (0...Int64(Int32.max)).contains(patience)
    else { return nil }
    let draft = Draft(
      topic: Topic(topic), author: Author(handle: Handle(handle), instance: instance, stableInstance: stable),
      content: content, key: .chosen(key), inReplyTo: json.relayText("inReplyTo").map(MessageID.init),
      to: json.relayText("to").map(Handle.init), attributes: attributes)
    return (draft, .milliseconds(patience))
  }
}

extension SeamError {
  /// Reads what `relay` wrote; a code that this version does not know counts as `unavailable`.
  package init?(relayed json: JSONSlice) {
    guard let name = json.relayText("code"), let operation = json.relayText("operation"),
      let cause = json.relayText("message")
    else {
      return nil
    }
    let code: Code =
      switch name {
      case "tooLarge": .tooLarge(limit: json.relayNumber("limit").flatMap(Int.init(exactly:)))
      case "rateLimited": .rateLimited(after: .milliseconds(max(0, json.relayNumber("afterMs") ?? 1_000)))
      default: Self.plainCodes.first { $0.name == name } ?? .unavailable
      }
    self.init(code, native: json.relayNumber("native").flatMap(Int.init(exactly:)), operation: operation, cause: cause)
  }

  private static let plainCodes: [Code] = [
    .unavailable, .unauthorized, .forbidden, .noSuchTopic, .storageFull, .cursorInvalid, .keyReused, .outcomeUnknown,
    .timedOut, .cancelled, .unsupported, .invalidRequest, .corrupt,
  ]

  /// Reads the outcome of a draft.
  package static func outcome(relayed json: JSONSlice, _ place: (String) -> Cursor) -> Result<Receipt, SeamError>? {
    if let error = json.member("error") { return SeamError(relayed: error).map(Result.failure) }
    guard let id = json.relayText("id"), let cursor = json.relayText("cursor"),
      let durability = json.relayText("durability").flatMap(Durability.init(relayed:))
    else { return nil }
    return .success(
      Receipt(
        id: MessageID(id), cursor: place(cursor), storedAt: json.relayNumber("storedAt"), durability: durability,
        isDuplicate: json.relayFlag("duplicate")))
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
