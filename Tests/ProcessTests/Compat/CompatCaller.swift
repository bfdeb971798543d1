import ParleyRuntime
import ParleyTestKit
import Synchronization
import Testing

/// A result of a tool whose shape is another system's.
struct CompatResult {
  let result: JSONValue?

  var isError: Bool { result?["isError"]?.bool == true }
  var code: String? { result?["_meta"]?["parley/error"]?.string }
  var blocks: [String] { result?["content"]?.array?.compactMap { $0["text"]?.string } ?? [] }
  var text: String { blocks.first ?? "" }
  /// The text as the JSON that it is.
  var json: JSONValue { (try? JSONValue(parsing: text)) ?? nil }
  var structured: JSONValue? { result?["structuredContent"] }
}

/// A client that numbers its calls itself.
final class CompatCaller: Sendable {
  let client: Client
  let place: CompatPlace
  private let counter = Counter()

  init(_ client: Client, _ place: CompatPlace) {
    self.client = client
    self.place = place
  }

  @discardableResult
  func call(_ tool: String, _ arguments: JSONValue = [:]) async -> CompatResult {
    CompatResult(result: await client.call(counter.next(), tool, arguments))
  }

  /// Calls a tool until its result is as it should be, as others do what they do; the last result.
  func call(
    _ tool: String, _ arguments: JSONValue = [:], until isRight: (CompatResult) -> Bool
  ) async -> CompatResult {
    var result = await call(tool, arguments)
    for _ in 0..<600 where !isRight(result) {
      await client.place.loop.sleep(for: .milliseconds(50))
      result = await call(tool, arguments)
    }
    return result
  }

  /// Waits until the presence topic tells this process of another handle; a door knows whom it let in without it.
  func sees(_ handle: String) async {
    guard place.ground != .http else { return }
    let found = await call("parley_list_users", ["online_only": true]) { result in
      result.structured?["users"]?.array?.contains { $0["handle"]?.string == handle } == true
    }
    #expect(found.text.contains(handle))
  }

  /// Sends a call and does not wait for its answer.
  func start(_ tool: String, _ arguments: JSONValue = [:]) -> Int {
    let id = counter.next()
    client.request(id, tool, arguments)
    return id
  }

  func answer(_ id: Int) async -> CompatResult { CompatResult(result: await client.answer(id)?["result"]) }

  /// The answers to several calls, in the order of the calls, whatever the order in which they come.
  func answers(_ ids: [Int]) async -> [CompatResult] {
    var found: [Int: CompatResult] = [:]
    while found.count < ids.count, let message = await client.next() {
      guard let id = message["id"]?.int.map(Int.init), ids.contains(id) else { continue }
      found[id] = CompatResult(result: message["result"])
    }
    return ids.map { found[$0] ?? CompatResult(result: nil) }
  }

  /// The names of `tools/list`, and each entry's text.
  func tools() async -> [(name: String, text: String)] {
    let id = counter.next()
    client.send(#"{"jsonrpc":"2.0","id":\#(id),"method":"tools/list"}"#)
    return await client.answer(id)?["result"]?["tools"]?.array?.map { ($0["name"]?.string ?? "", $0.text) } ?? []
  }
}

/// Numbers in order, from 1.
private final class Counter: Sendable {
  private let value = Mutex(0)

  func next() -> Int {
    value.withLock {
      $0 += 1
      return $0
    }
  }
}
