import AllocationCount
import ApusModel

/// One thing measured: a name, what one operation is, and the work.
struct Benchmark {
    let name: String
    /// What the count counts: "sample", "point", "call".
    let unit: String
    /// What we expect and why, in a sentence.
    let sketch: String
    /// How often the work may ask for memory, each time it runs; nil where nobody cares.
    var allocations: Int?
    /// Prepares, then returns the work to time; the work returns how many units it did.
    let prepare: () throws -> () throws -> Int
}

/// Runs the work until half a second has passed, at least five times, and prints the best and the median run. False if it
/// asked for memory more often than it may: the one thing here that is the same on every machine.
func measure(_ benchmark: Benchmark) throws -> Bool {
    let clock = SystemTime()
    let work = try benchmark.prepare()
    _ = try work()
    let allocationsBefore = allocation_count_of_thread()
    _ = try work()
    let allocations = Int(allocation_count_of_thread() - allocationsBefore)
    var nanoseconds: [Double] = []
    let began = clock.monotonicNs()
    while nanoseconds.count < 5 || (clock.monotonicNs() - began < 500_000_000 && nanoseconds.count < 1_000) {
        let start = clock.monotonicNs()
        let units = try work()
        nanoseconds.append(Double(clock.monotonicNs() - start) / Double(max(units, 1)))
    }
    nanoseconds.sort()
    let best = nanoseconds[0]
    let name = benchmark.name + String(repeating: " ", count: max(1, 28 - benchmark.name.count))
    print(
        "\(name)best \(rounded(best)) ns/\(benchmark.unit), median \(rounded(nanoseconds[nanoseconds.count / 2])), \(rounded(1_000 / best)) M/s"
    )
    print("    \(benchmark.sketch)")
    guard let allowed = benchmark.allocations, allocation_count_is_supported() else { return true }
    print("    asks for memory \(allocations) times, may \(allowed) times\(allocations > allowed ? ": TOO OFTEN" : "")")
    return allocations <= allowed
}

func rounded(_ value: Double) -> Double { (value * 100).rounded() / 100 }

/// Keeps a result alive, so that the optimiser cannot drop the work behind it.
@inline(never) func keep<T>(_ value: T) {}

/// The same numbers every run: xorshift64*.
struct Randomness {
    var state: UInt64
    init(_ seed: UInt64) { state = seed | 1 }
    mutating func next() -> UInt64 {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return state &* 0x2545_F491_4F6C_DD1D
    }
    mutating func unit() -> Double { Double(next() >> 11) / 9_007_199_254_740_992 }
}
