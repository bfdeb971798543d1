import CSQLite
import Glibc
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleySQLite

/// Clear errors, nothing lost, the process alive, and a reconnect heals (S9).
struct FailureTests {
  /// Connects once and returns the error of it.
  private func connectError(_ options: SQLiteOptions) throws -> SeamError? {
    let loop = try EventLoop(name: "test")
    return try loop.run {
      let backend = SQLiteBackend(loop: loop, options: options)
      let error = await failure { try await backend.connect { _ in } }
      await backend.disconnect()
      return error
    }
  }

  @Test func missingDirectory() throws {
    let folder = try TestFolder()
    let error = try #require(try connectError(SQLiteOptions(path: folder.path + "/no/such/parley.db")))
    #expect(error.code == .unavailable)
    #expect(error.cause.contains(folder.path + "/no/such"))
  }

  @Test func aDirectoryIsNoFile() throws {
    let folder = try TestFolder()
    #expect(try connectError(SQLiteOptions(path: folder.path))?.code == .unavailable)
    #expect(try connectError(SQLiteOptions(path: ":memory:"))?.code == .unsupported)
  }

  @Test func notADatabase() throws {
    let folder = try TestFolder()
    try write(String(repeating: "this is no database. ", count: 400), to: folder.database)
    let error = try #require(try connectError(folder.options))
    #expect(error.code == .corrupt)
    #expect(error.cause == "the file is not a SQLite database")
    unlink(folder.database)
    #expect(try connectError(folder.options) == nil)
  }

  @Test func newerSchema() throws {
    let folder = try TestFolder()
    #expect(try connectError(folder.options) == nil)
    try OtherProgram(folder.database).run("UPDATE parley_meta SET value = '7' WHERE name = 'schema_version'")
    let error = try #require(try connectError(folder.options))
    #expect(error.code == .unsupported)
    #expect(error.cause.contains("schema version 7"))
  }

  @Test func networkFileSystems() {
    for type: UInt32 in [0x6969, 0x517B, 0xFF53_4D42, 0xFE53_4D42, 0x6573_5546, 0x0102_1997] {
      #expect(DatabaseFile.networkFileSystem(type) != nil)
    }
    // ext4, tmpfs, btrfs, xfs, overlayfs, zfs
    for type: UInt32 in [0xEF53, 0x0102_1994, 0x9123_683E, 0x5846_5342, 0x794C_7630, 0x2FC1_2FC1] {
      #expect(DatabaseFile.networkFileSystem(type) == nil)
    }
    #expect(DatabaseFile.parent(of: "parley.db") == ".")
    #expect(DatabaseFile.parent(of: "/parley.db") == "/")
    #expect(DatabaseFile.parent(of: "a/b/parley.db") == "a/b")
  }

  @Test func corruptPage() throws {
    let folder = try TestFolder()
    try withBackends(folder.options) { loop, backends in
      for number in 0..<200 { try await backends[0].post(draft("m\(number) " + String(repeating: "x", count: 500))) }
    }
    // Everything into the file (two handles that close at once may leave that undone); then its leaves are damaged.
    try OtherProgram(folder.database).run("PRAGMA wal_checkpoint(TRUNCATE)")
    let file = try #require(fopen(folder.database, "r+"))
    fseek(file, 0, SEEK_END)
    let size = ftell(file)
    fseek(file, 4096 * 14, SEEK_SET)
    let garbage = [UInt8](repeating: 0xAA, count: Int(size) - 4096 * 14)
    fwrite(garbage, 1, garbage.count, file)
    fclose(file)
    try withBackends(folder.options) { loop, backends in
      let error = await failure { try await backends[0].fetch(FetchRequest(general, limit: 1000)) }
      #expect(error?.code == .corrupt)
      let again = await failure { try await backends[0].fetch(FetchRequest(general, limit: 1000)) }
      #expect(again?.code == .corrupt)
    }
  }

  @Test func deletedUnderneath() throws {
    let folder = try TestFolder()
    let loop = try EventLoop(name: "test")
    try loop.run {
      let backend = SQLiteBackend(loop: loop, options: folder.options)
      let losses = Losses()
      try? await backend.connect { losses.add($0) }
      let receipt = try? await backend.post(draft("first"))
      for suffix in ["", "-wal", "-shm"] { unlink(folder.database + suffix) }
      let error = await failure { try await backend.post(draft("second")) }
      #expect(error?.code == .unavailable)
      #expect(error?.cause.contains("deleted or replaced") == true)
      await losses.first()
      #expect(losses.all.count == 1)
      let away = await failure { try await backend.post(draft("third")) }
      #expect(away?.code == .unavailable)
      let reconnect = await failure { try await backend.connect { losses.add($0) } }
      #expect(reconnect == nil)
      let healed = await failure { try await backend.post(draft("fourth")) }
      #expect(healed == nil)
      // Another file: cursors of the first are told apart.
      let page = try? await backend.fetch(FetchRequest(general, .after(receipt?.cursor ?? Cursor(""))))
      #expect(page?.gap?.isCertain == false)
      #expect(page?.messages.map(\.content) == ["fourth"])
      await backend.disconnect()
    }
  }

  @Test func deletedUnderASubscriber() throws {
    let folder = try TestFolder()
    let loop = try EventLoop(name: "test")
    var options = folder.options
    options.pollInterval = .milliseconds(10)
    let backend = SQLiteBackend(loop: loop, options: options)
    try loop.run {
      let losses = Losses()
      try? await backend.connect { losses.add($0) }
      _ = try? await backend.subscribe(general, after: Cursor("0")) { _ in .more }
      unlink(folder.database)
      await losses.first()
      #expect(losses.all.first?.cause.contains("deleted or replaced") == true)
    }
  }

  /// Somebody tidies up: writers and readers meet at a new sidecar, and rows still arrive at once.
  @Test func theSidecarIsRemovedUnderALiveWatch() throws {
    let folder = try TestFolder()
    try withBackends(folder.options, count: 2) { loop, backends in
      let inbox = Inbox()
      _ = try await backends[0].subscribe(general, after: Cursor("0")) { inbox.take($0) }
      for round in 0..<3 {
        try await backends[1].post(draft("before \(round)"))
        #expect(await inbox.nextMessage()?.content == "before \(round)")
        unlink(folder.database + "-notify")
        try await backends[1].post(draft("after \(round)"))
        #expect(await inbox.nextMessage()?.content == "after \(round)")
      }
    }
  }

  @Test func hungTurnstile() throws {
    let folder = try TestFolder()
    try withBackends(folder.options) { loop, backends in
      let backend = backends[0]
      try await backend.post(draft("first"))
      let other = open(folder.database + "-notify", O_RDWR)
      flock(other, LOCK_EX)
      // The writer's thread hangs in flock; the callers are answered all the same, and truthfully.
      let error = await failure {
        try await backend.post(draft("late"), deadline: loop.now.advanced(by: .milliseconds(50)))
      }
      #expect(error?.code == .timedOut)
      let waiting = loop.spawn { await failure { try await backend.post(draft("cancelled")) } }
      let entered = loop.spawn { waiting.cancel() }
      await entered.value
      #expect(await waiting.value?.code == .cancelled)
      let patient = loop.spawn { await failure { try await backend.post(draft("patient")) } }
      flock(other, LOCK_UN)
      #expect(await patient.value == nil)
      close(other)
      let contents = try await backend.fetch(FetchRequest(general)).messages.map(\.content)
      #expect(contents == ["first", "patient"])
    }
  }

  @Test func disconnectDoesNotWaitForTheTurnstile() throws {
    let folder = try TestFolder()
    let loop = try EventLoop(name: "test")
    let other = try loop.run {
      let backend = SQLiteBackend(loop: loop, options: folder.options)
      try? await backend.connect { _ in }
      let other = open(folder.database + "-notify", O_RDWR)
      flock(other, LOCK_EX)
      let waiting = loop.spawn { await failure { try await backend.post(draft("late")) } }
      // One turn, so that the post has left for the writer.
      await withCheckedContinuation { continuation in loop.schedule(after: .zero) { continuation.resume() } }
      let started = loop.now
      await backend.disconnect()
      #expect(started.duration(to: loop.now) < .seconds(5))
      #expect(await waiting.value?.code == .unavailable)
      return other
    }
    close(other)
    try withBackends(folder.options) { loop, backends in
      let page = try await backends[0].fetch(FetchRequest(general))
      #expect(page.messages.isEmpty)
    }
  }

  @Test func writeLockHeldByAnotherProgram() throws {
    let folder = try TestFolder()
    try withBackends(folder.options) { loop, backends in
      let backend = backends[0]
      let other = try OtherProgram(folder.database)
      try other.run("BEGIN IMMEDIATE")
      let error = await failure {
        try await backend.post(draft("late"), deadline: loop.now.advanced(by: .milliseconds(50)))
      }
      #expect(error?.code == .timedOut)
      // Reading goes on meanwhile.
      #expect(try await backend.fetch(FetchRequest(general)).messages.isEmpty)
      let patient = loop.spawn { await failure { try await backend.post(draft("patient")) } }
      try other.run("COMMIT")
      #expect(await patient.value == nil)
      #expect(try await backend.fetch(FetchRequest(general)).messages.map(\.content) == ["patient"])
    }
  }

  @Test func writeLockHeldForTooLong() throws {
    let folder = try TestFolder()
    try withBackends(folder.options) { loop, backends in
      let other = try OtherProgram(folder.database)
      try other.run("BEGIN IMMEDIATE")
      let error = await failure {
        try await backends[0].post(draft("late"), deadline: loop.now.advanced(by: .seconds(60)))
      }
      #expect(error?.code == .unavailable)
      #expect(error?.native == 5)
      try other.run("COMMIT")
      #expect(await failure { try await backends[0].post(draft("next")) } == nil)
    }
  }

  @Test func fullDiskFailsTheWholeBatch() throws {
    guard let mount = SmallFileSystem(megabytes: 1) else {
      Issue.record("skipped: mounting a tmpfs needs root", severity: .warning)
      return
    }
    try withBackends(SQLiteOptions(path: mount.path + "/parley.db")) { loop, backends in
      let backend = backends[0]
      let big = String(repeating: "x", count: 20_000)
      var stored: [String] = []
      var failed: [SeamError?] = []
      while failed.isEmpty {
        // Sixteen of one turn are one batch: all of it is stored, or none.
        let batch = (0..<16).map { number in
          loop.spawn { await failure { try await backend.post(draft("\(number)" + big)) } }
        }
        var outcomes: [SeamError?] = []
        for post in batch { outcomes.append(await post.value) }
        if outcomes.allSatisfy({ $0 == nil }) {
          stored.append(contentsOf: (0..<16).map(String.init))
        } else {
          failed = outcomes
        }
      }
      #expect(failed.map { $0?.code } == Array(repeating: .storageFull, count: 16))
      let page = try await backend.fetch(FetchRequest(general, limit: 1000))
      #expect(page.messages.map { String($0.content.prefix { $0 != "x" }) } == stored)
    }
    // Once there is room again, the same file goes on.
    #expect(mount.grow(megabytes: 8))
    try withBackends(SQLiteOptions(path: mount.path + "/parley.db")) { loop, backends in
      #expect(await failure { try await backends[0].post(draft("after")) } == nil)
    }
  }

  @Test func readOnlyFileSystem() throws {
    guard let mount = SmallFileSystem(megabytes: 4) else {
      Issue.record("skipped: mounting a tmpfs needs root", severity: .warning)
      return
    }
    let options = SQLiteOptions(path: mount.path + "/parley.db")
    #expect(try connectError(options) == nil)
    #expect(mount.remount("ro"))
    let error = try connectError(options)
    #expect(error?.code == .forbidden, "\(String(describing: error))")
    let missing = try connectError(SQLiteOptions(path: mount.path + "/other.db"))
    #expect(missing?.code == .forbidden, "\(String(describing: missing))")
    #expect(mount.remount("rw"))
    #expect(try connectError(options) == nil)
  }

  private func write(_ text: String, to path: String) throws {
    let file = try #require(fopen(path, "w"))
    fputs(text, file)
    fclose(file)
  }
}

/// Ends of a session, as they are told. Confined to the test's loop.
final class Losses: @unchecked Sendable {  // touched on one loop only
  private(set) var all: [SeamError] = []
  private var waiter: CheckedContinuation<Void, Never>?

  func add(_ error: SeamError) {
    all.append(error)
    waiter?.resume()
    waiter = nil
  }

  func first(isolation: isolated (any Actor)? = #isolation) async {
    if all.isEmpty { await withCheckedContinuation { waiter = $0 } }
  }
}

/// A tmpfs of its own.
final class SmallFileSystem: Sendable {
  let path: String
  private let folder: TestFolder

  init?(megabytes: Int) {
    guard let folder = try? TestFolder(), mount("tmpfs", folder.path, "tmpfs", 0, "size=\(megabytes)m") == 0 else {
      return nil
    }
    self.folder = folder
    path = folder.path
  }

  deinit { umount2(path, CInt(MNT_DETACH)) }

  func grow(megabytes: Int) -> Bool {
    mount("tmpfs", path, "tmpfs", UInt(MS_REMOUNT), "size=\(megabytes)m") == 0
  }

  func remount(_ mode: String) -> Bool {
    let flags = MS_REMOUNT | (mode == "ro" ? MS_RDONLY : 0)
    return mount("tmpfs", path, "tmpfs", UInt(flags), nil) == 0
  }
}
