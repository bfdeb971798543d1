import ParleyHTTPServer
import ParleyRuntime

extension TraceContext {
  /// What the header lines of a request say.
  init?(_ head: RequestHead) {
    let parents = head.fields.all(Self.parentName)
    guard parents.count == 1 else { return nil }
    let states = head.fields.all(Self.stateName)
    self.init(parent: parents[0], state: states.isEmpty ? nil : states.joined(separator: ","))
  }
}
