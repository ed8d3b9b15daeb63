import ApusModel
import NIOCore

/// The open connections of a listener, so that stopping closes those that are idle and waits for the others.
final class Connections: Sendable {
    private struct State {
        var channels: [ObjectIdentifier: any Channel] = [:]
        /// Connections that are reading a request or writing its answer.
        var busy: Set<ObjectIdentifier> = []
        var isClosing = false
    }
    private let state = Locked(State())

    /// False when everything closes.
    func add(_ channel: any Channel) -> Bool {
        let isAdmitted = state.withLock { state in
            if state.isClosing { return false }
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

    /// True when the connection is to close because everything does.
    func endRequest(_ channel: any Channel) -> Bool {
        state.withLock { state in
            state.busy.remove(ObjectIdentifier(channel))
            return state.isClosing
        }
    }

    var isClosing: Bool { state.withLock { $0.isClosing } }

    /// Admits no more connections and closes the idle ones. Returns all that are open.
    func close() -> [any Channel] {
        let (all, idle) = state.withLock { state in
            state.isClosing = true
            return (Array(state.channels.values), state.channels.filter { !state.busy.contains($0.key) }.map(\.value))
        }
        for channel in idle { channel.close(promise: nil) }
        return all
    }

    /// Closes all, whatever they do.
    func abort() {
        let all = state.withLock { state in
            state.isClosing = true
            return Array(state.channels.values)
        }
        for channel in all { channel.close(promise: nil) }
    }
}
