/// What a message says to programs: a small map from names to texts, in the order of the names.
///
/// A message has a handful of them, which a flat list holds and searches at less cost than a table would.
public struct Attributes: Hashable, Sendable {
  /// A name and its text.
  public typealias Element = (key: String, value: String)

  /// By name, each name once.
  @usableFromInline var pairs: [Element]

  /// None.
  @inlinable public init() { pairs = [] }

  /// Those of the list; of equal names the last counts.
  @inlinable public init(_ list: [Element]) {
    pairs = list
    for place in pairs.indices.dropFirst() where !(pairs[place - 1].key < pairs[place].key) {
      sortPairs()
      return
    }
  }

  @usableFromInline mutating func sortPairs() {
    var sorted: [Element] = []
    sorted.reserveCapacity(pairs.count)
    // Stable, so that equal names stay in the order they came in.
    for pair in pairs.sorted(by: { $0.key < $1.key }) {
      if sorted.last?.key == pair.key { sorted.removeLast() }
      sorted.append(pair)
    }
    pairs = sorted
  }

  /// The text of a name; nil where there is none, and setting nil removes it.
  @inlinable public subscript(name: String) -> String? {
    get {
      for pair in pairs where pair.key == name { return pair.value }
      return nil
    }
    set { set(name, newValue) }
  }

  /// The text of a name, or another where there is none.
  @inlinable public subscript(name: String, default other: @autoclosure () -> String) -> String {
    self[name] ?? other()
  }

  @usableFromInline mutating func set(_ name: String, _ value: String?) {
    let place = pairs.firstIndex { !($0.key < name) } ?? pairs.endIndex
    let isThere = place < pairs.endIndex && pairs[place].key == name
    switch (value, isThere) {
    case (let value?, true): pairs[place].value = value
    case (let value?, false): pairs.insert((name, value), at: place)
    case (nil, true): pairs.remove(at: place)
    case (nil, false): break
    }
  }

  /// Adds those of another map whose names are not here yet.
  public mutating func add(_ others: Attributes) {
    for (name, value) in others where self[name] == nil { self[name] = value }
  }

  /// Those that a rule is true for.
  public func filter(_ isIncluded: (Element) -> Bool) -> Attributes {
    var some = Attributes()
    some.pairs = pairs.filter(isIncluded)
    return some
  }

  @inlinable public static func == (a: Attributes, b: Attributes) -> Bool {
    a.pairs.elementsEqual(b.pairs) { $0 == $1 }
  }

  public func hash(into hasher: inout Hasher) {
    for (name, value) in pairs {
      hasher.combine(name)
      hasher.combine(value)
    }
    hasher.combine(pairs.count)
  }
}

extension Attributes: RandomAccessCollection {
  @inlinable public var startIndex: Int { pairs.startIndex }
  @inlinable public var endIndex: Int { pairs.endIndex }
  /// The pair at a place in the order of the names.
  @inlinable public subscript(place: Int) -> Element { pairs[place] }
}

extension Attributes: ExpressibleByDictionaryLiteral {
  /// Those of the literal whose text is not nil.
  @inlinable public init(dictionaryLiteral list: (String, String?)...) {
    var some: [Element] = []
    some.reserveCapacity(list.count)
    for (name, value) in list { if let value { some.append((name, value)) } }
    self.init(some)
  }
}
