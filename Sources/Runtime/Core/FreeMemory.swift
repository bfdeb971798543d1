import CLinux

/// What was freed, and the allocator still holds.
package enum FreeMemory {
  /// Gives whole free pages back to the system, also those between others that are in use (malloc_trim(3)): glibc by
  /// itself gives back only what lies at the heap's end. Takes about a millisecond for each 10 MiB.
  package static func giveBack() { malloc_trim(0) }
}
