/// When this process was started, in seconds since the epoch; nil where the system does not say.
public func processStartTimeSeconds() -> Double? {
    #if os(Linux)
        ProcessCollector().startTimeSeconds()
    #else
        nil
    #endif
}
