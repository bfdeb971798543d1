import ParleyMatrix
import ParleyNATS
import ParleyRedis
import ParleyRelay
import ParleyRuntime
import ParleySQLite
import ParleyXMPP
import Testing

@testable import ParleyConfiguration

/// The tables of docs/configuration.md and of the pages in docs/backends name the keys of the schema, their defaults and their
/// ranges: none is missing, none is left over.
@Suite struct DocumentationTests {
  @Test func configurationKeys() throws {
    var documented = try rows(of: "docs/configuration.md", between: "keys")
    // The limits have a table of their own; `backend_config` is one row, since each backend has its own page.
    #expect(documented.removeValue(forKey: "limits") != nil)
    #expect(documented.removeValue(forKey: "backend_config") != nil)
    let root = ConfigurationSchema.root(backend: nil, defaultBackend: "sqlite")
    compare(documented, with: settings(of: root, except: ["limits", "backend_config"]))
  }

  @Test func limits() throws {
    let root = ConfigurationSchema.root(backend: nil, defaultBackend: "sqlite")
    guard case .block(let limits)? = root["limits"]?.kind else {
      Issue.record("there is no block named limits")
      return
    }
    compare(try rows(of: "docs/configuration.md", between: "limits"), with: settings(of: limits))
  }

  @Test func sqliteKeys() throws {
    compare(
      try rows(of: "docs/backends/sqlite.md", between: "keys"), with: settings(of: SQLiteOptions.description.schema))
  }

  @Test func redisKeys() throws {
    compare(
      try rows(of: "docs/backends/redis.md", between: "keys"), with: settings(of: RedisOptions.description.schema))
  }

  @Test func natsKeys() throws {
    compare(
      try rows(of: "docs/backends/nats.md", between: "keys"), with: settings(of: NATSOptions.description.schema))
  }

  @Test func matrixKeys() throws {
    compare(
      try rows(of: "docs/backends/matrix.md", between: "keys"), with: settings(of: MatrixOptions.description.schema))
  }

  @Test func parleyKeys() throws {
    compare(
      try rows(of: "docs/backends/parley.md", between: "keys"), with: settings(of: ParleyOptions.description.schema))
  }

  @Test func xmppKeys() throws {
    compare(
      try rows(of: "docs/backends/xmpp.md", between: "keys"), with: settings(of: XMPPOptions.description.schema))
  }

  /// The containers of examples/servers can be read, and offer nothing to other machines.
  @Test func serversOfTheExamplesAreForThisMachineAlone() throws {
    let root = try #require(try YAMLReader.read(Array(Self.text("examples/servers/compose.yaml").utf8)))
    guard case .mapping(let services)? = root["services"]?.value.value else {
      Issue.record("there are no services")
      return
    }
    var ports: [String] = []
    for service in services {
      #expect(service.value["image"] != nil, "no image: \(service.key)")
      guard case .sequence(let published)? = service.value["ports"]?.value.value else { continue }
      for port in published { if case .scalar(let text, _) = port.value { ports.append(text) } }
    }
    #expect(ports.sorted() == [4222, 5222, 6379, 8008].map { "127.0.0.1:\($0):\($0)" })
  }

  // MARK: What is compared

  private struct Row {
    var defaultText: String
    var allowed: String
  }

  private func compare(_ documented: [String: Row], with settings: [String: Setting]) {
    #expect(Set(settings.keys).subtracting(documented.keys).isEmpty, "keys that the page lacks")
    #expect(Set(documented.keys).subtracting(settings.keys).isEmpty, "keys that do not exist")
    for (key, setting) in settings {
      guard let row = documented[key] else { continue }
      if let value = setting.defaultValue {
        #expect(row.defaultText == "`\(text(of: value))`", "the default of \(key)")
      } else if setting.isRequired {
        #expect(row.defaultText == "required", "the default of \(key)")
      } else {
        #expect(!row.defaultText.hasPrefix("`") && row.defaultText != "required", "\(key) has no default")
      }
      switch setting.kind {
      case .integer(let range):
        #expect(row.allowed.hasPrefix(text(of: range)), "what \(key) allows")
      case .number(let range):
        #expect(row.allowed == "\(Int(range.lowerBound)) to \(Int(range.upperBound))", "what \(key) allows")
      case .choice(let words):
        #expect(row.allowed == words.map { "`\($0)`" }.joined(separator: ", "), "what \(key) allows")
      default: break
      }
    }
  }

  private func settings(
    of schema: SettingsSchema, prefix: String = "", except left: Set<String> = []
  ) -> [String: Setting] {
    var found: [String: Setting] = [:]
    for setting in schema.settings where !left.contains(setting.name) {
      if case .block(let inner) = setting.kind {
        found.merge(settings(of: inner, prefix: prefix + setting.name + ".")) { first, _ in first }
      } else if case .blocks(let inner) = setting.kind {
        found.merge(settings(of: inner, prefix: prefix + setting.name + ".NAME.")) { first, _ in first }
      } else {
        found[prefix + setting.name] = setting
      }
    }
    return found
  }

  private func text(of value: SettingValue) -> String {
    switch value {
    case .string(let text): text
    case .integer(let number): String(number)
    case .number(let number): String(number)
    case .boolean(let isTrue): String(isTrue)
    case .strings(let list): "[\(list.joined(separator: ", "))]"
    case .texts, .block: "{}"
    }
  }

  private func text(of range: ClosedRange<Int>) -> String {
    range.upperBound == Int.max ? "\(range.lowerBound) or more" : "\(range.lowerBound) to \(range.upperBound)"
  }

  /// The rows of every table between `<!-- name` and `<!-- /name -->`, by the key in their first column.
  private static func text(_ path: String) throws -> String {
    // Tests/ConfigurationTests/<this file>: three up is the repository.
    let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
    return String(decoding: try FileSystem.read("\(root)/\(path)", limit: 1 << 20), as: UTF8.self)
  }

  private func rows(of page: String, between name: String) throws -> [String: Row] {
    let text = try Self.text(page)
    var rows: [String: Row] = [:]
    var isInside = false
    for line in text.split(separator: "\n") {
      if line.hasPrefix("<!-- \(name)") { isInside = true }
      if line.hasPrefix("<!-- /\(name)") { isInside = false }
      guard isInside, line.hasPrefix("| `") else { continue }
      let cells = line.dropFirst().dropLast().split(separator: "|", omittingEmptySubsequences: false).map(trimmed)
      guard cells.count == 4, let key = cells.first else {
        Issue.record("\(page): a row has four cells: \(line)")
        continue
      }
      let isNew =
        rows.updateValue(Row(defaultText: cells[1], allowed: cells[2]), forKey: key.filter { $0 != "`" }) == nil
      #expect(isNew, "\(page) has \(key) twice")
    }
    #expect(!rows.isEmpty, "\(page) has no table named \(name)")
    return rows
  }

  private func trimmed(_ cell: Substring) -> String {
    let start = cell.drop { $0 == " " }
    return String(start[..<(start.lastIndex { $0 != " " }.map { start.index(after: $0) } ?? start.startIndex)])
  }
}
