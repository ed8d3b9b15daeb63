import Foundation
import Synchronization

/// A program that a test started: its output goes to a file, and it ends with the test run at the latest.
final class ChildProcess: Sendable {
    let name: String
    let outputFile: URL
    private let process: Mutex<Process>
    let pid: Int32

    /// Whatever still runs when the test process exits is told to stop, by pid.
    private static let started = Mutex<[Int32]>([])
    private static let stopAtExit: Void = {
        atexit { ChildProcess.started.withLock { for pid in $0 { kill(pid, SIGTERM) } } }
    }()

    init(_ executable: URL, _ arguments: [String], in folder: URL) throws {
        _ = Self.stopAtExit
        name = executable.lastPathComponent
        outputFile = folder.appending(path: "\(name)-\(UUID().uuidString.prefix(8)).log")
        _ = FileManager.default.createFile(atPath: outputFile.path, contents: nil)
        let output = try FileHandle(forWritingTo: outputFile)
        let process = Process()
        process.executableURL = executable
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = output
        process.currentDirectoryURL = folder
        try process.run()
        let pid = process.processIdentifier
        self.pid = pid
        self.process = Mutex(process)
        Self.started.withLock { $0.append(pid) }
    }

    var output: String { (try? String(contentsOf: outputFile, encoding: .utf8)) ?? "" }
    var isRunning: Bool { process.withLock { $0.isRunning } }

    func signal(_ number: Int32) { kill(pid, number) }

    /// Waits for the program to end by itself; nil when it still runs after `seconds`.
    func exitStatus(within seconds: Double = 20) -> Int32? {
        guard eventually(within: seconds, { !isRunning }) else { return nil }
        Self.started.withLock { $0.removeAll { $0 == pid } }
        return process.withLock { $0.terminationStatus }
    }

    /// Asks politely, then waits; the exit status, or nil when it does not obey.
    @discardableResult
    func stop() -> Int32? {
        if isRunning { signal(SIGTERM) }
        return exitStatus()
    }
}

/// Whether `condition` became true within `seconds`: asked again and again, with a short pause in between.
func eventually(within seconds: Double = 30, _ condition: () -> Bool) -> Bool {
    let deadline = Date.now.addingTimeInterval(seconds)
    while true {
        if condition() { return true }
        if Date.now > deadline { return false }
        // The programs under test run in other processes: there is nothing to wait on but time.
        Thread.sleep(until: Date.now.addingTimeInterval(0.05))
    }
}
