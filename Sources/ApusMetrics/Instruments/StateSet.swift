import ApusBytes
import ApusExposition
import ApusModel

/// Which of a set of states are on: a series for each, 1 for on and 0 for off, with the state in a label that is named as
/// the metric.
///
///     enum Phase: String, LabelValue, CaseIterable { case starting, running, stopping }
///     let phase = try registry.stateSet("worker_phase", help: "What the worker does.", of: Phase.self)
///     phase.set(.running)
///
/// At first all are off.
public final class StateSet<State: LabelValue & CaseIterable & Hashable>: Instrument, @unchecked Sendable {
    private let shape: StateSetShape<State>
    private let isOn: Locked<[Bool]>

    init(_ seed: InstrumentSeed, shape: StateSetShape<State>) {
        self.shape = shape
        isOn = Locked([Bool](repeating: false, count: shape.names.count))
        super.init(seed)
    }

    /// Makes `state` the only one that is on.
    public func set(_ state: State) {
        guard let chosen = shape.indices[state] else { return }
        isOn.withLock { isOn in for index in isOn.indices { isOn[index] = index == chosen } }
        touch()
    }

    /// Turns one state on or off, whatever the others are.
    public func set(_ state: State, to value: Bool) {
        guard let chosen = shape.indices[state] else { return }
        isOn.withLock { $0[chosen] = value }
        touch()
    }

    public func contains(_ state: State) -> Bool { shape.indices[state].map { index in isOn.withLock { $0[index] } } ?? false }

    override func currentValue() -> PointValue {
        .states(zip(shape.names, isOn.withLock { $0 }).map { PointValue.State(name: $0, isOn: $1) })
    }
    override var countsSinceMs: Int64? { nil }
}

/// What all state sets of a family share.
struct StateSetShape<State: LabelValue & CaseIterable & Hashable>: Sendable {
    let names: [ByteString]
    let indices: [State: Int]

    init() {
        let states = Array(State.allCases)
        names = states.map(labelText)
        indices = Dictionary(zip(states, states.indices), uniquingKeysWith: { first, _ in first })
    }
}

/// A label value's text.
func labelText<Value: LabelValue>(_ value: Value) -> ByteString {
    decodeLabelKey(labelKey(of: value)).first ?? ByteString()
}
