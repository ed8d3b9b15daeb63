import ApusModel
import ApusServer

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// One line on a terminal that says how far long work is; nothing at all when standard error is none.
///
///     Replaying the log  [████████████░░░░░░░░]  62 %  8 of 13 segments
final class ProgressBar: Sendable {
    private let title: String
    private let isShown: Bool
    private let state = Locked((lastNs: UInt64(0), width: 0))
    private let time = SystemTime()

    private static let cells = 20
    /// Drawing more often would be seen by nobody.
    private static let pauseNs: UInt64 = 100_000_000

    init(_ title: String) {
        self.title = title
        isShown = isatty(STDERR_FILENO) == 1
    }

    /// Shows how much of `total` is done, and a few words.
    func show(_ done: Int, of total: Int, _ words: @autoclosure () -> String = "") {
        guard isShown, total > 0 else { return }
        let share = min(1, max(0, Double(done) / Double(total)))
        draw { "\(title)  [\(Self.bar(share))]  \(Int(share * 100)) %  \(words())" }
    }

    private func draw(_ text: () -> String) {
        let now = time.monotonicNs()
        let isDue = state.withLock { state in
            guard now &- state.lastNs >= Self.pauseNs else { return false }
            state.lastNs = now
            return true
        }
        guard isDue else { return }
        let line = text()
        let width = line.count
        let old = state.withLock { state in
            defer { state.width = width }
            return state.width
        }
        writeToStandardError("\r\(line)\(String(repeating: " ", count: max(0, old - width)))")
    }

    private static func bar(_ share: Double) -> String {
        let full = Int((share * Double(cells)).rounded(.down))
        return String(repeating: "█", count: full) + String(repeating: "░", count: cells - full)
    }

    /// Takes the line away.
    func finish() {
        guard isShown else { return }
        let width = state.withLock { state in
            defer { state = (0, 0) }
            return state.width
        }
        if width > 0 { writeToStandardError("\r\(String(repeating: " ", count: width))\r") }
    }
}
