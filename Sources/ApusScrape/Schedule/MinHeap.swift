/// A binary heap, smallest first.
struct MinHeap<Element: Comparable> {
    private var elements: [Element] = []

    var first: Element? { elements.first }
    var count: Int { elements.count }

    mutating func insert(_ element: Element) {
        elements.append(element)
        siftUp(elements.count - 1)
    }

    mutating func removeFirst() {
        guard let last = elements.popLast(), !elements.isEmpty else { return }
        elements[0] = last
        siftDown(0)
    }

    mutating func replaceFirst(with element: Element) {
        guard !elements.isEmpty else { return }
        elements[0] = element
        siftDown(0)
    }

    /// Removes the first element found for which `matches` holds. O(n).
    mutating func remove(where matches: (Element) -> Bool) -> Element? {
        guard let index = elements.firstIndex(where: matches) else { return nil }
        let removed = elements[index]
        let last = elements.removeLast()
        if index < elements.count {
            elements[index] = last
            siftDown(index)
            siftUp(index)
        }
        return removed
    }

    private mutating func siftUp(_ start: Int) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            guard elements[child] < elements[parent] else { return }
            elements.swapAt(child, parent)
            child = parent
        }
    }

    private mutating func siftDown(_ start: Int) {
        var parent = start
        while true {
            var smallest = parent
            // Both children, without an array of them.
            for child in 2 * parent + 1..<2 * parent + 3 where child < elements.count && elements[child] < elements[smallest] {
                smallest = child
            }
            if smallest == parent { return }
            elements.swapAt(parent, smallest)
            parent = smallest
        }
    }

    /// O(n). No element sorts before its parent.
    func checkInvariants() {
        for index in elements.indices.dropFirst() {
            precondition(!(elements[index] < elements[(index - 1) / 2]), "heap out of order at \(index)")
        }
    }
}
