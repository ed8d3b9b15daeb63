import ApusBytes
import ApusExposition
import ApusModel

/// Puts together what a registry shows: declared families, those of included registries, and what collectors give.
struct PageBuilder {
    private let registry: MetricRegistry
    /// Those of included registries.
    private let others: [RegistryCore]

    init(_ registry: MetricRegistry) {
        self.registry = registry
        others = registry.core.included
        var wantsWait = prepare(registry.core)
        for core in others where prepare(core) { wantsWait = true }
        if wantsWait { CellStore.shared.waitForInside() }
    }

    private func prepare(_ core: RegistryCore) -> Bool {
        var wantsWait = false
        for family in core.sortedFamilies where family.prepareForPage() { wantsWait = true }
        return wantsWait
    }

    private var cores: [RegistryCore] { [registry.core] + others }

    /// All that has one name.
    private struct Group {
        var declared: [any DeclaredFamily] = []
        var collected: [FamilySnapshot] = []
        /// From how many registries.
        var cores = 0
    }

    func write(_ encoding: PageEncoding, collected: [FamilySnapshot], into page: inout [UInt8]) {
        let collected = self.collected(and: collected)
        var given: [UInt8] = []
        swap(&given, &page)
        // The writer must be the only owner, or it would copy what is there, and the memory that is left behind it.
        var writer = PageWriter(encoding, into: consume given)
        // Names can only become one by escaping where there are others than classic ones.
        let mayMeet = registry.names == .utf8 || !others.isEmpty
        if others.isEmpty, collected.isEmpty {
            // The usual case: what is declared, in its order. If no value has changed, no memory is asked for either.
            let families = registry.core.sortedFamilies
            var index = 0
            while index < families.count {
                var end = index + 1
                while end < families.count, families[end].descriptor.name == families[index].descriptor.name { end += 1 }
                if end == index + 1 {
                    write(families[index], mayMeet, to: &writer)
                } else {
                    write(Group(declared: Array(families[index..<end]), cores: 1), mayMeet, to: &writer)
                }
                index = end
            }
        } else {
            for group in groups(collected) { write(group, mayMeet, to: &writer) }
        }
        if writer.droppedFamilies > 0 { registry.faults.count(.droppedCollectedSample, UInt64(writer.droppedFamilies)) }
        page = (consume writer).finish()
    }

    func gather(collected: [FamilySnapshot]) -> [FamilySnapshot] {
        groups(self.collected(and: collected)).map(merged).filter { !$0.points.isEmpty }
    }

    private func collected(and later: [FamilySnapshot]) -> [FamilySnapshot] {
        registry.core.collectNow() + others.flatMap { $0.collectNow() } + later
    }

    private func groups(_ collected: [FamilySnapshot]) -> [Group] {
        var groups: [ByteString: Group] = [:]
        for core in cores {
            for family in core.sortedFamilies {
                groups[family.descriptor.name, default: Group()].declared.append(family)
            }
            for name in Set(core.sortedFamilies.map(\.descriptor.name)) { groups[name]?.cores += 1 }
        }
        for family in collected { groups[family.name, default: Group()].collected.append(family) }
        return groups.sorted { $0.key < $1.key }.map(\.value)
    }

    private func write(_ group: Group, _ mayMeet: Bool, to writer: inout PageWriter) {
        guard group.declared.count == 1, group.collected.isEmpty, let family = group.declared.first else {
            let family = merged(group)
            if family.points.isEmpty || mayMeet && !writer.admit(family.name) { return }
            return writer.writeAdmitted(family)
        }
        write(family, mayMeet, to: &writer)
    }

    private func write(_ family: any DeclaredFamily, _ mayMeet: Bool, to writer: inout PageWriter) {
        if mayMeet, !writer.admit(family.descriptor.name) { return }
        if !family.appendLines(writer.encoding, to: &writer.bytes) { writer.writeAdmitted(family.snapshot()) }
    }

    /// One family of what has one name. The first says what it is; what says otherwise is left out and counted.
    private func merged(_ group: Group) -> FamilySnapshot {
        let all = group.declared.map { $0.snapshot() } + group.collected
        guard var family = all.first else { return FamilySnapshot(name: "", type: .unknown) }
        // Declared families of one registry can't have the same series, and collectors sort theirs out one by one.
        let mayRepeat = group.cores > 1 || all.count > 1 && !group.collected.isEmpty
        var seen: Set<LabelSet> = mayRepeat ? Set(family.points.map { LabelSet($0.labels) }) : []
        for other in all.dropFirst() {
            guard other.type == family.type, other.help == family.help, other.unit == family.unit else {
                registry.faults.count(.droppedCollectedSample, UInt64(other.points.count))
                continue
            }
            for point in other.points {
                if mayRepeat, !seen.insert(LabelSet(point.labels)).inserted {
                    registry.faults.count(.droppedCollectedSample)
                    continue
                }
                family.points.append(point)
            }
        }
        return family
    }
}
