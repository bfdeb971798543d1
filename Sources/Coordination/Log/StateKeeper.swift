import ParleyRuntime

/// When a log's state is left for the next run: where reading it took more than a page, so that small logs need no file,
/// and again after many messages.
struct StateKeeper: Sendable {
  let file: StateFileHandle
  /// What the state is of, in which shape.
  let name: String
  /// So many messages are read again without a file.
  private let page: Int
  /// Messages since it was written.
  private var passed = 0
  private var anchor: Cursor?
  private var last: Message?
  /// A write is under way.
  private(set) var isWriting = false
  /// When it was written last.
  private var written: LoopInstant?

  /// After so many pages a running process writes again, unless it did a short while ago: writing takes as long as
  /// there is state.
  static let pages = 10
  static let pause: Duration = .seconds(30)

  /// `folder` is where the files of the store are; `page` is how many messages one read brings.
  init(folder: String, name: String, page: Int) {
    file = StateFileHandle(folder: folder, name: name)
    self.name = name
    self.page = page
  }

  /// Reading began behind this place.
  mutating func begin(behind anchor: Cursor?, messages: Int) {
    last = nil
    self.anchor = anchor
    passed = messages
  }

  /// The state has this message too.
  mutating func note(_ message: Message) {
    if let last { anchor = last.cursor }
    last = message
  }

  /// The same for one that came live.
  mutating func pass(_ message: Message) {
    note(message)
    passed += 1
  }

  /// Starting anew without a file would take more than a page.
  var isWorthwhile: Bool { passed > page }
  /// Enough has come to write while the process goes on.
  func isDue(at now: @autoclosure () -> LoopInstant) -> Bool {
    passed >= page * Self.pages && written.map { $0.advanced(by: Self.pause) <= now() } ?? true
  }

  /// The place to be written now, which `wrote` ends; nil while one is being written, or where there is none.
  mutating func take() -> (anchor: Cursor, last: Message)? {
    guard !isWriting, let anchor, let last else { return nil }
    isWriting = true
    passed = 0
    return (anchor, last)
  }

  mutating func wrote(at now: LoopInstant) {
    isWriting = false
    written = now
  }
}
