import ParleyHTTPServer
import ParleyRuntime
import ParleyTLS

/// A page of the door's own: nothing from elsewhere, its style sheet in it, and no script but one that it brings itself.
struct HTMLPage {
  let title: String
  /// What stands before the main part.
  var header = ""
  let body: String
  /// Where its form may lead, beside the door itself: browsers judge the redirect that follows it too.
  var formTargets: [String] = []
  /// Rules beside those of every page.
  var style = ""
  /// The one script that may run; it may ask the door, and cannot make code of text.
  var script: String?

  func response(_ status: Int, fields: [(name: String, value: String)] = []) -> HTTPResponse {
    let styles = [Self.style] + (style.isEmpty ? [] : [style])
    let html = """
      <!doctype html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <meta name="color-scheme" content="light dark">
      <meta name="robots" content="noindex">
      <title>\(Self.escape(title))</title>
      \(styles.map { "<style>\($0)</style>" }.joined())
      </head>
      <body>
      \(header)
      <main id="main">
      \(body)
      </main>
      \(script.map { "<script>\($0)</script>" } ?? "")
      </body>
      </html>

      """
    var policy = [
      "default-src 'none'", "style-src \(styles.map(Self.source).joined(separator: " "))",
      "form-action \((["'self'"] + formTargets).joined(separator: " "))", "frame-ancestors 'none'", "base-uri 'none'",
    ]
    if let script {
      policy += [
        "script-src \(Self.source(script))", "connect-src 'self'", "require-trusted-types-for 'script'",
        "trusted-types 'none'",
      ]
    }
    return HTTPResponse(
      status,
      fields: [
        ("Content-Type", "text/html; charset=utf-8"), ("Content-Security-Policy", policy.joined(separator: "; ")),
        // With no-referrer browsers would send the form with the origin "null", which is refused.
        ("Referrer-Policy", "same-origin"),
      ] + fields, body: Array(html.utf8))
  }

  /// What a policy calls the one text that may stand there (Content Security Policy Level 3, section 2.3.1).
  private static func source(_ text: String) -> String {
    "'sha256-\(Base64.encode(Digest.sha256.hash(Array(text.utf8))))'"
  }

  /// Text as it stands between tags and in quoted attributes.
  static func escape(_ text: String) -> String {
    var result = ""
    result.reserveCapacity(text.utf8.count)
    for character in text.unicodeScalars {
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "'": result += "&#39;"
      default: result.unicodeScalars.append(character)
      }
    }
    return result
  }

  private static let style = """
    :root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--soft:#57606a;--line:#d0d7de;--tint:#f3f5f7;--go:#0b5cad;\
    --warn:#7a4b00;--bad:#a40e26}
    @media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--paper:#0d1117;--soft:#9aa4af;--line:#3d444d;--tint:#161b22;\
    --go:#79b8ff;--warn:#e3b341;--bad:#ff8182}}
    *{box-sizing:border-box}
    body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}
    main{max-width:34rem;margin:0 auto;padding:1.5rem 1rem 3rem}
    h1{font-size:1.4rem;line-height:1.3;margin:0 0 1rem}
    dl{margin:0 0 1.25rem;padding:.75rem 1rem;background:var(--tint);border:1px solid var(--line);border-radius:.5rem}
    dt{color:var(--soft);font-size:.875rem}
    dd{margin:0 0 .5rem;overflow-wrap:anywhere}
    dd:last-child{margin-bottom:0}
    fieldset{border:1px solid var(--line);border-radius:.5rem;margin:0 0 1.25rem;padding:.5rem 1rem 1rem}
    legend{padding:0 .25rem;font-weight:600}
    label{display:block;margin:.75rem 0 .25rem;font-weight:600}
    .choice{display:flex;gap:.6rem;align-items:flex-start;font-weight:400}
    .choice input{margin-top:.35rem;width:1.1rem;height:1.1rem;flex:none}
    .text{width:100%;padding:.6rem .7rem;font:inherit;color:inherit;background:var(--paper);border:1px solid var(--soft);\
    border-radius:.4rem}
    .hint{color:var(--soft);font-size:.875rem;margin:.25rem 0 0}
    .note{border-left:.25rem solid var(--warn);padding:.25rem 0 .25rem .75rem}
    .error{border-left:.25rem solid var(--bad);padding:.25rem 0 .25rem .75rem;font-weight:600}
    .buttons{display:flex;flex-wrap:wrap;gap:.75rem;margin-top:1.25rem}
    button{font:inherit;font-weight:600;padding:.7rem 1.4rem;border-radius:.4rem;border:2px solid var(--go);cursor:pointer;\
    min-height:2.75rem;flex:1 1 9rem}
    .go{background:var(--go);color:var(--paper)}
    .no{background:transparent;color:var(--go)}
    :focus-visible{outline:3px solid var(--go);outline-offset:2px}
    """
}

/// The header lines that keep a browser from doing more with any response than was meant; a page has a policy of its own.
enum SecurityFields {
  static func all(isSecure: Bool) -> [(name: String, value: String)] {
    let fields: [(name: String, value: String)] = [
      ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"), ("X-Frame-Options", "DENY"),
      ("Referrer-Policy", "no-referrer"), ("Cross-Origin-Resource-Policy", "same-origin"),
    ]
    return isSecure ? fields + [("Strict-Transport-Security", "max-age=31536000")] : fields
  }
}
