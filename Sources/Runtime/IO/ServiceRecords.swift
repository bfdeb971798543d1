import CLinux
import Glibc

/// One SRV record (RFC 2782): where a service is.
package struct ServiceRecord: Hashable, Sendable {
  /// Lower ones are tried first.
  package let priority: Int
  /// Among equal priorities: how often this one should be chosen.
  package let weight: Int
  /// The port.
  package let port: Int
  /// The host's name, without its last dot; empty where the service is decidedly not offered.
  package let host: String

  /// Makes a record.
  package init(priority: Int, weight: Int, port: Int, host: String) {
    self.priority = priority
    self.weight = weight
    self.port = port
    self.host = host
  }
}

/// Asks the name servers where a service is.
package enum ServiceRecords {
  /// A name server at a port of 127.0.0.1 that is asked instead of those of resolv.conf.
  package struct NameServer: Hashable, Sendable {
    let port: UInt16

    /// Names one.
    package init(port: UInt16) { self.port = port }
  }

  /// The records of a name such as `_xmpp-client._tcp.example.org`, as they come; none where the name has none, or no
  /// name server answers in time. `order` says in which order they should be tried.
  package static func look(
    up name: String, at server: NameServer? = nil, loop: EventLoop, until deadline: LoopInstant,
    isolation: isolated (any Actor)? = #isolation
  ) async -> [ServiceRecord] {
    let outcome: WaitOutcome<[ServiceRecord]>
    do throws(SystemError) {
      outcome = try await loop.offload(named: "resolver", until: deadline) { ask(name, server) }
    } catch { return [] }
    guard case .value(let records) = outcome else { return [] }
    return records
  }

  private static func ask(_ name: String, _ server: NameServer?) -> [ServiceRecord] {
    var answer = [UInt8](repeating: 0, count: 16 << 10)
    // 33 is SRV (RFC 2782).
    let length =
      if let server {
        unsafe parley_dns_query_at(server.port, name, 33, &answer, CInt(answer.count))
      } else {
        unsafe parley_dns_query(name, 33, &answer, CInt(answer.count))
      }
    guard length > 0 else { return [] }
    return parse(Array(answer.prefix(Int(length))))
  }

  /// Places of the records in the order in which they should be tried: priorities ascend, equals are drawn by their
  /// weights (RFC 2782). `random` gives any number that is not negative.
  package static func order(_ records: [ServiceRecord], random: () -> Int) -> [Int] {
    var rest = records.indices.sorted {
      (records[$0].priority, records[$0].weight, $0) < (records[$1].priority, records[$1].weight, $1)
    }
    var ordered: [Int] = []
    while let priority = rest.first.map({ records[$0].priority }) {
      let equals = rest.prefix { records[$0].priority == priority }
      var place = random() % (equals.reduce(0) { $0 + records[$1].weight } + 1)
      let chosen = equals.firstIndex { index in
        place -= records[index].weight
        return place <= 0
      }
      ordered.append(rest.remove(at: chosen ?? 0))
    }
    return ordered
  }

  /// The SRV records of a DNS message (RFC 1035, section 4); none where it is malformed.
  static func parse(_ message: [UInt8]) -> [ServiceRecord] {
    var reader = Reader(message: message)
    guard message.count >= 12, let questions = reader.number(at: 4), let answers = reader.number(at: 6) else {
      return []
    }
    reader.position = 12
    for _ in 0..<questions {
      guard reader.name() != nil else { return [] }
      reader.position += 4
    }
    var records: [ServiceRecord] = []
    for _ in 0..<answers {
      guard reader.name() != nil, let type = reader.number(at: reader.position),
        let length = reader.number(at: reader.position + 8)
      else { return [] }
      let data = reader.position + 10
      if type == 33 {
        guard let priority = reader.number(at: data), let weight = reader.number(at: data + 2),
          let port = reader.number(at: data + 4)
        else { return [] }
        reader.position = data + 6
        guard let host = reader.name() else { return [] }
        records.append(ServiceRecord(priority: priority, weight: weight, port: port, host: host))
      }
      reader.position = data + length
    }
    return records
  }

  private struct Reader {
    let message: [UInt8]
    var position = 0

    func number(at place: Int) -> Int? {
      guard place >= 0, place + 1 < message.count else { return nil }
      return Int(message[place]) << 8 | Int(message[place + 1])
    }

    /// A name, following compression; a message cannot make it longer than 255 bytes or loop.
    mutating func name() -> String? {
      var labels: [String] = []
      var place = position
      var end: Int?
      var length = 0
      var jumps = 0
      while true {
        guard place < message.count else { return nil }
        let size = Int(message[place])
        switch size {
        case 0:
          position = end ?? place + 1
          return labels.joined(separator: ".")
        case 1...63:
          guard place + size < message.count else { return nil }
          length += size + 1
          guard length <= 255 else { return nil }
          labels.append(String(decoding: message[place + 1...place + size], as: UTF8.self))
          place += size + 1
        case 192...:
          guard let target = number(at: place), jumps < 64 else { return nil }
          jumps += 1
          end = end ?? place + 2
          place = target & 0x3fff
        default: return nil
        }
      }
    }
  }
}
