import ParleyRuntime
import ParleySQLite

/// Shows what a topic holds, posts one message to it, and follows it until so many messages have come.
@main
struct Embed {
  static func main() throws {
    let arguments = CommandLine.arguments.dropFirst()
    guard arguments.count >= 3, let count = arguments.count > 3 ? Int(arguments[4]) : 1 else {
      print("usage: embed FILE TOPIC TEXT [COUNT]")
      return
    }
    let embed = Embed(path: arguments[1], topic: Topic(arguments[2]), text: arguments[3], count: count)
    // One thread: this one. Everything of Parley but the commits to the file runs on it.
    let loop = try EventLoop(name: "embed")
    try loop.run { await embed.run(on: loop) }
  }

  let path: String
  let topic: Topic
  let text: String
  let count: Int

  func run(on loop: EventLoop) async {
    let backend = SQLiteBackend(loop: loop, options: SQLiteOptions(path: path))
    let supervisor = Supervisor(loop: loop, backend: backend)
    await withTaskGroup { group in
      // `run` connects, reconnects after every loss, and disconnects when it is cancelled.
      group.addTask { await supervisor.run() }
      do {
        try await talk(through: supervisor)
      } catch {
        print("embed: \(error)")
      }
      group.cancelAll()
    }
  }

  private func talk(through supervisor: Supervisor) async throws(SeamError) {
    let loop = supervisor.loop
    let patience = Duration.seconds(10)
    let history = try await supervisor.fetch(
      FetchRequest(topic, .latest, limit: 10), deadline: loop.now.advanced(by: patience))
    for message in history.messages { show(message) }

    // The sink runs on the loop and must not block. Answering `.pause` after each delivery means that the log waits
    // for this program, and its memory does not grow, however slowly it reads.
    let (deliveries, mailbox) = AsyncStream.makeStream(of: Delivery.self)
    let following = await supervisor.follow(topic, after: history.next) { delivery in
      mailbox.yield(delivery)
      return .pause
    }

    // The same key with the same content is one message, so a post whose outcome is unknown can be repeated.
    var random = SystemRandomNumberGenerator()
    let instance = String(random.next(), radix: 16)
    let draft = Draft(
      topic: topic, author: Author(handle: Handle("embed"), instance: instance), content: text,
      key: .generated(instance + "-1"))
    let receipt = try await supervisor.post(draft, deadline: loop.now.advanced(by: patience))
    print("posted \(receipt.id), \(receipt.durability)")

    var left = count
    for await delivery in deliveries {
      switch delivery {
      case .message(let message):
        show(message)
        left -= 1
      case .gap(let gap):
        print("some messages cannot be shown: \(gap.reason)")
      }
      if left == 0 { break }
      await supervisor.resume(following)
    }
    await supervisor.unfollow(following)
  }

  private func show(_ message: Message) { print("\(message.sender): \(message.content)") }
}
