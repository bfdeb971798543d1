import ParleyRuntime

/// The whole state as JSON, for the next run.
extension TaskFold {
  package var keptAs: String? { "tasks \(resolution) \(bounds.all) \(bounds.over) \(bounds.textBytes)" }

  package func keep(into writer: inout JSONWriter) {
    writer.key("tasks")
    writer.beginArray()
    for task in tasks.values.sorted(by: { $0.id < $1.id }) { writer.kept(task) }
    writer.endArray()
    writer.strings("order", order.map(\.text))
    writer.strings("ended", ended.map(\.text))
    writer.strings("messages", byMessage.keys.map(\.text).sorted())
    writer.strings("messageTasks", byMessage.sorted { $0.key.text < $1.key.text }.map(\.value.text))
    writer.key("texts")
    writer.beginArray()
    for text in texts[firstText...] {
      writer.beginArray()
      writer.string(text.id.text)
      writer.bool(text.isResult)
      writer.int(text.bytes)
      writer.endArray()
    }
    writer.endArray()
    for (name, value) in [
      ("over", Int64(overInOrder)), ("firstLive", Int64(firstLive)), ("newest", newest),
      ("sincePurge", Int64(sincePurge)), ("ignored", Int64(ignoredEvents)),
    ] { writer.member(name, value) }
  }

  package mutating func restore(kept json: JSONSlice, of topic: Topic) throws(EventRefusal) {
    let parts = json.members(["tasks", "order", "ended", "messages", "messageTasks", "texts"])
    var fold = TaskFold(resolution: resolution, bounds: bounds)
    guard let tasks = parts[0], tasks.kind == .array else { throw .malformed }
    for element in tasks.elements {
      let task = try TaskRecord(kept: element, topic: topic)
      fold.tasks[task.id] = task
      fold.firstExpiry = min(fold.firstExpiry, task.expiresAt)
    }
    fold.order = try Self.ids(parts[1])
    fold.ended = try Self.ids(parts[2])
    guard let messages = parts[3], messages.kind == .array else { throw .malformed }
    let names = Array(messages.elements).compactMap(\.string)
    let owners = try Self.ids(parts[4])
    guard names.count == owners.count else { throw .malformed }
    fold.byMessage = Dictionary(zip(names.map(MessageID.init), owners)) { _, last in last }
    guard let texts = parts[5], texts.kind == .array else { throw .malformed }
    for element in texts.elements {
      let parts = Array(element.elements)
      guard parts.count == 3, let id = parts[0].string.flatMap(TaskID.init), let isResult = parts[1].bool,
        let bytes = parts[2].int, bytes > 0
      else { throw .malformed }
      fold.texts.append((id, isResult, Int(bytes)))
      fold.textBytes += Int(bytes)
    }
    fold.overInOrder = Int(try json.count("over"))
    fold.firstLive = Int(try json.count("firstLive"))
    fold.newest = try json.count("newest")
    fold.sincePurge = Int(try json.count("sincePurge"))
    fold.ignoredEvents = Int(try json.count("ignored"))
    guard fold.firstLive <= fold.order.count else { throw .malformed }
    self = fold
  }

  private static func ids(_ json: JSONSlice?) throws(EventRefusal) -> [TaskID] {
    guard let json, json.kind == .array else { throw .malformed }
    var ids: [TaskID] = []
    for element in json.elements {
      guard let id = element.string.flatMap(TaskID.init) else { throw .malformed }
      ids.append(id)
    }
    return ids
  }
}

extension JSONWriter {
  fileprivate mutating func kept(_ task: TaskRecord) {
    beginObject()
    member("id", task.id.text)
    member("label", task.label)
    member("title", task.title)
    member("body", task.body)
    member("gone", task.bodyIsGone)
    kept("poster", task.poster)
    member("at", task.postedAt)
    member("message", task.message.text)
    member("to", task.to?.name)
    member("until", task.expiresAt)
    relay("extra", task.extra)
    if let claim = task.claim {
      key("claim")
      beginObject()
      member("fence", claim.fence.text)
      member("number", Int64(claim.number))
      kept("holder", claim.holder)
      member("since", claim.since)
      member("until", claim.until)
      relay("extra", claim.extra)
      endObject()
    }
    if let ending = task.ending {
      key("ending")
      beginObject()
      member("kind", ending.kind.rawValue)
      kept("by", ending.by)
      member("at", ending.at)
      member("text", ending.text)
      member("message", ending.message.text)
      endObject()
    }
    endObject()
  }

  private mutating func kept(_ name: String, _ actor: TaskActor) {
    key(name)
    beginObject()
    member("handle", actor.handle.name)
    member("account", actor.account)
    endObject()
  }
}

extension TaskRecord {
  fileprivate init(kept json: JSONSlice, topic: Topic) throws(EventRefusal) {
    let parts = json.members(["id", "label", "title", "body", "gone", "poster", "at", "message", "to", "until"])
    guard let id = parts[0]?.string.flatMap(TaskID.init), let label = parts[1]?.string,
      let title = parts[2]?.string, let gone = parts[4]?.bool, let poster = parts[5].flatMap(TaskActor.init(kept:)),
      let at = parts[6]?.int, let message = parts[7]?.string, let until = parts[9]?.int,
      let extra = json.relayAttributes("extra")
    else { throw .malformed }
    self.init(
      id: id, label: label, topic: topic, title: title, body: parts[3]?.string, bodyIsGone: gone, poster: poster,
      postedAt: at, message: MessageID(message), to: parts[8]?.string.map(Handle.init), expiresAt: until,
      extra: extra)
    if let claim = json.member("claim") { self.claim = try TaskClaim(kept: claim) }
    if let ending = json.member("ending") { self.ending = try TaskEnding(kept: ending) }
  }
}

extension TaskClaim {
  fileprivate init(kept json: JSONSlice) throws(EventRefusal) {
    let parts = json.members(["fence", "number", "holder", "since", "until"])
    guard let fence = parts[0]?.string, let number = parts[1]?.int,
      let holder = parts[2].flatMap(TaskActor.init(kept:)), let since = parts[3]?.int, let until = parts[4]?.int,
      let extra = json.relayAttributes("extra")
    else { throw .malformed }
    self.init(
      fence: MessageID(fence), number: Int(number), holder: holder, since: since, until: until, extra: extra)
  }
}

extension TaskEnding {
  fileprivate init(kept json: JSONSlice) throws(EventRefusal) {
    let parts = json.members(["kind", "by", "at", "text", "message"])
    guard let kind = parts[0]?.string.flatMap(Kind.init), let by = parts[1].flatMap(TaskActor.init(kept:)),
      let at = parts[2]?.int, let message = parts[4]?.string
    else { throw .malformed }
    self.init(kind: kind, by: by, at: at, text: parts[3]?.string, message: MessageID(message))
  }
}

extension TaskActor {
  fileprivate init?(kept json: JSONSlice) {
    guard let handle = json.member("handle")?.string else { return nil }
    self.handle = Handle(handle)
    account = json.member("account")?.string
  }
}
