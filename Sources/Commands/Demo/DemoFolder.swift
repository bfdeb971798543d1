import Glibc
import ParleyRuntime

/// A temporary folder with one configuration for each agent, both naming the same place.
struct DemoFolder: Sendable {
  let path: String
  let place: DemoPlace

  init(_ place: DemoPlace) throws(SystemError) {
    self.place = place
    let base = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
    var template = Array("\(base)/parley-demo-XXXXXX".utf8CString)
    guard unsafe mkdtemp(&template) != nil else { throw SystemError.last("mkdtemp") }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Writes an agent's configuration and returns its path; `guest` is the person's account, empty where there is none.
  func configuration(for handle: String, guest: String = "") throws(SystemError) -> String {
    // JSON is YAML.
    let settings = JSONValue.object(place.backendConfiguration(in: path, guest: guest)).text
    let text = """
      backend: \(place.backend)
      identity: { handle: \(handle) }
      topics: [\(place.topic)]
      live_push: { enabled: true }
      presence: { enabled: false }
      backend_config: \(settings)

      """
    let file = "\(path)/\(handle).yaml"
    let descriptor = try SystemError.check("open \(file)", unsafe creat(file, 0o600))
    defer { close(descriptor) }
    Output.write(text, to: descriptor)
    return file
  }

  func remove() {
    let database = ["", "-wal", "-shm", "-notify"].map { "parley.db" + $0 }
    for name in ["planner.yaml", "builder.yaml"] + database { unsafe unlink("\(path)/\(name)") }
    unsafe rmdir(path)
  }
}
