/// A value behind one reference: however wide it is, a copy is one reference, however many layers hand it on. Changing one
/// makes a new one, so that nobody else sees it.
@usableFromInline package struct Shared<Value: Hashable & Sendable>: Hashable, Sendable {
  @usableFromInline package final class Storage: Sendable {
    @usableFromInline package let value: Value

    @inlinable package init(_ value: Value) { self.value = value }
  }

  @usableFromInline package var storage: Storage

  @inlinable package init(_ value: Value) { storage = Storage(value) }

  /// To be read member by member through `storage`, where the whole is not wanted.
  @inlinable package var value: Value {
    get { storage.value }
    set { storage = Storage(newValue) }
  }

  @inlinable package static func == (a: Shared, b: Shared) -> Bool {
    a.storage === b.storage || a.storage.value == b.storage.value
  }

  @inlinable package func hash(into hasher: inout Hasher) { hasher.combine(storage.value) }
}
