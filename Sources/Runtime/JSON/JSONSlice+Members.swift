extension JSONSlice {
  /// One member of an object.
  public struct Member: Sendable {
    let text: [UInt8]
    let nameRange: Range<Int>
    let isEscaped: Bool
    /// The member's value.
    public let value: JSONSlice

    /// The name with escapes resolved.
    public var name: String { JSONString.decode(text, nameRange, isEscaped: isEscaped) }

    /// Whether this is the name, told without making a string.
    public func isNamed(_ other: String) -> Bool { JSONCursor.equals(text, nameRange, isEscaped: isEscaped, other) }
  }

  /// The members of an object as they stand in the text.
  public struct Members: Sequence, IteratorProtocol, Sendable {
    private let slice: JSONSlice
    private var cursor: JSONCursor

    init(_ slice: JSONSlice) {
      self.slice = slice
      cursor = JSONCursor(slice, opening: JSONByte.openBrace)
    }

    /// The next member, nil after the last.
    public mutating func next() -> Member? {
      let text = slice.text
      guard let member = cursor.nextMember(text.span) else { return nil }
      return Member(
        text: slice.text, nameRange: member.name, isEscaped: member.isEscaped,
        value: JSONSlice(slice.text, member.value, hasLoneSurrogate: slice.hasLoneSurrogate))
    }
  }

  /// The elements of an array.
  public struct Elements: Sequence, IteratorProtocol, Sendable {
    private let slice: JSONSlice
    private var cursor: JSONCursor

    init(_ slice: JSONSlice) {
      self.slice = slice
      cursor = JSONCursor(slice, opening: JSONByte.openBracket)
    }

    /// The next element, nil after the last.
    public mutating func next() -> JSONSlice? {
      let text = slice.text
      guard let range = cursor.nextElement(text.span) else { return nil }
      return JSONSlice(slice.text, range, hasLoneSurrogate: slice.hasLoneSurrogate)
    }
  }

  /// An object without members, for what a caller left out.
  public static let emptyObject = JSONSlice(Array("{}".utf8), 0..<2, hasLoneSurrogate: false)

  /// The members of an object in order, repeated names included; nothing for any other kind of value.
  public var members: Members { Members(self) }

  /// The elements of an array in order; nothing for any other kind of value.
  public var elements: Elements { Elements(self) }

  /// The members with these names, found in one walk: `let found = call.members(["id", "method", "params"])`.
  ///
  /// Each result stands at its name's place; nil where there is none, the last where there are several.
  @inlinable
  public func members<let count: Int>(_ names: InlineArray<count, StaticString>) -> InlineArray<count, JSONSlice?> {
    var places = InlineArray<count, Place>(repeating: .none)
    do {
      var found = places.mutableSpan
      find(names.span, into: &found)
    }
    return InlineArray { value(at: places[$0]) }
  }

  /// Where a value stands in the text; `none`, which is no value's place, where there is no such member.
  @usableFromInline
  struct Place {
    let lower: UInt32
    let upper: UInt32

    @usableFromInline static var none: Place { Place(lower: 0, upper: 0) }
  }

  /// The walk of `members`, apart from it: what is generic is made anew for each number of names.
  @usableFromInline
  func find(_ names: Span<StaticString>, into found: inout MutableSpan<Place>) {
    var cursor = JSONCursor(self, opening: JSONByte.openBrace)
    while let member = cursor.nextMember(text.span) {
      for index in names.indices
      where JSONCursor.equals(text, member.name, isEscaped: member.isEscaped, names[index]) {
        found[index] = Place(
          lower: UInt32(truncatingIfNeeded: member.value.lowerBound),
          upper: UInt32(truncatingIfNeeded: member.value.upperBound))
      }
    }
  }

  @usableFromInline
  func value(at place: Place) -> JSONSlice? {
    guard place.upper > 0 else { return nil }
    return JSONSlice(text, Int(place.lower)..<Int(place.upper), hasLoneSurrogate: hasLoneSurrogate)
  }
}
