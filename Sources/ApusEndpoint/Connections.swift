import ApusModel
import NIOCore

/// The open connections, so that their number is bounded and that stopping can close them.
final class Connections: Sendable {
    private struct State {
        var channels: [ObjectIdentifier: any Channel] = [:]
        /// Connections that are reading a request or writing its answer.
        var busy: Set<ObjectIdentifier> = []
        var isClosing = false
    }
    private let state = Locked(State())
    private let limit: Int

    init(limit: Int) { self.limit = limit }

    /// False if there are too many already.
    func add(_ channel: any Channel) -> Bool {
        let isAdmitted = state.withLock { state in
            guard !state.isClosing, state.channels.count < limit else { return false }
            state.channels[ObjectIdentifier(channel)] = channel
            return true
        }
        if isAdmitted {
            channel.closeFuture.whenComplete { [self] _ in
                state.withLock { state in
                    state.channels[ObjectIdentifier(channel)] = nil
                    state.busy.remove(ObjectIdentifier(channel))
                }
            }
        }
        return isAdmitted
    }

    func beginRequest(_ channel: any Channel) { state.withLock { _ = $0.busy.insert(ObjectIdentifier(channel)) } }

    /// True if the connection should close because everything does.
    func endRequest(_ channel: any Channel) -> Bool {
        state.withLock { state in
            state.busy.remove(ObjectIdentifier(channel))
            return state.isClosing
        }
    }

    var count: Int { state.withLock { $0.channels.count } }
    var isClosing: Bool { state.withLock { $0.isClosing } }

    /// Admits no more connections and closes the idle ones. Returns all that are open; nil if this was done before.
    func close() -> [any Channel]? {
        let (all, idle) = state.withLock { state -> ([any Channel]?, [any Channel]) in
            if state.isClosing { return (nil, []) }
            state.isClosing = true
            return (Array(state.channels.values), state.channels.filter { !state.busy.contains($0.key) }.map(\.value))
        }
        for channel in idle { channel.close(promise: nil) }
        return all
    }

    /// Closes all, whatever they do.
    func abort() {
        for channel in state.withLock({ Array($0.channels.values) }) { channel.close(promise: nil) }
    }
}
