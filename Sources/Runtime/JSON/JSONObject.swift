/// The members of a JSON object in their order, each name once.
///
/// Lookups compare names one by one: right for the few members that requests have. Two objects are equal when they
/// have the same members in any order (RFC 8259 section 4). Names are the same when their scalars are, so that `é` and
/// `e` with a combining accent are two.
public struct JSONObject: Sendable, Hashable, ExpressibleByDictionaryLiteral {
  /// One member.
  public typealias Member = (name: String, value: JSONValue)

  /// The members in order; setting is done through the subscript.
  public private(set) var members: [Member] = []

  /// An object without members.
  public init() {}

  /// Of members with the same name, the last value stays, at the place of the first.
  public init(_ members: some Sequence<Member>) {
    for member in members { self.members.append(member) }
    dropRepeated()
  }

  /// Of members with the same name, the last value stays, at the place of the first.
  public init(dictionaryLiteral elements: (String, JSONValue)...) {
    self.init(elements.lazy.map { (name: $0, value: $1) })
  }

  /// The number of members.
  public var count: Int { members.count }

  /// The value of this name; setting appends or replaces, setting nil removes.
  public subscript(_ name: String) -> JSONValue? {
    get { index(of: name).map { members[$0].value } }
    set {
      switch (index(of: name), newValue) {
      case (let index?, let value?): members[index].value = value
      case (let index?, nil): members.remove(at: index)
      case (nil, let value?): members.append((name, value))
      case (nil, nil): break
      }
    }
  }

  private func index(of name: String) -> Int? {
    members.firstIndex { Name($0.name) == Name(name) }
  }

  /// Above a few members a table finds the repeated names, so that a hostile object costs no quadratic time.
  private mutating func dropRepeated() {
    guard members.count > 1 else { return }
    var places: [Name: Int] = [:]
    places.reserveCapacity(members.count)
    var kept: [Member] = []
    kept.reserveCapacity(members.count)
    for member in members {
      if let place = places.updateValue(kept.count, forKey: Name(member.name)) {
        places[Name(member.name)] = place
        kept[place].value = member.value
      } else {
        kept.append(member)
      }
    }
    members = kept
  }

  /// The same members, in any order.
  public static func == (left: JSONObject, right: JSONObject) -> Bool {
    guard left.count == right.count else { return false }
    let inOrder = zip(left.members, right.members).allSatisfy { Name($0.name) == Name($1.name) && $0.value == $1.value }
    if inOrder { return true }
    let table = Dictionary(right.members.map { (Name($0.name), $0.value) }) { first, _ in first }
    return left.members.allSatisfy { table[Name($0.name)] == $0.value }
  }

  /// Does not depend on the order.
  public func hash(into hasher: inout Hasher) {
    var sum = 0
    for member in members {
      var own = Hasher()
      own.combine(Name(member.name))
      own.combine(member.value)
      sum &+= own.finalize()
    }
    hasher.combine(sum)
  }

  /// Compares by scalars: `String`'s own equality is by canonical equivalence, which JSON does not know.
  private struct Name: Hashable {
    let text: String

    init(_ text: String) { self.text = text }

    static func == (left: Name, right: Name) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }

    func hash(into hasher: inout Hasher) {
      for byte in text.utf8 { hasher.combine(byte) }
    }
  }
}
