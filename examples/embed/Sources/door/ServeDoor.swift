import ParleyRemote
import ParleyRuntime
import ParleySQLite

/// Serves a SQLite file over HTTP: whoever knows the passphrase lets MCP clients in by the consent page.
@main
struct ServeDoor {
  static func main() throws {
    let arguments = Array(CommandLine.arguments.dropFirst())
    guard arguments.count == 3, let port = Int(arguments[1]) else {
      print("usage: door FILE PORT PASSPHRASE")
      return
    }
    let loop = try EventLoop(name: "door")
    try loop.run { await serve(file: arguments[0], port: port, passphrase: arguments[2], on: loop) }
  }

  private static func serve(file: String, port: Int, passphrase: String, on loop: EventLoop) async {
    var setup = DoorSetup(
      handle: Handle("door"), topics: [Topic("general")], publicURL: "http://127.0.0.1:\(port)",
      store: file + ".auth")
    setup.listen = "127.0.0.1:\(port)"
    do throws(DoorFailure) {
      // A real program has the passphrase's slow hash, or asks whoever keeps its users.
      let door = try await ParleyDoor.open(setup, over: SQLiteBackend(loop: loop, options: SQLiteOptions(path: file))) {
        $0 == passphrase
      }
      print("clients connect to http://\(door.addresses[0])/mcp")
      try await door.wait()
    } catch {
      print("door: \(error)")
    }
  }
}
