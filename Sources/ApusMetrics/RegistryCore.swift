import ApusBytes
import ApusExposition
import ApusModel

/// What is declared in a registry, whichever scope it was declared through.
final class RegistryCore: Sendable {
    enum Collector: Sendable {
        case now(MetricRegistry, @Sendable (inout MetricSink) throws -> Void)
        case later(AsyncCollector)
    }

    private struct State {
        var families: [FamilyKey: any DeclaredFamily] = [:]
        /// One family of each name, to compare others of the name with.
        var representatives: [ByteString: FamilyDescriptor] = [:]
        /// Names of series, and the name of the family that writes them.
        var seriesNames: [ByteString: ByteString] = [:]
        var sorted: [any DeclaredFamily]?
        var collectors: [(token: CollectorToken, collector: Collector)] = []
        var nextToken: UInt64 = 0
        var included: [MetricRegistry] = []
    }
    private let state = Locked(State())

    /// Adds a family, or returns the one that was declared the same way before.
    func declare<Family: DeclaredFamily>(
        _ descriptor: FamilyDescriptor, as type: Family.Type = Family.self, make: (FamilyDescriptor) -> Family
    ) throws(MetricError) -> Family {
        let name = descriptor.name.description
        let key = descriptor.key
        let outcome = state.withLock { state -> Swift.Result<Family, MetricError> in
            if let existing = state.families[key] {
                if let difference = descriptor.difference(from: existing.descriptor) {
                    return .failure(.declaredDifferently(name, difference: difference))
                }
                guard let same = existing as? Family else {
                    return .failure(.declaredDifferently(name, difference: "source of values"))
                }
                return .success(same)
            }
            if let sibling = state.representatives[descriptor.name], let difference = descriptor.siblingDifference(from: sibling) {
                return .failure(.declaredDifferently(name, difference: difference))
            }
            for seriesName in descriptor.seriesNames {
                if let owner = state.seriesNames[seriesName], owner != descriptor.name {
                    return .failure(.nameTaken(name, by: owner.description))
                }
            }
            let family = make(descriptor)
            state.families[key] = family
            state.representatives[descriptor.name] = descriptor
            for seriesName in descriptor.seriesNames { state.seriesNames[seriesName] = descriptor.name }
            state.sorted = nil
            return .success(family)
        }
        return try outcome.get()
    }

    func unregister(_ name: ByteString) -> Bool {
        state.withLock { state in
            guard state.representatives.removeValue(forKey: name) != nil else { return false }
            state.families = state.families.filter { $0.key.name != name }
            state.seriesNames = state.seriesNames.filter { $0.value != name }
            state.sorted = nil
            return true
        }
    }

    /// Whether a declared family writes series of this name.
    func isTaken(_ name: ByteString) -> Bool { state.withLock { $0.seriesNames[name] != nil } }

    func include(_ other: MetricRegistry) {
        state.withLock { state in if !state.included.contains(where: { $0.core === other.core }) { state.included.append(other) } }
    }

    func add(_ collector: Collector) -> CollectorToken {
        state.withLock { state in
            let token = CollectorToken(number: state.nextToken)
            state.nextToken += 1
            state.collectors.append((token, collector))
            return token
        }
    }

    func remove(_ token: CollectorToken) -> Bool {
        state.withLock { state in
            let before = state.collectors.count
            state.collectors.removeAll { $0.token == token }
            return state.collectors.count < before
        }
    }

    // MARK: Showing

    /// All families, by name and then by constant labels.
    var sortedFamilies: [any DeclaredFamily] {
        state.withLock { state in
            if let sorted = state.sorted { return sorted }
            let sorted = state.families.values.sorted { left, right in
                if left.descriptor.name != right.descriptor.name { return left.descriptor.name < right.descriptor.name }
                return LabelSet(left.descriptor.constantLabels) < LabelSet(right.descriptor.constantLabels)
            }
            state.sorted = sorted
            return sorted
        }
    }

    /// This one and those of the registries that were included.
    var cores: [RegistryCore] { [self] + included }

    /// The cores of the registries that were included, directly or through others, each once, without this one.
    var included: [RegistryCore] {
        if state.withLock({ $0.included.isEmpty }) { return [] }
        var found: [RegistryCore] = [self]
        var next = 0
        while next < found.count {
            for registry in found[next].state.withLock({ $0.included }) where !found.contains(where: { $0 === registry.core }) {
                found.append(registry.core)
            }
            next += 1
        }
        return Array(found.dropFirst())
    }

    /// Whether there are collectors, of included registries too, that can only be waited for.
    var hasLaterCollectors: Bool {
        cores.contains { core in
            core.collectors.contains { if case .later = $0 { true } else { false } }
        }
    }

    private var collectors: [Collector] { state.withLock { $0.collectors.map(\.collector) } }

    /// What the collectors give that run on this thread.
    func collectNow() -> [FamilySnapshot] {
        collectors.flatMap { collector -> [FamilySnapshot] in
            guard case .now(let registry, let collect) = collector else { return [] }
            var sink = MetricSink(registry: registry)
            do {
                try collect(&sink)
                return sink.finish()
            } catch {
                // What it gave before it threw would be half a truth.
                registry.faults.count(.failedCollector)
                return []
            }
        }
    }

    /// What the asynchronous collectors give, those of included registries too.
    func collectLater() async -> [FamilySnapshot] {
        let asynchronous = cores.flatMap(\.collectors).compactMap { collector -> AsyncCollector? in
            if case .later(let collector) = collector { collector } else { nil }
        }
        if asynchronous.isEmpty { return [] }
        return await withTaskGroup(of: (Int, [FamilySnapshot]).self) { group in
            for (index, collector) in asynchronous.enumerated() { group.addTask { (index, await collector.run()) } }
            var results: [(Int, [FamilySnapshot])] = []
            for await result in group { results.append(result) }
            return results.sorted { $0.0 < $1.0 }.flatMap(\.1)
        }
    }
}
