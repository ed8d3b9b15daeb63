import ApusModel

/// For each step the newest sample that is at most `lookbackMs` − 1 ms old. A staleness marker hides what is before it.
///
/// - Parameter wantsTimestamps: the row gets the sample's time in seconds, not its value.
/// - Parameter samples: staleness markers included.
/// - Returns: how many samples were found.
func selectInstant(
    into row: Row, from samples: Samples, at references: References, lookbackMs: Int64, wantsTimestamps: Bool
) -> Int {
    var found = 0
    var cursor = SampleCursor()
    for step in 0..<row.count {
        let reference = references.timestampMs(step)
        cursor.advance(in: samples, through: reference)
        let next = cursor.index
        row[step] = Absent.value
        guard next > 0 else { continue }
        let timestamp = samples.timestampMs(next &- 1)
        guard timestamp > reference &- lookbackMs else { continue }
        let value = samples.value(next &- 1)
        if StaleNaN.isStale(value) { continue }
        found &+= 1
        if wantsTimestamps {
            row[step] = Double(timestamp) / 1_000
        } else {
            row[step] = value.isMark ? .nan : value
        }
    }
    return found
}
