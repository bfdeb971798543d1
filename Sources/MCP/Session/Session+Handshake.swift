import ParleyRuntime

/// The names under which stateless requests carry what a handshake would have told.
enum MetaKey {
  static let protocolVersion = "io.modelcontextprotocol/protocolVersion"
  static let clientCapabilities = "io.modelcontextprotocol/clientCapabilities"
}

extension Session {
  func initialize(_ id: RequestID, _ params: JSONSlice?, _ path: (any ReplyPath)?) throws(RPCError) {
    guard negotiated == nil else { throw RPCError(.invalidRequest, "Invalid request: already initialized") }
    guard let asked = params?.member("protocolVersion")?.string else {
      throw RPCError(.invalidParams, "Invalid params: \"protocolVersion\" must be a string")
    }
    let revision = Revision.negotiated(asked)
    negotiated = revision
    respond(Call(id: id, revision: revision, params: Call.Params(params), batch: nil, path: path)) { result in
      result.member("protocolVersion", revision.rawValue)
      setup.writeCapabilities(for: revision, into: &result)
      result.key("serverInfo")
      setup.writeServerInfo(into: &result)
      result.member("instructions", Instructions.text(isChannel: setup.isChannel, more: setup.moreInstructions))
    }
  }

  func discover(_ call: Call) {
    respond(call, cachedFor: 60_000) { result in
      result.key("supportedVersions")
      result.beginArray()
      for revision in setup.revisions { result.string(revision.rawValue) }
      result.endArray()
      setup.writeCapabilities(for: call.revision, into: &result)
      result.member("instructions", Instructions.text(isChannel: false, more: setup.moreInstructions))
    }
  }

  /// The revision that a request is made in: what the `_meta` of its params says, else the handshake's.
  func revision(of meta: JSONSlice?, for method: Method) throws(RPCError) -> Revision {
    guard let version = meta?.member(MetaKey.protocolVersion) else {
      if let negotiated, method != .discover { return negotiated }
      // A ping tells a client that we are there, whatever was agreed so far.
      if method == .ping { return .latestLegacy }
      throw RPCError(
        .invalidParams,
        "Invalid params: \"_meta\" must have \"\(MetaKey.protocolVersion)\", or initialize must come first")
    }
    guard let asked = version.string else {
      throw RPCError(.invalidParams, "Invalid params: \"\(MetaKey.protocolVersion)\" must be a string")
    }
    guard asked == Revision.modern.rawValue, !setup.isChannel else {
      throw .unsupported(asked, supported: setup.revisions)
    }
    guard meta?.member(MetaKey.clientCapabilities)?.kind == .object else {
      throw RPCError(.invalidParams, "Invalid params: \"_meta\" must have the object \"\(MetaKey.clientCapabilities)\"")
    }
    return .modern
  }
}

/// Whether a request is made in a stateless revision, and names it as such a revision asks.
package enum StatelessMeta {
  /// The revision that the params name, whatever it is; nil where they name none.
  package static func version(in params: JSONSlice?) -> JSONSlice? {
    params?.member("_meta")?.member(MetaKey.protocolVersion)
  }

  /// Throws what is to be answered where the params lack what every stateless request has.
  package static func check(_ params: JSONSlice?) throws(RPCError) {
    guard let asked = version(in: params)?.string else {
      throw RPCError(
        .invalidParams, "Invalid params: \"_meta\" must have the string \"\(MetaKey.protocolVersion)\"")
    }
    guard asked == Revision.modern.rawValue else {
      throw .unsupported(asked, supported: Revision.allCases.reversed())
    }
    guard params?.member("_meta")?.member(MetaKey.clientCapabilities)?.kind == .object else {
      throw RPCError(.invalidParams, "Invalid params: \"_meta\" must have the object \"\(MetaKey.clientCapabilities)\"")
    }
  }
}

extension RPCError {
  /// A revision that is not spoken.
  package static func unsupported(_ asked: String, supported: [Revision]) -> RPCError {
    var data = JSONWriter()
    data.key("supported")
    data.beginArray()
    for revision in supported { data.string(revision.rawValue) }
    data.endArray()
    data.member("requested", asked)
    return RPCError(.unsupportedProtocolVersion, "Unsupported protocol version", data: data.bytes)
  }
}
