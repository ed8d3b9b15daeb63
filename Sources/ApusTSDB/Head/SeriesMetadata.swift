import ApusModel

/// The latest metadata of the series that have any, by slot. Few texts serve many series: each is kept once.
struct SeriesMetadata {
    private var numberOfSlot: [UInt32: UInt32] = [:]
    private var numbers: [MetricMetadata: UInt32] = [:]
    private var texts: [MetricMetadata] = []
    private var uses: [Int] = []
    private var free: [UInt32] = []

    var count: Int { numberOfSlot.count }
    /// In no order.
    var slots: Dictionary<UInt32, UInt32>.Keys { numberOfSlot.keys }

    subscript(slot: UInt32) -> MetricMetadata? { numberOfSlot[slot].map { texts[Int($0)] } }

    /// - Returns: Whether that is news.
    mutating func set(_ metadata: MetricMetadata, for slot: UInt32) -> Bool {
        if self[slot] == metadata { return false }
        remove(slot)
        let number: UInt32
        if let known = numbers[metadata] {
            number = known
        } else if let reused = free.popLast() {
            number = reused
            texts[Int(number)] = metadata
        } else {
            number = UInt32(texts.count)
            texts.append(metadata)
            uses.append(0)
        }
        numbers[metadata] = number
        uses[Int(number)] += 1
        numberOfSlot[slot] = number
        return true
    }

    mutating func remove(_ slot: UInt32) {
        guard let number = numberOfSlot.removeValue(forKey: slot) else { return }
        uses[Int(number)] -= 1
        if uses[Int(number)] == 0 {
            numbers[texts[Int(number)]] = nil
            texts[Int(number)] = MetricMetadata()
            free.append(number)
        }
    }
}
