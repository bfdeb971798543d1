import CExpat
import Glibc

/// What a stream's parser makes of the peer's bytes.
enum StreamEvent: Hashable, Sendable {
  /// `<stream:stream …>`, with its attributes.
  case opened(XMLElement)
  /// A whole child of the stream.
  case stanza(XMLElement)
  /// `</stream:stream>`.
  case closed
}

/// One expat parser of one XML stream, hardened: no document type, no entities, no comments, no processing instructions
/// (RFC 6120, section 11.1), bounded depth, attributes and sizes. The one place that touches the library's memory.
//
// expat calls back while it parses, so what it tells is collected in a class and taken out afterwards.
@safe struct XMLHandle: ~Copyable {
  /// The version of the library that was compiled against.
  static let version = "\(XML_MAJOR_VERSION).\(XML_MINOR_VERSION).\(XML_MICRO_VERSION)"

  /// What the peer sent is not an XMPP stream, or exceeds a bound.
  struct ProtocolFailure: Error {
    let text: String
  }

  private let parser: XML_Parser
  private let builder: StanzaBuilder
  private var fed = 0

  init() {
    // A unit separator cannot stand in XML, so it cannot stand in a namespace either.
    guard let parser = unsafe XML_ParserCreateNS("UTF-8", 0x1f) else { preconditionFailure("expat has no memory") }
    unsafe self.parser = parser
    builder = unsafe StanzaBuilder(parser: parser)
    // By default expat waits for more before it looks at the rest of a tag again (CVE-2023-52425), so a stanza whose last
    // byte came alone would not be told until the next one; the length of a tag is bounded here instead.
    _ = unsafe XML_SetReparseDeferralEnabled(parser, XML_Bool(0))
    unsafe XML_SetUserData(parser, Unmanaged.passUnretained(builder).toOpaque())
    unsafe XML_SetElementHandler(parser, startElement, endElement)
    unsafe XML_SetCharacterDataHandler(parser, characters)
    unsafe XML_SetStartDoctypeDeclHandler(parser, documentType)
    unsafe XML_SetCommentHandler(parser, comment)
    unsafe XML_SetProcessingInstructionHandler(parser, instruction)
  }

  deinit { unsafe XML_ParserFree(parser) }

  /// Parses what came, and tells what it completes. After a throw the parser is spent.
  mutating func feed(_ bytes: RawSpan) throws(ProtocolFailure) -> [StreamEvent] {
    let status = unsafe bytes.withUnsafeBytes { raw in
      unsafe XML_Parse(parser, raw.baseAddress?.assumingMemoryBound(to: CChar.self), CInt(raw.count), 0)
    }
    fed += bytes.byteCount
    if let refusal = builder.refusal { throw ProtocolFailure(text: refusal) }
    guard status == XML_STATUS_OK else {
      let words = unsafe XML_ErrorString(XML_GetErrorCode(parser)).map { unsafe String(cString: $0) } ?? "no cause"
      throw ProtocolFailure(text: words)
    }
    // expat keeps the beginning of an unfinished tag and scans it anew with each piece: only so much of that.
    let unparsed = fed - Int(unsafe XML_GetCurrentByteIndex(parser))
    guard unparsed <= StanzaBuilder.largestTag else { throw ProtocolFailure(text: "a tag is too long") }
    return builder.take()
  }

  /// Bytes that were fed but stand behind the last whole stanza.
  var unreadBytes: Int { fed - builder.end }
}

/// Builds stanzas from expat's callbacks; lives as long as its parser and is used by it alone.
@safe private final class StanzaBuilder {
  static let deepest = 64
  static let largestTag = 16 << 10
  /// Text and attributes of one stanza; a server's own limit for what clients send is usually 256 KiB.
  static let largestStanza = 8 << 20
  static let mostElements = 20_000
  static let mostAttributes = 64

  private let parser: XML_Parser
  private var open: [XMLElement] = []
  private var isStreamOpen = false
  private var size = 0
  private var elements = 0
  private var events: [StreamEvent] = []
  private(set) var refusal: String?
  private(set) var end = 0

  init(parser: XML_Parser) { unsafe self.parser = parser }

  func take() -> [StreamEvent] {
    defer { events = [] }
    return events
  }

  func refuse(_ text: String) {
    guard refusal == nil else { return }
    refusal = text
    _ = unsafe XML_StopParser(parser, XML_Bool(0))
  }

  private func grow(_ count: Int) -> Bool {
    size += count
    guard size <= Self.largestStanza else {
      refuse("a stanza is larger than \(Self.largestStanza) bytes")
      return false
    }
    return true
  }

  private func mark() {
    end = Int(unsafe XML_GetCurrentByteIndex(parser)) + Int(unsafe XML_GetCurrentByteCount(parser))
    size = 0
    elements = 0
  }

  /// A name as expat tells it: the namespace, a separator and the name in it, or a name that is in none.
  private static func split(_ text: UnsafePointer<CChar>) -> (name: String, namespace: String) {
    guard let mark = unsafe strchr(text, 0x1f) else { return (unsafe String(cString: text), "") }
    let namespace = unsafe UnsafeRawBufferPointer(start: text, count: UnsafePointer(mark) - text)
    return (unsafe String(cString: mark + 1), unsafe String(decoding: namespace, as: UTF8.self))
  }

  func start(_ fullName: UnsafePointer<CChar>?, _ list: UnsafeMutablePointer<UnsafePointer<CChar>?>?) {
    guard refusal == nil, let fullName = unsafe fullName else { return }
    elements += 1
    guard open.count < Self.deepest, elements <= Self.mostElements else {
      return refuse("elements are nested too deep")
    }
    let (name, namespace) = unsafe Self.split(fullName)
    var attributes: [XMLElement.Attribute] = []
    var index = 0
    while let key = unsafe list?[index], let value = unsafe list?[index + 1] {
      index += 2
      guard index <= 2 * Self.mostAttributes else { return refuse("an element has too many attributes") }
      let (plain, space) = unsafe Self.split(key)
      let text = unsafe String(cString: value)
      guard grow(plain.utf8.count + text.utf8.count) else { return }
      if space.isEmpty {
        attributes.append(XMLElement.Attribute(name: plain, value: text))
      } else if space == "http://www.w3.org/XML/1998/namespace" {
        attributes.append(XMLElement.Attribute(name: "xml:\(plain)", value: text))
      }
    }
    guard grow(name.utf8.count + namespace.utf8.count + 64) else { return }
    let element = XMLElement(name: name, namespace: namespace, attributes: attributes)
    guard isStreamOpen else {
      guard element.isA("stream", Namespace.streams) else { return refuse("it is no XMPP stream") }
      isStreamOpen = true
      events.append(.opened(element))
      return mark()
    }
    open.append(element)
  }

  func finish() {
    guard refusal == nil else { return }
    guard let element = open.popLast() else {
      events.append(.closed)
      return mark()
    }
    if open.isEmpty {
      events.append(.stanza(element))
      mark()
    } else {
      open[open.count - 1].children.append(element)
    }
  }

  func append(_ text: UnsafePointer<CChar>?, _ count: CInt) {
    guard refusal == nil, let text = unsafe text, count > 0 else { return }
    guard !open.isEmpty else {
      // Between stanzas only white space may stand, by which peers keep a connection alive.
      let bytes = unsafe UnsafeRawBufferPointer(start: text, count: Int(count))
      guard unsafe bytes.allSatisfy({ [0x20, 0x9, 0xa, 0xd].contains($0) }) else {
        return refuse("text between stanzas")
      }
      return mark()
    }
    guard grow(Int(count)) else { return }
    open[open.count - 1].text += unsafe String(
      decoding: UnsafeRawBufferPointer(start: text, count: Int(count)), as: UTF8.self)
  }
}

private func builder(_ pointer: UnsafeMutableRawPointer?) -> StanzaBuilder? {
  unsafe pointer.map { unsafe Unmanaged<StanzaBuilder>.fromOpaque($0).takeUnretainedValue() }
}

private func startElement(
  _ pointer: UnsafeMutableRawPointer?, _ name: UnsafePointer<CChar>?,
  _ attributes: UnsafeMutablePointer<UnsafePointer<CChar>?>?
) { unsafe builder(pointer)?.start(name, attributes) }

private func endElement(_ pointer: UnsafeMutableRawPointer?, _ name: UnsafePointer<CChar>?) {
  unsafe builder(pointer)?.finish()
}

private func characters(_ pointer: UnsafeMutableRawPointer?, _ text: UnsafePointer<CChar>?, _ count: CInt) {
  unsafe builder(pointer)?.append(text, count)
}

private func documentType(
  _ pointer: UnsafeMutableRawPointer?, _ name: UnsafePointer<CChar>?, _ system: UnsafePointer<CChar>?,
  _ identifier: UnsafePointer<CChar>?, _ hasSubset: CInt
) { unsafe builder(pointer)?.refuse("a document type declaration") }

private func comment(_ pointer: UnsafeMutableRawPointer?, _ text: UnsafePointer<CChar>?) {
  unsafe builder(pointer)?.refuse("a comment")
}

private func instruction(
  _ pointer: UnsafeMutableRawPointer?, _ target: UnsafePointer<CChar>?, _ data: UnsafePointer<CChar>?
) { unsafe builder(pointer)?.refuse("a processing instruction") }
