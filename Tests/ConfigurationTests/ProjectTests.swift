import ParleyRuntime
import Testing

@testable import ParleyConfiguration

@Suite struct ProjectTests {
  @Test func withoutAFile() throws {
    let workspace = try Workspace()
    try workspace.write("project/.git/HEAD", "ref: x\n")
    try workspace.write("project/deep/er/file", "")
    workspace.folder = "project/deep/er"
    let loaded = try workspace.load()
    let configuration = loaded.configuration
    let root = workspace.root + "/project"
    let state = "\(workspace.root)/home/.local/state/parley/projects/project-\(SHA256.hexadecimal(root, digits: 8))"
    #expect(loaded.path == nil && loaded.handleLease == nil)
    #expect(configuration.identity.handle.name == "project" && configuration.topics == [Topic("general")])
    #expect(configuration.livePush.isEnabled && configuration.backend == "sqlite")
    #expect(configuration.backendSettings.string("db_path") == state + "/parley.db")
    #expect(FileSystem.status(state).map { $0.mode & 0o777 } == 0o700)
    #expect(loaded.shown.contains("  handle: project  # the folder's name\n"))
  }

  @Test func instancesAreNumberedWhileOthersLive() throws {
    let workspace = try Workspace()
    let first = try workspace.load(leasesHandle: true)
    var second: LoadedConfiguration? = try workspace.load(leasesHandle: true)
    let third = try workspace.load(leasesHandle: true)
    #expect(first.configuration.identity.handle.name == "project")
    #expect(
      second?.configuration.identity.handle.name == "project-2" && second?.configuration.instanceID == "project-2")
    #expect(third.configuration.identity.handle.name == "project-3")
    second = nil
    let fourth = try workspace.load(leasesHandle: true)
    #expect(fourth.configuration.identity.handle.name == "project-2")
    #expect(try workspace.load().configuration.identity.handle.name == "project")
    withExtendedLifetime((first, third, fourth)) {}
  }

  @Test func workTreesOfOneRepositoryMeet() throws {
    let workspace = try Workspace()
    try workspace.write("project/.git/worktrees/side/commondir", "../..\n")
    try workspace.write("side/.git", "gitdir: \(workspace.root)/project/.git/worktrees/side\n")
    try workspace.write("sub/.git", "gitdir: ../project/.git/modules/sub\n")
    let main = Project(of: workspace.surroundings)
    workspace.folder = "side"
    let side = Project(of: workspace.surroundings)
    workspace.folder = "sub"
    #expect(side.stateDirectory == main.stateDirectory)
    #expect(side.baseHandle == "side" && main.baseHandle == "project")
    #expect(Project(of: workspace.surroundings).root == workspace.root + "/sub")
  }

  @Test(arguments: [
    ("my project", "my-project"), (".config", "config"), ("été", "t"), ("日本", "agent"), ("", "agent"),
    ("a_b.c-d", "a_b.c-d"),
    ("x--", "x"), (String(repeating: "y", count: 300), String(repeating: "y", count: 100)),
  ])
  func handles(_ folder: String, _ handle: String) { #expect(Project.word(folder, otherwise: "agent") == handle) }

  @Test func stateDirectory() {
    var surroundings = Surroundings(environment: [:], workingDirectory: "/x", home: "/h")
    #expect(surroundings.stateDirectory == "/h/.local/state/parley")
    surroundings.environment["XDG_STATE_HOME"] = "/s"
    #expect(surroundings.stateDirectory == "/s/parley")
    surroundings.environment["XDG_STATE_HOME"] = "relative"
    #expect(surroundings.stateDirectory == "/h/.local/state/parley")
    #expect(surroundings.cacheDirectory == "/h/.cache/parley")
    surroundings.environment["XDG_CACHE_HOME"] = "/c"
    #expect(surroundings.cacheDirectory == "/c/parley")
  }

  @Test func aStateDirectoryThatCannotBeMadeIsTold() throws {
    let workspace = try Workspace()
    try workspace.write("home/.local", "a file in the way")
    #expect(throws: ConfigurationError.self) { try workspace.load() }
  }

  @Test(arguments: [
    ("alice", "alice"), ("a.b-c_D9", "a.b-c_D9"), ("", "default-e3b0c442"), (".", "default-cdb4ee2a"),
    ("..", "default-5ec1f7e7"), ("a/b", "a_b-c14cddc0"), ("😀", "__-f0443a34"),
  ])
  func instanceDirectories(_ id: String, _ name: String) { #expect(ReadState.directoryName(id) == name) }

  @Test func readState() throws {
    let workspace = try Workspace()
    let path = try workspace.write(
      "state.json", "{\n  \"a b\": \"sqlite:7\",\n  \"__proto__\": \"3\",\n  \"n\": 4,\n  \"😀\": \"x\"\n}\n")
    #expect(
      ReadState.load(path) == [
        Topic("a b"): Cursor("sqlite:7"), Topic("__proto__"): Cursor("3"), Topic("😀"): Cursor("x"),
      ])
    for damaged in ["{\"a\": ", "[\"a\"]", ""] {
      #expect(ReadState.load(try workspace.write("damaged.json", damaged)).isEmpty)
    }
    #expect(ReadState.load(workspace.root + "/nowhere").isEmpty)
  }
}

@Suite struct GitIndexTests {
  /// An index of names in order, as gitformat-index(5) lays it out.
  static func index(_ names: [String], version: UInt8, hashLength: Int = 20) -> [UInt8] {
    var bytes = Array("DIRC".utf8) + [0, 0, 0, version, 0, 0, 0, UInt8(names.count)]
    var previous: [UInt8] = []
    for name in names.map({ Array($0.utf8) }) {
      let start = bytes.count
      bytes += [UInt8](repeating: 1, count: 40 + hashLength)
      bytes += version == 2 ? [0, UInt8(name.count)] : [0x40, UInt8(name.count), 0, 0]
      if version == 4 {
        let shared = zip(previous, name).prefix { $0 == $1 }.count
        bytes += [UInt8(previous.count - shared)] + name[shared...] + [0]
      } else {
        bytes += name
        bytes += [UInt8](repeating: 0, count: 8 - (bytes.count - start) % 8)
      }
      previous = name
    }
    return bytes
  }

  @Test(arguments: [UInt8(2), 3, 4], [20, 32])
  func everyVersion(_ version: UInt8, _ hashLength: Int) {
    let names = ["a", "a/b", "a/bc.yaml", "dir/parley.config.yaml", "dir/parley.config.yml", "z"]
    let index = GitIndex(Self.index(names, version: version, hashLength: hashLength), hashLength: hashLength)
    for name in names { #expect(index.contains(name)) }
    for name in ["", "b", "a/", "parley.config.yaml"] { #expect(!index.contains(name)) }
  }

  @Test func damagedIndexes() {
    let whole = Self.index(["a", "some/name"], version: 4)
    for length in 0..<whole.count - 1 { #expect(!GitIndex(Array(whole[..<length])).contains("some/name")) }
    #expect(!GitIndex(Array("DIRC".utf8) + [0, 0, 0, 9, 0, 0, 0, 1]).contains("a"))
  }
}

@Suite struct SHA256Tests {
  private func hexadecimal(_ bytes: [UInt8]) -> String {
    SHA256.hash(bytes).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }

  /// The examples of FIPS 180-4, and lengths on both sides of the padding's edges.
  @Test func vectors() {
    #expect(hexadecimal(Array("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(hexadecimal([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(
      hexadecimal(Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8))
        == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
  }

  @Test(arguments: [
    (55, "9f4390f8"), (56, "b35439a4"), (63, "7d3e74a0"), (64, "ffe054fe"), (65, "635361c4"), (119, "31eba51c"),
    (120, "2f3d3354"),
  ])
  func paddingEdges(_ length: Int, _ digits: String) {
    #expect(SHA256.hexadecimal(String(repeating: "a", count: length), digits: 8) == digits)
  }
}
