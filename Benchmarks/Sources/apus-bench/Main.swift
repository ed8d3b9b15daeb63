import Foundation

/// `apus-bench [WORD …]` runs the benchmarks whose name contains one of the words, or all.
@main @MainActor struct Main {
    static func main() throws {
        let words = CommandLine.arguments.dropFirst()
        let all = expositionBenchmarks + registryBenchmarks + storageBenchmarks + queryBenchmarks
        let chosen = words.isEmpty ? all : all.filter { benchmark in words.contains { benchmark.name.contains($0) } }
        if chosen.isEmpty { print("no benchmark has that in its name; there are: \(all.map(\.name).joined(separator: ", "))") }
        var isFine = true
        for benchmark in chosen where try !measure(benchmark) { isFine = false }
        if !isFine { exit(1) }
    }
}
