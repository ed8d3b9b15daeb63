/// What a table by slot holds.
protocol SlotElement {
    var slot: UInt32 { get }
}

/// Things of a few series, by slot: what most series do not have, and so do not pay for.
struct SlotTable<Element: SlotElement> {
    private(set) var elements: [Element] = []
    private var places: [UInt32: Int] = [:]

    var isEmpty: Bool { elements.isEmpty }

    subscript(slot: UInt32) -> Element? { places[slot].map { elements[$0] } }

    /// Trap: nothing may be there for the slot.
    mutating func insert(_ one: Element) {
        precondition(places.updateValue(elements.count, forKey: one.slot) == nil, "two entries of one slot")
        elements.append(one)
    }

    mutating func remove(_ slot: UInt32) {
        guard let place = places.removeValue(forKey: slot), let moved = elements.popLast() else { return }
        if place < elements.count {
            elements[place] = moved
            places[moved.slot] = place
        }
    }

    /// Changes an element in place, without a copy of its chunk. Nil, and `body` is not called, when there is none.
    mutating func modify<R>(_ slot: UInt32, _ body: (inout Element) -> R) -> R? {
        guard let place = places[slot] else { return nil }
        return body(&elements[place])
    }
}
