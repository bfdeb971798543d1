/// A dictionary that forgets its oldest entries beyond a bound.
struct BoundedTable<Key: Hashable, Value> {
  private var values: [Key: Value] = [:]
  private var order: [Key] = []
  private var head = 0
  private let limit: Int

  init(limit: Int) { self.limit = limit }

  subscript(key: Key) -> Value? {
    get { values[key] }
    set {
      guard let newValue else {
        // Its place in the order stays, and is skipped when its turn comes.
        values[key] = nil
        return
      }
      if values.updateValue(newValue, forKey: key) == nil { order.append(key) }
      while values.count > limit, head < order.count {
        values[order[head]] = nil
        head += 1
      }
      if head > limit {
        order.removeFirst(head)
        head = 0
      }
    }
  }
}
