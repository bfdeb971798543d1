# The rules for Swift files. `code` is a line without comments and string literals, `raw` is the line as written.

function report(rule, text) {
  printf "%s:%d: [%s] %s\n", FILENAME, FNR, rule, text
  found = 1
}

# Removes comments and the insides of string literals; follows """ over lines.
function strip(line,    out, i, c, rest) {
  out = ""
  for (i = 1; i <= length(line); i++) {
    rest = substr(line, i)
    if (in_block) {
      if (substr(rest, 1, 3) == "\"\"\"") { in_block = 0; i += 2 }
      continue
    }
    c = substr(line, i, 1)
    if (substr(rest, 1, 3) == "\"\"\"") { in_block = 1; i += 2; continue }
    if (c == "\"") {
      out = out "\"\""
      for (i++; i <= length(line); i++) {
        c = substr(line, i, 1)
        if (c == "\\") i++
        else if (c == "\"") break
      }
      continue
    }
    if (substr(rest, 1, 2) == "//") break
    out = out c
  }
  return out
}

function allowed_imports(path) {
  if (path ~ /^Sources\/Runtime\//) return "CLinux COpenSSL"
  if (path ~ /^Sources\/Plugins\//) return "ParleyRuntime ParleyTLS ParleyHTTPClient C[A-Z][A-Za-z]*"
  if (path ~ /^Sources\/TLS\//) return "ParleyRuntime COpenSSL"
  if (path ~ /^Sources\/Coordination\//) return "ParleyRuntime"
  if (path ~ /^Sources\/MCP\//) return "ParleyRuntime ParleyCoordination"
  if (path ~ /^Sources\/Monitor\//) return "ParleyRuntime ParleyCoordination ParleyMCP CLinux"
  if (path ~ /^Sources\/HTTPServer\//) return "ParleyRuntime"
  if (path ~ /^Sources\/Remote\//)
    return "ParleyRuntime ParleyCoordination ParleyMCP ParleyHTTPClient ParleyHTTPServer ParleyTLS C[A-Z][A-Za-z]*"
  if (path ~ /^Sources\/Configuration\//) return "ParleyRuntime CYaml CLinux"
  if (path ~ /^Sources\/Commands\//)
    return "ParleyRuntime ParleyCoordination ParleyMCP ParleyMonitor ParleyRemote ParleyConfiguration ArgumentParser CLinux"
  if (path ~ /^Sources\/Conformance\//) return "ParleyRuntime"
  if (path ~ /^Sources\/TestKit\//) return "ParleyRuntime CLinux"
  return ".*"
}

function check_import(module,    names, i, n) {
  if (module ~ /^(Swift|Glibc|Synchronization|_Concurrency)$/) return
  if (module ~ /^Foundation/) { report("no-foundation", "the standard library and Glibc suffice"); return }
  n = split(allowed_imports(FILENAME), names, " ")
  for (i = 1; i <= n; i++) if (module ~ "^" names[i] "$") return
  report("dependency-direction", "this folder may not import " module)
}

# The member names that protocols ask for (the standard ones, and in backends the seam's): documented by the protocol.
function is_witness(line) {
  if (FILENAME ~ /^Sources\/(Plugins|Conformance)\// &&
      line ~ /(func (connect|disconnect|subscribe|resume|unsubscribe|post|fetch|resolveIdentity)\(|var traits:)/) return 1
  return line ~ /(func (<|==|hash|encode|enqueue|checkIsolated|isIsolatingCurrentContext|next|makeIterator|advanced|duration|index|run|validate)\(|func (<|==) |func (makeIterator|next)|var (description|debugDescription|rawValue|errorDescription|id|unownedExecutor|minimumResolution|startIndex|endIndex|configuration|localizedDescription)( |:)|let loop:|init\((rawValue|from|stringLiteral|integerLiteral|arrayLiteral|dictionaryLiteral)|subscript\(position|let rawValue)/
}

FNR == 1 {
  in_block = 0
  previous = above = ""
  in_sources = FILENAME ~ /^Sources\//
  in_plugin = FILENAME ~ /^Sources\/Plugins\//
  if (lines > 400) printf "%s: warning: %d lines; is it two files?\n", last_file, lines
}

{
  raw = $0
  was_in_block = in_block
  code = strip(raw)
  lines = in_sources ? FNR : 0
  last_file = FILENAME
}

match(code, /^ *(@[A-Za-z_]+(\([^)]*\))? +)*((public|package|internal|private|fileprivate) +)?import +/) {
  module = substr(code, RSTART + RLENGTH)
  sub(/^(struct|class|enum|protocol|func|var|typealias) +/, "", module)
  sub(/[^A-Za-z0-9_].*/, "", module)
  if (in_sources || FILENAME ~ /^examples\//) check_import(module)
}

in_sources && FILENAME != "Sources/Runtime/Loop/EventLoop.swift" &&
  code ~ /(^|[^A-Za-z0-9_.])Task(<[^>]*>)?(\.detached|\.immediate|\.init)? *[({]/ {
  report("bare-task", "tasks are made by loop.spawn, which keeps them on the loop")
}
code ~ /(^|[^A-Za-z0-9_])Dispatch(Queue|Group|Semaphore|Source|WorkItem)/ {
  report("no-dispatch", "an actor on an event loop, or a blocking executor, does this")
}
in_sources && code ~ /(^|[^A-Za-z0-9_])try!/ { report("no-try!", "handle the error, or make it impossible by type") }
in_sources && code ~ /(^|[^A-Za-z0-9_])fatalError *\(/ {
  report("no-fatalError", "throw; a broken invariant is a precondition with its reason")
}
in_sources && raw ~ /(^|[^A-Za-z0-9_])(TODO|FIXME|XXX)([^A-Za-z0-9_]|$)/ {
  report("no-todo", "finish it, or leave it out")
}
in_sources && code ~ /@unchecked Sendable|nonisolated\(unsafe\)/ && above !~ /^ *\/\// {
  report("reason-above", "say in a comment on the line above why this is safe")
}
in_plugin && FILENAME !~ /Handle\.swift$/ && code ~ /(^|[^A-Za-z0-9_(])unsafe([^A-Za-z0-9_]|$)/ {
  report("unsafe-in-handle", "only the plugin's *Handle.swift touches the C library's memory")
}
in_sources && raw ~ /"[^"]*\/tmp\// {
  report("machine-path", "take the path from configuration or the environment")
}
FILENAME ~ /^Tests\// && code ~ /(^|[^A-Za-z0-9_.])(Task\.sleep|usleep|nanosleep|sleep) *\(/ {
  report("no-sleep", "wait for the event; a sleep in a test is a bug")
}
in_sources && !was_in_block &&
  code ~ /^ *(@[A-Za-z_]+(\([^)]*\))? +)*(public|open) +((static|final|nonisolated|indirect|mutating|consuming|borrowing|isolated|distributed|convenience|required) +)*(func|var|let|init|struct|class|enum|actor|protocol|typealias|subscript)[ (?<]/ &&
  previous !~ /^ *\/\/\// && !is_witness(code) {
  report("public-documentation", "what is public has a doc comment")
}

# What stands above the next line: attributes and plain comments between a declaration and its doc comment do not count.
{
  above = raw
  if (raw ~ /^ *\/\/\//) previous = raw
  else if (raw !~ /^ *(@[A-Za-z]|\/\/|#if)/ || code ~ /(func|var|let|init|struct|class|enum|actor) /) previous = raw
}

END {
  if (lines > 400) printf "%s: warning: %d lines; is it two files?\n", last_file, lines
  exit found
}
