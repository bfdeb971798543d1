/// Commands as the server reads them (RESP2: an array of bulk strings).
enum RESP {
  /// A command whose arguments are at hand.
  static func encode(_ arguments: [String], into output: inout [UInt8]) {
    begin(arguments.count, into: &output)
    for argument in arguments { append(argument, to: &output) }
  }

  /// Begins a command of so many arguments, which `append` adds.
  static func begin(_ count: Int, into output: inout [UInt8]) {
    output.append(addingCapacity: longestLine) { line(UInt8(ascii: "*"), UInt64(count), &$0) }
  }

  /// One argument by itself, for those that come again and again.
  static func bulk(_ argument: String) -> [UInt8] {
    var bytes: [UInt8] = []
    append(argument, to: &bytes)
    return bytes
  }

  static func append(_ argument: String, to output: inout [UInt8]) {
    output.append(addingCapacity: longestLine) { line(UInt8(ascii: "$"), UInt64(argument.utf8.count), &$0) }
    output.append(contentsOf: argument.utf8)
    output.append(addingCapacity: 2) { end(&$0) }
  }

  static func append(_ number: UInt64, to output: inout [UInt8]) {
    output.append(addingCapacity: 2 * longestLine) { output in
      line(UInt8(ascii: "$"), UInt64(digits(of: number)), &output)
      write(number, &output)
      end(&output)
    }
  }

  static func append(_ id: StreamID, to output: inout [UInt8]) {
    output.append(addingCapacity: 3 * longestLine) { output in
      line(UInt8(ascii: "$"), UInt64(digits(of: id.milliseconds) + 1 + digits(of: id.sequence)), &output)
      write(id.milliseconds, &output)
      output.append(UInt8(ascii: "-"))
      write(id.sequence, &output)
      end(&output)
    }
  }

  /// A mark, a number of twenty digits, CR LF.
  private static let longestLine = 23

  private static func line(_ mark: UInt8, _ number: UInt64, _ output: inout OutputSpan<UInt8>) {
    output.append(mark)
    write(number, &output)
    end(&output)
  }

  private static func end(_ output: inout OutputSpan<UInt8>) {
    output.append(13)
    output.append(10)
  }

  private static func digits(of number: UInt64) -> Int {
    var (count, rest) = (1, number)
    while rest > 9 {
      rest /= 10
      count += 1
    }
    return count
  }

  /// From the last digit to the first: to divide by a constant is a multiplication.
  private static func write(_ number: UInt64, _ output: inout OutputSpan<UInt8>) {
    var reversed = InlineArray<20, UInt8>(repeating: 0)
    var (count, rest) = (0, number)
    repeat {
      reversed[count] = 48 + UInt8(truncatingIfNeeded: rest % 10)
      rest /= 10
      count += 1
    } while rest > 0
    while count > 0 {
      count -= 1
      output.append(reversed[count])
    }
  }
}
