import ParleyRuntime

/// One request on its way to an answer.
final class Call: Sendable {
  let id: RequestID
  /// The revision whose shapes the answer has.
  let revision: Revision
  private let params: Params
  /// Where answers of a batch gather; nil for a request of its own.
  let batch: Batch?
  /// Where the answer and what belongs to it goes; nil for the session's own output.
  let path: (any ReplyPath)?

  init(id: RequestID, revision: Revision, params: Params, batch: Batch?, path: (any ReplyPath)?) {
    self.id = id
    self.revision = revision
    self.params = params
    self.batch = batch
    self.path = path
  }

  var isModern: Bool { revision.isModern }

  /// What is called: the params' `name`.
  var name: JSONSlice? { params.name }

  /// What it is called with; nil where there is none, or `null`.
  var arguments: JSONSlice? { params.arguments }

  /// The member of the params with this name.
  func param(_ name: String) -> JSONSlice? { params.object?.member(name) }

  /// The token for progress notifications, which may be no valid one; `null` counts as none.
  var givenProgressToken: JSONSlice? { params.meta?.member("progressToken").flatMap { $0.isNull ? nil : $0 } }

  /// The token for progress notifications: a string or an integer.
  var progressToken: RequestID? { givenProgressToken.flatMap(RequestID.init) }

  /// The trace that it belongs to: what its own `_meta` says, else what carried it.
  var trace: TraceContext? {
    guard let meta = params.meta, let parent = meta.member(TraceContext.parentName)?.string else { return path?.trace }
    return TraceContext(parent: parent, state: meta.member(TraceContext.stateName)?.string) ?? path?.trace
  }

  /// A request's params, whose common members are found in one walk.
  struct Params: Sendable {
    let object: JSONSlice?
    let name: JSONSlice?
    let arguments: JSONSlice?
    let meta: JSONSlice?

    init(_ object: JSONSlice?) {
      self.object = object
      let found = (object ?? .emptyObject).members(["name", "arguments", "_meta"])
      name = found[0]
      arguments = found[1].flatMap { $0.isNull ? nil : $0 }
      meta = found[2]
    }
  }
}

/// Answers of one batch (revision 2025-03-26), sent together when the last is there.
//
// @unchecked: confined to the session's loop.
final class Batch: @unchecked Sendable {
  private var missing: Int
  private var answers: [[UInt8]] = []
  private let send: ([UInt8]) -> Void
  private let nothing: () -> Void

  /// Waits for the answers that are announced by `expect`, and for `seal`; `nothing` is called instead of `send` where
  /// there is no answer at all.
  init(send: @escaping ([UInt8]) -> Void, nothing: @escaping () -> Void) {
    missing = 1
    self.send = send
    self.nothing = nothing
  }

  /// One more answer is to come.
  func expect() { missing += 1 }

  /// An answer came, or (nil) will never come.
  func add(_ answer: [UInt8]?) {
    if let answer { answers.append(answer) }
    missing -= 1
    guard missing == 0 else { return }
    guard !answers.isEmpty else { return nothing() }
    var line = JSONWriter()
    line.beginArray()
    for answer in answers { line.raw(trusted: answer) }
    line.endArray()
    send(line.bytes)
  }

  /// All requests of the batch were read.
  func seal() { add(nil) }
}
