/// The functions of a range vector: which kernel computes each.
enum WindowFunctions {
    /// Functions whose kernel needs no other argument.
    static let table: [FunctionName: @Sendable () -> any WindowKernel] = [
        .rate: { ExtrapolatedKernel(isCounter: true, isRate: true) },
        .increase: { ExtrapolatedKernel(isCounter: true, isRate: false) },
        .delta: { ExtrapolatedKernel(isCounter: false, isRate: false) },
        .irate: { InstantChangeKernel(isRate: true) },
        .idelta: { InstantChangeKernel(isRate: false) },
        .resets: { CountingKernel(event: .reset) },
        .changes: { CountingKernel(event: .change) },
        .deriv: { RegressionKernel(aheadSeconds: nil) },
        .sumOverTime: { SumKernel() },
        .avgOverTime: { MeanKernel() },
        .minOverTime: { ExtremeKernel(isMaximum: false, wantsTimestamp: false) },
        .maxOverTime: { ExtremeKernel(isMaximum: true, wantsTimestamp: false) },
        .tsOfMinOverTime: { ExtremeKernel(isMaximum: false, wantsTimestamp: true) },
        .tsOfMaxOverTime: { ExtremeKernel(isMaximum: true, wantsTimestamp: true) },
        .countOverTime: { CountKernel() },
        .presentOverTime: { PresenceKernel() },
        .firstOverTime: { EdgeKernel(isLast: false, wantsTimestamp: false) },
        .lastOverTime: { EdgeKernel(isLast: true, wantsTimestamp: false) },
        .tsOfFirstOverTime: { EdgeKernel(isLast: false, wantsTimestamp: true) },
        .tsOfLastOverTime: { EdgeKernel(isLast: true, wantsTimestamp: true) },
        .stddevOverTime: { VarianceKernel(takesRoot: true) },
        .stdvarOverTime: { VarianceKernel(takesRoot: false) },
        .madOverTime: { MedianDeviationKernel() },
    ]
}
