import ApusBytes
import HTTPTypes

extension ServerRequest {
    /// The same for a request and those that a dashboard sends after it, whose times have moved on: what to remember by how long it
    /// took. Nil for one that changes something or does not say clearly what it wants.
    var repetitionHash: UInt64? {
        guard method == .get, form.problem == nil,
            let startMs = try? time("start", default: TimeLimits.minimumMs), let endMs = try? time("end", default: TimeLimits.maximumMs)
        else { return nil }
        var hasher = Hasher()
        hasher.combine(path)
        // To the second: ends are rounded here and there.
        hasher.combine(endMs.subtractingReportingOverflow(startMs).partialValue / 1000)
        form.hash(into: &hasher, except: ["start", "end"])
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }
}

extension FormValues {
    func hash(into hasher: inout Hasher, except names: [ByteString]) {
        forEach { name, value in
            if names.contains(name) { return }
            hasher.combine(name)
            hasher.combine(value)
        }
    }
}
