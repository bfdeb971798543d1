/// A value behind one reference: however wide it is, a copy is one reference, however many layers hand it on. Changing one
/// makes a new one, so that nobody else sees it.
@usableFromInline struct Shared<Value: Hashable & Sendable>: Hashable, Sendable {
  @usableFromInline final class Storage: Sendable {
    @usableFromInline let value: Value

    @inlinable init(_ value: Value) { self.value = value }
  }

  @usableFromInline var storage: Storage

  @inlinable init(_ value: Value) { storage = Storage(value) }

  /// To be read member by member through `storage`, where the whole is not wanted.
  @inlinable var value: Value {
    get { storage.value }
    set { storage = Storage(newValue) }
  }

  @inlinable static func == (a: Shared, b: Shared) -> Bool {
    a.storage === b.storage || a.storage.value == b.storage.value
  }

  @inlinable func hash(into hasher: inout Hasher) { hasher.combine(storage.value) }
}
