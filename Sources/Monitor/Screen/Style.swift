/// How text looks: attributes, and one of the terminal's own colours, which its user chose to be read on the background
/// in use. White, black, yellow and blue are left out: each is lost on one of light and dark.
package struct Style: Hashable, Sendable {
  /// The colours, by their number in "Select Graphic Rendition" (ECMA-48, 8.3.117).
  package enum Colour: UInt8, Hashable, Sendable {
    case red = 31
    case green = 32
    case magenta = 35
    case cyan = 36
  }

  package var colour: Colour?
  package var isBold = false
  package var isDim = false
  package var isReversed = false

  package init(_ colour: Colour? = nil, bold: Bool = false, dim: Bool = false, reversed: Bool = false) {
    self.colour = colour
    isBold = bold
    isDim = dim
    isReversed = reversed
  }

  package static let plain = Style()
  package static let dim = Style(dim: true)
  package static let bold = Style(bold: true)

  /// The control sequence that selects exactly this, whatever was selected before.
  package func sequence(withColours: Bool) -> String {
    var codes = ["0"]
    if isBold { codes.append("1") }
    if isDim { codes.append("2") }
    if isReversed { codes.append("7") }
    if withColours, let colour { codes.append(String(colour.rawValue)) }
    return "\u{1B}[" + codes.joined(separator: ";") + "m"
  }
}
